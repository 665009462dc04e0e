// A lane: one run of the sample, with its preset, outcome, diagram and raster.

import { ServerError, fetchTrace } from "../run/server.js";
import { Trace } from "../run/trace.js";
import { createElement, tableRow } from "../ui/dom.js";
import { describeResult, describeState, formatCount } from "../ui/text.js";
import { drawDiagram } from "./diagram.js";
import { findPreset, shownRule } from "./presets.js";
import { drawRaster } from "./raster.js";
import { RowLabels, layOutRows } from "./rows.js";

const CUSTOM = "custom";
const MAX_PASSES_IN_TABLE = 24;

/** Dispatches "traced" when `trace` has changed, and "chosen" when the user has changed the run. */
export class Lane extends EventTarget {
  constructor(template, name, settings, presets) {
    super();
    this.name = `lane ${name}`;
    this.settings = settings;
    this.trace = null;
    this.label = null; // the true class of the sample that is shown
    this.about = settings.about; // of the network that is shown
    this._presets = presets;
    this._request = null; // the latest one
    this._shown = null; // the request that `trace` answers
    this._options = null; // those of `trace`
    this._rows = null;
    this._pending = null; // aborts the request that is under way
    this.element = template.content.firstElementChild.cloneNode(true);
    this._find = (selector) => this.element.querySelector(selector);
    this._diagram = this._find(".diagram");
    this._plot = this._find(".plot");
    this._raster = this._find(".raster");
    this._labels = new RowLabels(this._raster);
    this._setUpPresets(name);
    settings.addEventListener("change", () => this._choose());
    new ResizeObserver(() => this._resize()).observe(this._raster);
    new ResizeObserver(() => this._view && this.show(this._view)).observe(this._diagram);
  }

  /** Whether a response is outstanding. */
  get isWaiting() {
    return this._pending !== null;
  }

  /** The name of the preset of the shown run, or its network and order. */
  get title() {
    const options = this._options ?? this.settings.options();
    const preset = findPreset(this._presets, options);
    return preset?.title ?? `${options.network}, ${options.policy}, F = ${options.group_size}`;
  }

  /** Whether the network runs as it did when its training measured accuracy and rounds. */
  get isValidated() {
    const { validation, trained_for, chosen_until } = this.about;
    const wanted = { ...trained_for, until: chosen_until };
    const isTrained = Object.entries(wanted).every(([key, value]) => this.trace?.run[key] === value);
    return validation !== null && isTrained;
  }

  /** Choose a preset without running it. */
  setPreset({ options }) {
    this.settings.set(options);
    this._showPreset(options);
  }

  /** Run a sample {body, label}. A new request replaces the last. */
  async run(request) {
    this._request = request;
    this._pending?.abort();
    const pending = this._setPending(new AbortController());
    const { about } = this.settings;
    const chosen = this.settings.options();
    try {
      const { network, ...options } = chosen;
      const sample = { ...request.body, ...options };
      const response = await fetchTrace(network, sample, pending.signal);
      if (this._pending !== pending) return;
      this._setPending(null);
      this._options = chosen;
      this._showPreset(chosen);
      this._accept(new Trace(response, about), about, request);
    } catch (error) {
      if (this._pending !== pending || error.name === "AbortError") return;
      this._setPending(null);
      if (!(error instanceof ServerError)) throw error;
      this._refuse(error, request);
    }
    this._fillTable();
    this.dispatchEvent(new Event("traced"));
  }

  /** Return to the state before the first request. */
  clear() {
    this._pending?.abort();
    this._setPending(null);
    this._request = this._shown = this._options = this.trace = null;
    this._showError("");
    this._fillTable();
  }

  /** Show the run at a position. `view` is {unit, position, fraction, extent, isPlaying}. */
  show(view) {
    this._view = view;
    const { trace, about } = this;
    drawDiagram(this._diagram, about, trace, view);
    if (this._rows) drawRaster(this._plot, trace, this._rows, view);
    const moment = trace ? trace.momentAt(view.unit, view.position) : -1;
    this._labels.show(trace, moment, view.unit);
    this._showOutcome(view);
    if (!view.isPlaying) this._describe(view, moment);
  }

  /** Return the text that screen readers announce after the decision. */
  announcement() {
    return `${this.name}, ${this.title}: ${describeResult(this.trace, this.about, this.label)}`;
  }

  _setPending(pending) {
    this.element.setAttribute("aria-busy", String(pending !== null));
    return (this._pending = pending);
  }

  _accept(trace, about, request) {
    const isSame = this.about === about;
    Object.assign(this, { trace, about, label: request.label });
    this._shown = request;
    this._showError("");
    this.settings.showError("");
    if (!isSame) this._resize();
  }

