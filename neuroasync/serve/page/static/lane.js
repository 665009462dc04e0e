// One run of the sample: how it is run, its raster, its votes, its decision.

import { made, rowOf } from "./dom.js";
import { drawRaster } from "./raster.js";
import { ServerError, fetchTrace } from "./server.js";
import { Trace } from "./trace.js";
import { Votes } from "./votes.js";
import { counted, judged, shortRule, standing } from "./words.js";

const OWN_RULE = "own";
const MOST_NAMED_CLASSES = 32;
const MOST_PASSES_IN_TABLE = 24;
const HEAD = 20; // px, as are the heights below
const AXIS = 24;
const LOWEST = 44; // a name, and a size that may take two lines
const TALLEST = 60;

/** Dispatches "traced" when another trace, or none, is there; `trace` is null where it failed. */
export class Lane extends EventTarget {
  constructor(template, name, about, options) {
    super();
    this.name = `lane ${name}`;
    this.about = about;
    this.trace = null;
    this._question = null; // the latest
    this._label = null; // of what is shown
    this._asking = null;
    this.element = template.content.firstElementChild.cloneNode(true);
    this._find = (selector) => this.element.querySelector(selector);
    this._canvas = this._find(".plot");
    this._setTitle(name);
    this._fillOptions(name, options);
    this._layOut();
  }

  /** Whether an answer is still to come. */
  get isAsking() {
    return this._asking !== null;
  }

  /** Run `question`, a sample and its seed, as the options say; the latest question wins. */
  async ask(question) {
    this._question = question;
    this._asking?.abort();
    const asking = (this._asking = new AbortController());
    try {
      const told = await fetchTrace({ ...question.body, ...this.options() }, asking.signal);
      if (this._asking !== asking) return;
      this._asking = null;
      this.trace = new Trace(told, this.about);
      this._label = question.label;
      this._trouble("");
    } catch (error) {
      if (this._asking !== asking || error.name === "AbortError") return;
      this._asking = null;
      if (!(error instanceof ServerError)) throw error;
      this.trace = null;
      this._trouble(error.message);
    }
    this._tabulate();
    this.dispatchEvent(new Event("traced"));
  }

  /** As before the first question. */
  clear() {
    this._asking?.abort();
    this._asking = this._question = this.trace = null;
    this._trouble("");
    this._tabulate();
  }

  options() {
    const value = (name) => this._find(`[data-option="${name}"]`).value;
    const [until, groupSize] = [value("until"), value("group_size")];
    return {
      policy: value("policy"),
      group_size: groupSize === "" ? "" : Number(groupSize), // the server refuses ""
      until: until === OWN_RULE ? value("own").trim() : until,
      input: value("input"),
    };
  }

  /** Show where the run stands; `view` is {unit, position, extent, isPlaying}. */
  show(view) {
    this._view = view;
    drawRaster(this._canvas, this.trace, this._rows, view);
    const trace = this.trace;
    const moment = trace ? trace.momentAt(view.unit, view.position) : -1;
    this._say(view);
    const seen = trace ? trace.inputsUpTo(moment) : 0;
    this._counts.get("input").textContent = counted(seen, "event");
    this.about.populations.forEach(({ name }, p) => {
      const spikes = trace ? trace.spikesUpTo(moment, p) : 0;
      const count = this._counts.get(p);
      if (count) count.textContent = counted(spikes, name === this.about.output ? "vote" : "spike");
    });
    this._votes?.show(trace, moment);
    if (!view.isPlaying) this._describe(view);
  }

  /** The decision, or who leads, in a word; "" where there is nothing to tell. */
  glance({ unit, position }) {
    const { trace, about } = this;
    if (!trace?.length) return "";
    if (trace.isOver(unit, position)) {
      return trace.decision.label === null ? "nothing" : about.classes[trace.decision.label];
    }
    const leader = trace.leaderAt(trace.momentAt(unit, position));
    return leader < 0 ? "…" : `${about.classes[leader]}?`;
  }

  /** What the lane says aloud once it has decided. */
  verdict() {
    if (!this.trace) return "";
    const text = standing(this.trace, this.about, "rounds", Infinity).join("");
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
    const add = (which, values) =>
      this._find(`[data-option="${which}"]`).append(
        ...values.map(([value, text]) => new Option(text, value)),
      );
    add("policy", about.policies.map((policy) => [policy, policy]));
    add("until", about.until.map((rule) => [rule, ruleText(rule, about)]));
    add("until", [[OWN_RULE, "write one"]]);
    for (const [which, value] of Object.entries(options)) {
      this._find(`[data-option="${which}"]`).value = value;
    }
    this._find('[data-option="own"]').placeholder = "margin(4,4,3)";
    this.element.addEventListener("change", () => {
      const isOwn = this._find('[data-option="until"]').value === OWN_RULE;
      this._find(".own-rule").hidden = !isOwn;
      if (isOwn && !this._find('[data-option="own"]').value.trim()) return;
      if (this._question) this.ask(this._question);
    });
  }

