// A lane: one run of the sample with its options, raster, votes and decision.

import { createElement, tableRow } from "./dom.js";
import { drawRaster } from "./raster.js";
import { ServerError, fetchTrace } from "./server.js";
import { Trace } from "./trace.js";
import { Votes } from "./votes.js";
import { formatCount, formatCorrectness, shortenRule, describeState } from "./text.js";

const CUSTOM_RULE = "custom";
const MAX_NAMED_CLASSES = 32;
const MAX_PASSES_IN_TABLE = 24;
const HEAD_PX = 20;
const AXIS_PX = 24;
const MIN_ROW_PX = 44; // fits a name and a size of two lines
const MAX_ROW_PX = 60;

/** Dispatches "traced" when `trace` has changed. `trace` is null if a run failed. */
export class Lane extends EventTarget {
  constructor(template, name, about, options) {
    super();
    this.name = `lane ${name}`;
    this.about = about;
    this.trace = null;
    this._request = null; // the latest one
    this._label = null; // the true class of the sample that is shown
    this._pending = null; // aborts the request that is under way
    this.element = template.content.firstElementChild.cloneNode(true);
    this._find = (selector) => this.element.querySelector(selector);
    this._canvas = this._find(".plot");
    this._setTitle(name);
    this._fillOptions(name, options);
    this._createRows();
  }

  /** Whether a response is outstanding. */
  get isWaiting() {
    return this._pending !== null;
  }

  /** Run a sample and its seed with the options of the lane. A new request replaces the last. */
  async run(request) {
    this._request = request;
    this._pending?.abort();
    const pending = (this._pending = new AbortController());
    try {
      const response = await fetchTrace({ ...request.body, ...this.options() }, pending.signal);
      if (this._pending !== pending) return;
      this._pending = null;
      this.trace = new Trace(response, this.about);
      this._label = request.label;
      this._showError("");
    } catch (error) {
      if (this._pending !== pending || error.name === "AbortError") return;
      this._pending = null;
      if (!(error instanceof ServerError)) throw error;
      this.trace = null;
      this._showError(error.message);
    }
    this._fillTable();
    this.dispatchEvent(new Event("traced"));
  }

  /** Return to the state before the first request. */
  clear() {
    this._pending?.abort();
    this._pending = this._request = this.trace = null;
    this._showError("");
    this._fillTable();
  }

  options() {
    const value = (name) => this._find(`[data-option="${name}"]`).value;
    const [until, groupSize] = [value("until"), value("group_size")];
    return {
      policy: value("policy"),
      group_size: groupSize === "" ? "" : Number(groupSize), // the server explains what is wrong
      until: until === CUSTOM_RULE ? value("custom").trim() : until,
      input: value("input"),
    };
  }

  /** Show the run at a position. `view` is {unit, position, extent, isPlaying}. */
  show(view) {
    this._view = view;
    drawRaster(this._canvas, this.trace, this._rows, view);
    const trace = this.trace;
    const moment = trace ? trace.momentAt(view.unit, view.position) : -1;
    this._showState(view);
    const inputs = trace ? trace.inputsUpTo(moment) : 0;
    this._counts.get("input").textContent = formatCount(inputs, "event");
    this.about.populations.forEach(({ name }, p) => {
      const spikes = trace ? trace.spikesUpTo(moment, p) : 0;
      const count = this._counts.get(p);
      const unit = name === this.about.output ? "vote" : "spike";
      if (count) count.textContent = formatCount(spikes, unit);
    });
    this._votes?.show(trace, moment);
    if (!view.isPlaying) this._updateLabel(view);
  }

  /** Return the decided or leading class in one word, or "" without a trace. */
  shortResult({ unit, position }) {
    const { trace, about } = this;
    if (!trace?.length) return "";
    if (trace.isOver(unit, position)) {
      return trace.decision.label === null ? "none" : about.classes[trace.decision.label];
    }
    const leader = trace.leaderAt(trace.momentAt(unit, position));
    return leader < 0 ? "…" : `${about.classes[leader]}?`;
  }

  /** Return the text that screen readers announce after the decision. */
  announcement() {
    if (!this.trace) return "";
    const text = describeState(this.trace, this.about, "rounds", Infinity).join("");
    return `${this.name}: ${text}`;
  }

  _setTitle(name) {
    const title = this._find(".lane-title");
    title.textContent = name;
    title.id = `lane-${name}`;
    this.element.setAttribute("aria-labelledby", title.id);
    this.element.dataset.lane = name;
  }