  /** Show an error. The last run stays if only its settings changed. */
  _refuse(error, request) {
    const isNew = this._shown?.body !== request.body;
    if (isNew || error.status === 0) this.trace = this._shown = this._options = null;
    const isAtField = error.status === 400 && this.settings.showServerError(error.message);
    this._showError(isAtField ? "" : error.message);
  }

  _setUpPresets(name) {
    const select = this._find(".preset");
    const titles = this._presets.map(({ title }) => new Option(title));
    select.append(...titles, new Option("Custom", CUSTOM));
    select.setAttribute("aria-label", `Lane ${name}: how it runs`);
    this.element.setAttribute("aria-label", `Lane ${name}`);
    this.element.dataset.lane = name;
    select.addEventListener("change", () => {
      const preset = this._presets.find(({ title }) => title === select.value);
      if (preset) {
        this.settings.set(preset.options);
        this._choose();
      } else {
        this._showPreset(this._options ?? this.settings.options());
        this.settings.element.querySelector("select").focus();
      }
    });
  }

  /** Show how the lane runs: while an error is shown at a field, this is how it ran last. */
  _showPreset(options) {
    const { network, policy, group_size, until } = options;
    this._find(".preset").value = findPreset(this._presets, options)?.title ?? CUSTOM;
    const rule = until === shownRule(this.settings.about) ? "" : `, ${until}`;
    this._find(".run").textContent = `${network}, ${policy}, F = ${group_size}${rule}`;
  }

  _choose() {
    if (!this._request) this._showPreset(this.settings.options());
    this.dispatchEvent(new Event("chosen"));
  }

  _resize() {
    this._rows = layOutRows(this.about, this._raster.clientHeight);
    this._labels.create(this.about, this._rows);
    if (this._view) this.show(this._view);
  }

  _showOutcome(view) {
    const line = this._find(".outcome");
    const { trace } = this;
    line.classList.remove("is-over", "is-wrong");
    if (!trace?.length) {
      const empty = this._request ? "" : "No sample yet.";
      line.replaceChildren(trace ? "The sample has no events." : empty);
      return;
    }
    const state = describeState(trace, this.about, this.label, view);
    line.classList.toggle("is-over", state.isOver);
    line.classList.toggle("is-wrong", state.mark.startsWith("wrong"));
    line.replaceChildren(
      createElement("strong", "", state.emphasis),
      textElement(state.text),
      ...(state.mark ? [markElement(state.mark)] : []),
    );
  }

  /** Describe diagram and raster in words, for screen readers. */
  _describe(view, moment) {
    const { trace, about } = this;
    let text = "No run yet";
    if (trace) {
      const one = view.unit === "rounds" ? "round" : "forward step";
      const counts = about.populations.map(
        ({ name }, p) => `${name} ${trace.spikesUpTo(moment, p)}`,
      );
      const waiting = trace.activity.waitingAt(view.unit, view.position).length;
      text =
        `${this.name} after ${formatCount(view.position, one)}. ` +
        `Input events ${trace.inputsUpTo(moment)}. Spikes: ${counts.join(", ")}. ` +
        `Pending: ${waiting}.`;
    }
    this._plot.setAttribute("aria-label", trace ? `Spike raster of ${text}` : text);
    this._diagram.setAttribute("aria-label", trace ? `Network of ${text}` : text);
  }

  _fillTable() {
    const { element } = this.settings;
    const [head, body] = [element.querySelector("thead"), element.querySelector("tbody")];
    head.replaceChildren();
    body.replaceChildren();
    if (!this.trace) return;
    const byPass = this.trace.byPass();
    const passes = byPass[0].length <= MAX_PASSES_IN_TABLE ? byPass[0].map((_, k) => k) : [];
    const sum = (row) => row.reduce((a, b) => a + b, 0);
    head.append(tableRow(["population", "total", ...passes.map((k) => `t ${k + 1}`)], "th"));
    this.trace.populations.forEach(({ name }, p) =>
      body.append(tableRow([name, sum(byPass[p]), ...passes.map((k) => byPass[p][k])], "td")),
    );
  }

  _showError(message) {
    const error = this._find(".error");
    error.hidden = !message;
    error.textContent = message;
  }
}

function textElement(text) {
  const element = createElement("span", "", "");
  // Narrow screens show only the number.
  const [, lead, rest] = /^(after )?(.*)$/.exec(text);
  element.append(createElement("span", "wide", lead ?? ""), rest);
  return element;
}

function markElement(text) {
  const mark = createElement("span", "mark", "");
  mark.append(createElement("span", "", text)); // narrow screens show only the symbol
  return mark;
}