  /** Rows of the plot, and beside them names and counts. */
  _layOut() {
    const { populations, output, classes, input } = this.about;
    const hidden = populations.flatMap(({ name, size }, p) => (name === output ? [] : [{ p, name, size }]));
    const isNamed = classes.length <= MOST_NAMED_CLASSES;
    const line = classes.length <= 12 ? 17 : 14;
    const tall = (size) => Math.round(Math.min(TALLEST, Math.max(LOWEST, size)));
    const rows = [
      { kind: "head", height: HEAD },
      { kind: "input", name: "input", size: input.size, height: tall(input.size) },
      ...hidden.map((row) => ({ kind: "population", ...row, height: tall(row.size) })),
      {
        kind: "output", name: output, size: classes.length,
        p: populations.findIndex(({ name }) => name === output),
        height: isNamed ? line * classes.length : 120,
      },
      { kind: "axis", height: AXIS },
    ];
    let top = 0;
    for (const row of rows) {
      row.top = top;
      top += row.height;
    }
    this._rows = rows;
    this._counts = new Map();
    this._votes = null; // where there are too many classes to list
    const grid = this._find(".raster");
    grid.style.gridTemplateRows = rows.map(({ height }) => `${height}px`).join(" ");
    grid.style.setProperty("--rows", `${line}px`);
    rows.forEach((row, k) => this._beside(grid, row, k + 1, isNamed));
    new ResizeObserver(() => this._view && this.show(this._view)).observe(this._canvas);
  }

  _beside(grid, row, line, isNamed) {
    const put = (element) => {
      element.style.gridRow = line;
      grid.append(element);
      return element;
    };
    if (row.kind === "head") {
      put(made("span", "axis", "timestep")).style.alignSelf = "end";
      return;
    }
    if (row.kind === "axis") {
      this._axis = put(made("span", "axis", "rounds"));
      return;
    }
    if (row.kind === "output" && isNamed) {
      this._votes = new Votes(this.about);
      put(this._votes.names);
      put(this._votes.list);
      return;
    }
    const name = put(made("span", "pop", ""));
    name.title = row.name; // where it is cut off
    name.append(made("b", "", row.name), made("small", "", counted(row.size, row.kind === "input" ? "cell" : "neuron")));
    this._counts.set(row.p ?? "input", put(made("span", "count", "")));
  }

  _say(view) {
    this._axis.textContent = view.unit;
    const line = this._find(".decision");
    if (!this.trace) {
      line.textContent = this._question ? "" : "No sample yet.";
      return;
    }
    if (!this.trace.length) {
      line.textContent = "The sample has no events: nothing to decide on.";
      return;
    }
    const [before, strong, after] = standing(this.trace, this.about, view.unit, view.position);
    const isOver = this.trace.isOver(view.unit, view.position);
    line.classList.toggle("is-over", isOver);
    const end = isOver ? judged(this.trace, this.about, this._label) : "";
    line.replaceChildren(before, made("strong", isOver ? "done" : "", strong), after + end);
  }

  /** The raster in words, for who does not see it. */
  _describe(view) {
    if (!this.trace) {
      this._canvas.setAttribute("aria-label", "No run yet");
      return;
    }
    const moment = this.trace.momentAt(view.unit, view.position);
    const parts = this.about.populations.map(
      ({ name }, p) => `${name} ${this.trace.spikesUpTo(moment, p)}`,
    );
    const [one, many] = view.unit === "rounds" ? ["round", "rounds"] : ["forward step", "forward steps"];
    this._canvas.setAttribute(
      "aria-label",
      `Spike raster of ${this.name} after ${counted(view.position, one, many)}. ` +
        `Input events ${this.trace.inputsUpTo(moment)}. Spikes: ${parts.join(", ")}.`,
    );
  }

  _tabulate() {
    const [head, body] = [this._find("thead"), this._find("tbody")];
    head.replaceChildren();
    body.replaceChildren();
    if (!this.trace) return;
    const byPass = this.trace.byPass();
    const passes = byPass[0].length <= MOST_PASSES_IN_TABLE ? byPass[0].map((_, k) => k) : [];
    const sum = (row) => row.reduce((a, b) => a + b, 0);
    head.append(rowOf(["population", "all", ...passes.map((k) => `t ${k + 1}`)], "th"));
    this.trace.populations.forEach(({ name }, p) =>
      body.append(rowOf([name, sum(byPass[p]), ...passes.map((k) => byPass[p][k])], "td")),
    );
  }

  _trouble(message) {
    const trouble = this._find(".trouble");
    trouble.hidden = !message;
    trouble.textContent = message;
  }
}

function ruleText(rule, about) {
  if (rule === "quiet") return "when quiet";
  const text = shortRule(rule);
  return rule === about.chosen_until ? `chosen: ${text}` : text; // on validation samples
}