  _fillOptions(name, options) {
    const { about } = this;
    for (const field of this.element.querySelectorAll(".field")) {
      const control = field.querySelector("select, input");
      control.id = `${control.dataset.option}-${name}`;
      const label = field.querySelector("label");
      label.htmlFor = control.id;
      control.setAttribute("aria-label", `${label.textContent}, lane ${name}`);
    }
    const add = (option, values) =>
      this._find(`[data-option="${option}"]`).append(
        ...values.map(([value, text]) => new Option(text, value)),
      );
    add("policy", about.policies.map((policy) => [policy, policy]));
    add("until", about.until.map((rule) => [rule, ruleText(rule, about)]));
    add("until", [[CUSTOM_RULE, "custom"]]);
    for (const [option, value] of Object.entries(options)) {
      this._find(`[data-option="${option}"]`).value = value;
    }
    this._find('[data-option="custom"]').placeholder = "margin(4,4,3)";
    this.element.addEventListener("change", () => {
      const isCustom = this._find('[data-option="until"]').value === CUSTOM_RULE;
      this._find(".custom-rule").hidden = !isCustom;
      if (isCustom && !this._find('[data-option="custom"]').value.trim()) return;
      if (this._request) this.run(this._request);
    });
  }

  /** Create the rows of the plot, with names and counts next to them. */
  _createRows() {
    const { populations, output, classes, input } = this.about;
    const hidden = populations
      .map(({ name, size }, p) => ({ p, name, size }))
      .filter(({ name }) => name !== output);
    const isNamed = classes.length <= MAX_NAMED_CLASSES;
    const linePx = classes.length <= 12 ? 17 : 14;
    const rowPx = (size) => Math.round(Math.min(MAX_ROW_PX, Math.max(MIN_ROW_PX, size)));
    const rows = [
      { kind: "head", height: HEAD_PX },
      { kind: "input", name: "input", size: input.size, height: rowPx(input.size) },
      ...hidden.map((row) => ({ kind: "population", ...row, height: rowPx(row.size) })),
      {
        kind: "output", name: output, size: classes.length,
        p: populations.findIndex(({ name }) => name === output),
        height: isNamed ? linePx * classes.length : 120,
      },
      { kind: "axis", height: AXIS_PX },
    ];
    let top = 0;
    for (const row of rows) {
      row.top = top;
      top += row.height;
    }
    this._rows = rows;
    this._counts = new Map();
    this._votes = null; // stays null if there are too many classes to list
    const grid = this._find(".raster");
    grid.style.gridTemplateRows = rows.map(({ height }) => `${height}px`).join(" ");
    grid.style.setProperty("--rows", `${linePx}px`);
    rows.forEach((row, k) => this._createRowLabels(grid, row, k + 1, isNamed));
    new ResizeObserver(() => this._view && this.show(this._view)).observe(this._canvas);
  }

  _createRowLabels(grid, row, gridRow, isNamed) {
    const put = (element) => {
      element.style.gridRow = gridRow;
      grid.append(element);
      return element;
    };
    if (row.kind === "head") {
      put(createElement("span", "axis", "timestep")).style.alignSelf = "end";
      return;
    }
    if (row.kind === "axis") {
      this._axis = put(createElement("span", "axis", "rounds"));
      return;
    }
    if (row.kind === "output" && isNamed) {
      this._votes = new Votes(this.about);
      put(this._votes.names);
      put(this._votes.list);
      return;
    }
    const name = put(createElement("span", "pop", ""));
    name.title = row.name; // the name itself may be truncated
    const size = formatCount(row.size, row.kind === "input" ? "cell" : "neuron");
    name.append(createElement("b", "", row.name), createElement("small", "", size));
    this._counts.set(row.p ?? "input", put(createElement("span", "count", "")));
  }

  _showState(view) {
    this._axis.textContent = view.unit;
    const text = this._find(".decision");
    if (!this.trace) {
      text.textContent = this._request ? "" : "No sample yet.";
      return;
    }
    if (!this.trace.length) {
      text.textContent = "The sample has no events.";
      return;
    }
    const [before, strong, after] = describeState(this.trace, this.about, view.unit, view.position);
    const isOver = this.trace.isOver(view.unit, view.position);
    text.classList.toggle("is-over", isOver);
    const end = isOver ? formatCorrectness(this.trace, this.about, this._label) : "";
    const emphasis = createElement("strong", isOver ? "done" : "", strong);
    text.replaceChildren(before, emphasis, after + end);
  }

  /** Describe the raster in words, for screen readers. */
  _updateLabel(view) {
    if (!this.trace) {
      this._canvas.setAttribute("aria-label", "No run yet");
      return;
    }
    const moment = this.trace.momentAt(view.unit, view.position);
    const counts = this.about.populations.map(
      ({ name }, p) => `${name} ${this.trace.spikesUpTo(moment, p)}`,
    );
    const one = view.unit === "rounds" ? "round" : "forward step";
    this._canvas.setAttribute(
      "aria-label",
      `Spike raster of ${this.name} after ${formatCount(view.position, one)}. ` +
        `Input events ${this.trace.inputsUpTo(moment)}. Spikes: ${counts.join(", ")}.`,
    );
  }

  _fillTable() {
    const [head, body] = [this._find("thead"), this._find("tbody")];
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

function ruleText(rule, about) {
  if (rule === "quiet") return "when quiet";
  const text = shortenRule(rule);
  // The training chose this rule on validation samples.
  return rule === about.chosen_until ? `chosen: ${text}` : text;
}
