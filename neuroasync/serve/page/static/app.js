// The page: one input, shown to two lanes that share one playback position.

import { createElement } from "./dom.js";
import { listSamples, showEvents } from "./input.js";
import { Lane } from "./lane.js";
import { Pad } from "./pad.js";
import { Player } from "./player.js";
import { ServerError, fetchAbout } from "./server.js";
import { imageFromStrokes } from "./strokes.js";
import { showComparison } from "./comparison.js";
import { UNITS, capitalize } from "./text.js";

const $ = (id) => document.getElementById(id);
const PLAY = "M4 3l9 5-9 5z";
const PAUSE = "M4 3h3v10H4zM9 3h3v10H9z";
const PREVIEW_INTERVAL_MS = 120; // minimum time between two runs of an unfinished drawing
const FIRST_SAMPLE = 3; // the sample that is shown when the page opens

class Page {
  constructor(about) {
    this.about = about;
    this.player = new Player();
    this.request = null; // the latest one: {body, label}
    this.events = null; // the input events of the latest trace
    this.announced = "";
    this.isNew = false; // whether playback starts once both lanes have a trace
    this.isPreview = false; // whether the input is an unfinished drawing
    this.previewedAt = 0;
    this.lanes = this._lanes();
    this._setUpTime();
    this._setUpInput();
    this._setUpKeys();
    this.player.addEventListener("change", () => this.show());
    addEventListener("colors", () => {
      this.pad?.paint();
      this._showEvents();
      this.show();
    });
    this.show();
    const first = about.samples[Math.min(FIRST_SAMPLE, about.samples.length - 1)];
    if (first) {
      document.querySelectorAll("input[name=sample]")[about.samples.indexOf(first)].checked = true;
      this.run(sampleBody(first), first.label);
    }
  }

  /** Run a sample in both lanes. `label` is its true class, or null if it is unknown. */
  run(body, label) {
    this.request = { body, label };
    const seed = this._seed();
    if (seed === null) {
      this._empty();
      return;
    }
    this.announced = "";
    this.isNew = true;
    this.isPreview = false;
    for (const lane of this.lanes) lane.run({ body: { ...body, seed }, label });
  }

  /** Return to the state before anything was drawn or chosen. */
  clear() {
    this.pad?.clear();
    uncheckSamples();
    this.request = null;
    this._empty();
  }

  /** Run an unfinished drawing, unless the server is still busy with the last run. */
  preview() {
    const now = performance.now();
    if (now - this.previewedAt < PREVIEW_INTERVAL_MS) return;
    if (this.lanes.some((lane) => lane.isWaiting)) return;
    this.run(this._drawnSample(), null);
    this.previewedAt = now;
    this.isPreview = true;
  }

  show() {
    const { player, lanes } = this;
    const { unit, position, extent, isPlaying } = player;
    const view = { unit, position, extent, isPlaying };
    for (const lane of lanes) lane.show(view);
    const [one, many] = UNITS[player.unit];
    $("slider-label").textContent = one[0].toUpperCase() + one.slice(1);
    Object.assign($("slider"), { max: player.extent, value: player.position });
    $("slider").setAttribute("aria-valuetext", `${one} ${player.position} of ${player.extent}`);
    $("position").textContent = `${player.position} of ${player.extent} ${many}`;
    this._showShortResults(view);
    $("play-text").textContent = player.isPlaying ? "Pause" : "Play";
    $("play-icon").setAttribute("d", player.isPlaying ? PAUSE : PLAY);
    this._announce();
  }

  _lanes() {
    const { about } = this;
    const until =
      about.default.until !== null && about.default.until !== "quiet"
        ? about.default.until
        : (about.chosen_until ?? "quiet");
    const { group_size, input } = about.default;
    return ["layer-sync", "momentum"].map((policy, k) => {
      const options = { policy, group_size, until, input };
      const lane = new Lane($("lane-template"), "AB"[k], about, options);
      lane.addEventListener("traced", () => this._traced());
      $("lanes").append(lane.element);
      return lane;
    });
  }

  _empty() {
    this.isNew = this.isPreview = false;
    for (const lane of this.lanes) lane.clear();
    this._traced();
  }

  /** Return the seed, or show an error and return null if it is not valid. */
  _seed() {
    const [box, error] = [$("seed"), $("seed-error")];
    const seed = box.value === "" ? NaN : Number(box.value);
    const isSeed = Number.isSafeInteger(seed) && seed >= 0;
    box.setAttribute("aria-invalid", String(!isSeed));
    error.hidden = isSeed;
    error.textContent = isSeed
      ? ""
      : `The seed must be an integer from 0 to 2**53 - 1, got '${box.value}'.`;
    return isSeed ? seed : null;
  }

