// The page: one input, shown to two lanes that share one playback position.

import { Pad } from "./input/pad.js";
import { listSamples, showEvents } from "./input/samples.js";
import { imageFromStrokes } from "./input/strokes.js";
import { Lane } from "./lanes/lane.js";
import { makePresets } from "./lanes/presets.js";
import { Settings } from "./lanes/settings.js";
import { Player } from "./run/player.js";
import { Tour } from "./run/tour.js";
import { showComparison } from "./ui/comparison.js";
import { setUpKeys } from "./ui/keys.js";
import { UNITS, capitalize } from "./ui/text.js";
import { makeInterimVerdict, makeVerdict } from "./ui/verdict.js";

const $ = (id) => document.getElementById(id);
const PLAY = "M4 3l9 5-9 5z";
const PAUSE = "M4 3h3v10H4zM9 3h3v10H9z";
const PREVIEW_INTERVAL_MS = 120; // minimum time between two runs of an unfinished drawing
const HINT = "Blue neurons fire. Their spikes wait (orange) until a round delivers them.";
const FIRST_SAMPLE = 4; // shown when the page opens; of a few samples, the middle one is

export class Page {
  /** `networks` have the same input and classes. The first one describes the samples. */
  constructor(networks) {
    this.about = networks[0];
    this.player = new Player();
    this.request = null; // the latest one: {body, label}; the body has the seed
    this.seed = 0;
    this.announced = "";
    this.isNew = false; // whether playback starts once both lanes have a trace
    this.isFirst = true; // whether the first playback is still to come
    this.isPreview = false; // whether the input is an unfinished drawing
    this.previewedAt = 0;
    this.lanes = this._lanes(networks);
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
    const { samples } = this.about;
    const first = samples[Math.min(FIRST_SAMPLE, Math.floor(samples.length / 2))];
    if (first) {
      document.querySelectorAll("input[name=sample]")[samples.indexOf(first)].checked = true;
      this.run(sampleBody(first), first.label);
    }
  }

  /** Run a sample in both lanes. `label` is its true class, or null if it is unknown. */
  run(body, label) {
    this.request = { body: { ...body, seed: this.seed }, label };
    this._begin();
    for (const lane of this.lanes) lane.run(this.request);
  }

  /** Return to the state before anything was drawn or chosen. */
  clear() {
    this.pad?.clear();
    uncheckSamples();
    this.request = null;
    this.isNew = this.isPreview = false;
    for (const lane of this.lanes) lane.clear();
    this._traced();
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
    const { unit, position, fraction, extent, isPlaying } = player;
    for (const lane of lanes) lane.show({ unit, position, fraction, extent, isPlaying });
    const [one, many] = UNITS[unit];
    $("slider-label").textContent = capitalize(one);
    Object.assign($("slider"), { max: extent, value: position });
    $("slider").setAttribute("aria-valuetext", `${one} ${position} of ${extent}`);
    $("position").textContent = `${position} of ${extent} ${many}`;
    $("play-text").textContent = isPlaying ? "Pause" : "Play";
    $("play-icon").setAttribute("d", isPlaying ? PAUSE : PLAY);
    this._showVerdict();
    this._announce();
  }

  _lanes(networks) {
    const presets = makePresets(networks);
    return ["A", "B"].map((name, k) => {
      const settings = new Settings($("settings-template"), name, networks);
      const lane = new Lane($("lane-template"), name, settings, presets);
      lane.setPreset(k ? presets.at(-1) : presets[0]);
      lane.addEventListener("traced", () => this._traced());
      lane.addEventListener("chosen", () => {
        if (!this.request) return;
        this._begin();
        lane.run(this.request);
      });
      $("lanes").append(lane.element);
      $("lane-settings").append(settings.element);
      return lane;
    });
  }

  _begin() {
    this.announced = "";
    this.isNew = true;
    this.isPreview = false;
  }

  _traced() {
    const { player, lanes } = this;
    const traces = lanes.map(({ trace }) => trace).filter((trace) => trace);
    this.events = traces[0]?.events ?? null;
    this._showEvents();
    showComparison({ head: $("comparison-head"), body: $("comparison-body") }, lanes);
    player.setExtent(Math.max(0, ...traces.map((trace) => trace.total(player.unit))));
    if (this.isPreview) player.seek(player.extent);
    else if (this.isNew && !lanes.some((lane) => lane.isWaiting)) {
      this.isNew = false;
      const isTour = this.isFirst && traces.length === lanes.length;
      this.isFirst = false;
      player.restart(isTour ? new Tour(lanes, player.extent) : null);
    }
  }

  _showEvents() {
    showEvents({ text: $("events-text"), frames: $("frames") }, this.events ?? null, this.about);
  }

  /** Show the verdict once both lanes have decided, and what happens until then. */
  _showVerdict() {
    const { player, lanes } = this;
    const { unit, position, tour } = player;
    const hasTraces = lanes.every(({ trace }) => trace?.length);
    const isOver = hasTraces && lanes.every(({ trace }) => trace.isOver(unit, position));
    const first = hasTraces ? lanes.find(({ trace }) => trace.isOver(unit, position)) : undefined;
    let shown = { headline: "Which network decides first?", detail: HINT, average: "" };
    if (!hasTraces && !this.request) shown.detail = "Draw a digit, or choose a sample.";
    else if (isOver) shown = makeVerdict(lanes);
    else if (first) shown = makeInterimVerdict(first, lanes);
    else if (tour) shown.detail = tour.captionAt(position);
    $("verdict").textContent = shown.headline;
    $("verdict").classList.toggle("is-over", Boolean(first));
    $("caption").textContent = shown.detail;
    $("average").textContent = shown.average;
  }

  /** Announce the decisions to screen readers once, when playback reaches them. */
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
      player.tour = null;
    });
    $("unit").addEventListener("change", (event) => {
      const share = player.extent ? player.position / player.extent : 0;
      player.unit = event.target.value;
      player.tour = null;
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
    $("seed").addEventListener("change", () => this._changeSeed());
    $("origin").textContent = "The page shows the same spikes as “neuroasync run”.";
  }

  /** Use the seed of the field, or explain what is wrong with it and keep the last one. */
  _changeSeed() {
    const [box, error] = [$("seed"), $("seed-error")];
    const seed = box.value === "" ? NaN : Number(box.value);
    const isSeed = Number.isSafeInteger(seed) && seed >= 0;
    box.setAttribute("aria-invalid", String(!isSeed));
    const found = box.value === "" ? "" : `, got ${box.value}`;
    error.textContent = isSeed ? "" : `Seed must be an integer from 0 to 2**53 - 1${found}`;
    if (!isSeed || seed === this.seed) return;
    this.seed = seed;
    if (this.request) this.run(this.request.body, this.request.label);
  }

  _drawnSample() {
    return { image: imageFromStrokes(this.pad.strokes, this.about.drawing) };
  }

  _setUpKeys() {
    const { player } = this;
    setUpKeys($("shortcuts"), {
      k: () => player.toggle(),
      j: () => player.step(-1),
      l: () => player.step(1),
      0: () => player.step(-player.position),
      e: () => player.step(player.extent),
      c: () => this.clear(),
    });
  }
}

function uncheckSamples() {
  for (const radio of document.querySelectorAll("input[name=sample]")) radio.checked = false;
}

function sampleBody({ events, number }) {
  return { events, number };
}
