// The page: one input, two lanes, one time.

import { made } from "./dom.js";
import { listSamples, showEvents } from "./input.js";
import { Lane } from "./lane.js";
import { Pad } from "./pad.js";
import { Player } from "./player.js";
import { ServerError, fetchAbout } from "./server.js";
import { imageOf } from "./strokes.js";
import { showTotals } from "./totals.js";
import { UNITS, capital } from "./words.js";

const $ = (id) => document.getElementById(id);
const PLAY = "M4 3l9 5-9 5z";
const PAUSE = "M4 3h3v10H4zM9 3h3v10H9z";
const LIVE_MS = 120; // between two looks at a drawing that grows
const START_WITH = 3; // of the samples: something to look at before anybody has drawn

class Page {
  constructor(about) {
    this.about = about;
    this.player = new Player();
    this.question = null; // the latest: {body, label}
    this.events = null; // that the network got
    this.said = "";
    this.isNew = false;
    this.isLive = false;
    this.lookedAt = 0;
    this.lanes = this._lanes();
    this._setUpTime();
    this._setUpInput();
    this._setUpKeys();
    this.player.addEventListener("change", () => this.show());
    addEventListener("inks", () => {
      this.pad?.paint();
      this._showEvents();
      this.show();
    });
    this.show();
    const first = about.samples[Math.min(START_WITH, about.samples.length - 1)];
    if (first) {
      document.querySelectorAll("input[name=sample]")[about.samples.indexOf(first)].checked = true;
      this.ask(sampleBody(first), first.label);
    }
  }

  /** Run a sample in both lanes; `label` is what it is known to be, or null. */
  ask(body, label) {
    this.question = { body, label };
    const seed = this._seed();
    if (seed === null) {
      this._empty();
      return;
    }
    this.said = "";
    this.isNew = true;
    this.isLive = false;
    for (const lane of this.lanes) lane.ask({ body: { ...body, seed }, label });
  }

  /** Back to how the page is before anything is drawn or chosen. */
  clear() {
    this.pad?.clear();
    uncheckSamples();
    this.question = null;
    this._empty();
  }

  /** Look at a drawing that grows, if the server is done with the last look. */
  look() {
    const now = performance.now();
    if (now - this.lookedAt < LIVE_MS || this.lanes.some((lane) => lane.isAsking)) return;
    this.ask(this._drawn(), null);
    this.lookedAt = now;
    this.isLive = true;
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
    $("where").textContent = `${player.position} of ${player.extent} ${many}`;
    this._glance(view);
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
    this.isNew = this.isLive = false;
    for (const lane of this.lanes) lane.clear();
    this._traced();
  }

  /** What the box says; null, and the reason beside it, where that is no seed. */
  _seed() {
    const [box, trouble] = [$("seed"), $("seed-trouble")];
    const seed = box.value === "" ? NaN : Number(box.value);
    const isSeed = Number.isSafeInteger(seed) && seed >= 0;
    box.setAttribute("aria-invalid", String(!isSeed));
    trouble.hidden = isSeed;
    trouble.textContent = isSeed
      ? ""
      : `seed: '${box.value}', expected an integer from 0 to 2**53 - 1`;
    return isSeed ? seed : null;
  }

  _traced() {
    const { player, lanes } = this;
    const traces = lanes.map(({ trace }) => trace).filter((trace) => trace);
    this.events = traces[0]?.told.events ?? null;
    this._showEvents();
    const table = { sentence: $("verdict"), head: $("totals-head"), body: $("totals-body") };
    showTotals(table, lanes, this.about);
    player.setExtent(Math.max(0, ...traces.map((trace) => trace.total(player.unit))));
    if (this.isLive) player.seek(player.extent);
    else if (this.isNew && !lanes.some((lane) => lane.isAsking)) {
      this.isNew = false;
      player.restart();
    }
  }

  _showEvents() {
    showEvents({ text: $("seen-text"), frames: $("frames") }, this.events, this.about);
  }

  /** What each lane makes of the drawing, beside the pad. */
  _glance(view) {
    const texts = this.lanes.map((lane) => lane.glance(view));
    $("glance").hidden = texts.every((text) => !text);
    $("glance").replaceChildren(
      ...this.lanes.map(({ name }, k) => {
        const pair = made("div", "", "");
        pair.append(made("dt", "", capital(name)), made("dd", "", texts[k] || "–"));
        return pair;
      }),
    );
  }

  /** Say a lane's decision once, when time has come to it. */
  _announce() {
    const { player, lanes } = this;
    const over = lanes.filter(
      ({ trace }) => trace?.length && trace.isOver(player.unit, player.position),
    );
    const text = over.map((lane) => lane.verdict()).join(". ");
    if (this.isLive || text === this.said) return;
    this.said = text;
    $("announce").textContent = text;
  }

  _setUpTime() {
    const { player } = this;
    $("play").addEventListener("click", () => player.toggle());
    $("back").addEventListener("click", () => player.step(-1));
    $("step").addEventListener("click", () => player.step(1));
    $("slider").addEventListener("input", (event) => {
      const wanted = Number(event.target.value); // pausing shows where time stands, here, too
      player.pause();
      player.seek(wanted);
    });
    $("speed").addEventListener("change", (event) => {
      player.perSecond = Number(event.target.value);
    });
    $("unit").addEventListener("change", (event) => {
      const share = player.extent ? player.position / player.extent : 0;
      player.unit = event.target.value;
      const extents = this.lanes.map(({ trace }) => trace?.total(player.unit) ?? 0);
      player.extent = Math.max(...extents);
      player.seek(Math.round(share * player.extent));
    });
  }

  _setUpInput() {
    const { about } = this;
    if (about.drawing) {
      $("drawing").hidden = false;
      this.pad = new Pad($("pad"), $("pad-hint"));
      this.pad.addEventListener("stroke", () => {
        uncheckSamples();
        this.ask(this._drawn(), null);
      });
      this.pad.addEventListener("draw", () => {
        uncheckSamples();
        this.player.pause();
        this.look();
      });
      $("clear").addEventListener("click", () => this.clear());
    } else {
      $("samples-legend").textContent = "Choose a sample";
    }
    if (about.samples.length) {
      $("samples-field").hidden = false;
      listSamples($("samples"), about, (sample) => {
        this.pad?.clear();
        this.ask(sampleBody(sample), sample.label);
      });
    }
    $("seed").addEventListener("change", () => {
      if (this.question) this.ask(this.question.body, this.question.label);
      else this._seed();
    });
    $("origin").textContent =
      `Network ${about.digest.slice(0, 12)}, trained for ${about.trained_for.policy}, ` +
      `F = ${about.trained_for.group_size}. What you see is what “run” gives: the same spikes.`;
  }

  _drawn() {
    return { image: imageOf(this.pad.strokes, this.about.drawing) };
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
      const isOther = event.ctrlKey || event.metaKey || event.altKey || isTyping;
      const action = actions[event.key.toLowerCase()];
      if (isOther || !action || !$("shortcuts").checked) return;
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
    for (const part of document.querySelectorAll("[data-works]")) part.hidden = false;
    new Page(about);
  } else {
    $("empty").hidden = false;
  }
} catch (error) {
  $("trouble").hidden = false;
  $("trouble").textContent = error.message;
  if (!(error instanceof ServerError)) throw error; // a bug of the page belongs on the console
} finally {
  $("main").setAttribute("aria-busy", "false");
}