  _traced() {
    const { player, lanes } = this;
    const traces = lanes.map(({ trace }) => trace).filter((trace) => trace);
    this.events = traces[0]?.events ?? null;
    this._showEvents();
    const [sentence, head, body] = [$("verdict"), $("comparison-head"), $("comparison-body")];
    showComparison({ sentence, head, body }, lanes, this.about);
    player.setExtent(Math.max(0, ...traces.map((trace) => trace.total(player.unit))));
    if (this.isPreview) player.seek(player.extent);
    else if (this.isNew && !lanes.some((lane) => lane.isWaiting)) {
      this.isNew = false;
      player.restart();
    }
  }

  _showEvents() {
    showEvents({ text: $("events-text"), frames: $("frames") }, this.events, this.about);
  }

  /** Show the result of each lane next to the pad. */
  _showShortResults(view) {
    const texts = this.lanes.map((lane) => lane.shortResult(view));
    $("short-results").hidden = texts.every((text) => !text);
    $("short-results").replaceChildren(
      ...this.lanes.map(({ name }, k) => {
        const pair = createElement("div", "", "");
        const term = createElement("dt", "", capitalize(name));
        pair.append(term, createElement("dd", "", texts[k] || "–"));
        return pair;
      }),
    );
  }

  /** Announce a decision to screen readers once, when playback reaches it. */
  _announce() {
    const { player, lanes } = this;
    const over = lanes.filter(
      ({ trace }) => trace?.length && trace.isOver(player.unit, player.position),
    );
    const text = over.map((lane) => lane.announcement()).join(". ");
    if (this.isPreview || text === this.announced) return;
    this.announced = text;
    $("announce").textContent = text;
  }

  _setUpTime() {
    const { player } = this;
    $("play").addEventListener("click", () => player.toggle());
    $("back").addEventListener("click", () => player.step(-1));
    $("step").addEventListener("click", () => player.step(1));
    $("slider").addEventListener("input", (event) => {
      const wanted = Number(event.target.value);
      player.pause(); // this resets the slider, so its value is read first
      player.seek(wanted);
    });
    $("speed").addEventListener("change", (event) => {
      player.perSecond = Number(event.target.value);
    });
    $("unit").addEventListener("change", (event) => {
      const fraction = player.extent ? player.position / player.extent : 0;
      player.unit = event.target.value;
      const extents = this.lanes.map(({ trace }) => trace?.total(player.unit) ?? 0);
      player.extent = Math.max(...extents);
      player.seek(Math.round(fraction * player.extent));
    });
  }

  _setUpInput() {
    const { about } = this;
    if (about.drawing) {
      $("drawing").hidden = false;
      this.pad = new Pad($("pad"), $("pad-hint"));
      this.pad.addEventListener("stroke", () => {
        uncheckSamples();
        this.run(this._drawnSample(), null);
      });
      this.pad.addEventListener("draw", () => {
        uncheckSamples();
        this.player.pause();
        this.preview();
      });
      $("clear").addEventListener("click", () => this.clear());
    } else {
      $("samples-legend").textContent = "Choose a sample";
    }
    if (about.samples.length) {
      $("samples-field").hidden = false;
      listSamples($("samples"), about, (sample) => {
        this.pad?.clear();
        this.run(sampleBody(sample), sample.label);
      });
    }
    $("seed").addEventListener("change", () => {
      if (this.request) this.run(this.request.body, this.request.label);
      else this._seed();
    });
    $("origin").textContent =
      `Network ${about.digest.slice(0, 12)}, trained for ${about.trained_for.policy}, ` +
      `F = ${about.trained_for.group_size}. ` +
      "The page shows the same spikes as “neuroasync run”.";
  }

  _drawnSample() {
    return { image: imageFromStrokes(this.pad.strokes, this.about.drawing) };
  }

  _setUpKeys() {
    const { player } = this;
    const actions = {
      k: () => player.toggle(),
      j: () => player.step(-1),
      l: () => player.step(1),
      0: () => player.step(-player.position),
      e: () => player.step(player.extent),
      c: () => this.clear(),
    };
    addEventListener("keydown", (event) => {
      const isTyping = event.target.matches?.("input[type=number], input[type=text], select");
      const isIgnored = event.ctrlKey || event.metaKey || event.altKey || isTyping;
      const action = actions[event.key.toLowerCase()];
      if (isIgnored || !action || !$("shortcuts").checked) return;
      event.preventDefault();
      action();
    });
  }
}

function uncheckSamples() {
  for (const radio of document.querySelectorAll("input[name=sample]")) radio.checked = false;
}

function sampleBody({ events, number }) {
  return { events, number };
}

try {
  const about = await fetchAbout();
  if (about.drawing || about.samples.length) {
    for (const section of document.querySelectorAll("[data-ready]")) section.hidden = false;
    new Page(about);
  } else {
    $("empty").hidden = false;
  }
} catch (error) {
  $("error").hidden = false;
  $("error").textContent = error.message;
  if (!(error instanceof ServerError)) throw error; // errors of the page itself go to the console
} finally {
  $("main").setAttribute("aria-busy", "false");
}
