// The spike raster of one lane: time to the right, a row for each neuron.

import { inks, prepared } from "./canvas.js";

const LEAST_SLOT = 3; // px that a round or step is wide, at least: else the raster scrolls
const FEWEST_SLOTS = 16;
const MARGIN = 0.5; // slots, for marks that stand on the border
const LOOKAHEAD = 0.15; // of the window stays free ahead of the playhead

/** The time [from, to] that is shown, for a plot `width` px wide. */
export function windowOf(width, extent, position) {
  const slots = Math.max(FEWEST_SLOTS, Math.min(extent, Math.floor(width / LEAST_SLOT)));
  const ahead = Math.ceil(slots * LOOKAHEAD);
  const from = Math.max(0, Math.min(position + ahead - slots, extent - slots));
  return { from: from - MARGIN, to: from + slots + MARGIN };
}

/**
 * Draw what had happened by `position`.
 *
 * `rows` are those of the plot: {kind: "head" | "input" | "population" | "output" | "axis", top,
 * height, size, p}. `view` is {unit, position, extent}.
 */
export function drawRaster(canvas, trace, rows, view) {
  const { context, width, height } = prepared(canvas);
  if (!width || !trace) return;
  // A lane that is over stays where its decision can be seen.
  const position = Math.min(view.position, trace.total(view.unit));
  const { from, to } = windowOf(width, view.extent, position);
  const ink = inks();
  const x = (place) => ((place - from) / (to - from)) * width;
  const plot = { context, width, height, ink, x, rows, from, to, trace, ...view };
  plot.last = trace.momentAt(view.unit, view.position);
  context.font = `11px ${getComputedStyle(canvas).fontFamily}`;
  drawSteps(plot);
  drawRows(plot);
  drawPasses(plot);
  drawNow(plot);
  drawInputs(plot);
  drawSpikes(plot);
  drawAxis(plot);
}

/** Forward steps that take several rounds are shaded, also while they last: so long all wait. */
function drawSteps({ context, ink, x, trace, unit, position, last, rows, from, to }) {
  if (unit !== "rounds") return;
  const { rounds, step } = trace.moments;
  const [top, bottom] = [rows[0].height, rows.at(-1).top];
  context.fillStyle = ink.band;
  for (let m = 1; m <= Math.min(last + 1, trace.length - 1); m++) {
    const [begin, end] = [rounds[m - 1], rounds[m]];
    if (!step[m] || end - begin < 2 || end < from || begin > to || begin >= position) continue;
    const [left, right] = [x(begin) + 1, x(Math.min(end, position)) - 1];
    context.fillRect(left, top, Math.max(1, right - left), bottom - top);
  }
}

function drawRows({ context, ink, width, rows }) {
  context.fillStyle = ink.line;
  for (const row of rows.slice(1)) context.fillRect(0, Math.round(row.top), width, 1);
}

/** A line where a timestep begins, and its number where there is room. */
function drawPasses({ context, ink, x, rows, trace, unit, last, from, to }) {
  const [top, bottom] = [rows[0].height, rows.at(-1).top];
  let free = -Infinity;
  context.textBaseline = "alphabetic";
  trace.passStarts.forEach((m, pass) => {
    const place = trace.moments[unit][m];
    if (m > last || place < from || place > to) return;
    context.fillStyle = ink.line;
    context.fillRect(Math.round(x(place)), top, 1, bottom - top);
    const label = `${pass + 1}`;
    if (x(place) < free) return;
    context.fillStyle = ink.muted;
    context.fillText(label, x(place) + 2, top - 4);
    free = x(place) + context.measureText(label).width + 8;
  });
}

function drawInputs({ context, ink, x, rows, trace, unit, last, from, to }) {
  const row = rows.find(({ kind }) => kind === "input");
  const pitch = row.height / row.size;
  context.fillStyle = ink.muted;
  trace.inputs.moment.forEach((m, k) => {
    if (m > last) return;
    const place = trace.placeOf(unit, m);
    if (place < from || place > to) return;
    const y = row.top + (trace.inputs.index[k] + 0.5) * pitch;
    context.fillRect(x(place) - 0.75, y - 1, 1.5, 2);
  });
}

/** Dots for hidden spikes, diamonds for votes; those of this very moment are larger. */
function drawSpikes({ context, ink, x, rows, trace, unit, last, position, from, to }) {
  const of = new Map(rows.filter(({ p }) => p !== undefined).map((row) => [row.p, row]));
  const { moment, population, neuron } = trace.spikes;
  for (let k = 0; k < moment.length && moment[k] <= last; k++) {
    const place = trace.placeOf(unit, moment[k]);
    if (place < from || place > to) continue;
    const row = of.get(population[k]);
    const y = row.top + ((neuron[k] + 0.5) * row.height) / row.size;
    const isNow = trace.moments[unit][moment[k]] === position;
    if (row.kind === "output") diamond(context, x(place), y, isNow ? 5.5 : 4, ink.accent);
    else dot(context, x(place), y, isNow ? 2.4 : 1.6, ink.ink);
  }
}

function dot(context, x, y, radius, colour) {
  context.fillStyle = colour;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function diamond(context, x, y, radius, colour) {
  context.fillStyle = colour;
  context.beginPath();
  context.moveTo(x, y - radius);
  context.lineTo(x + radius, y);
  context.lineTo(x, y + radius);
  context.lineTo(x - radius, y);
  context.fill();
}

function drawAxis({ context, ink, x, width, rows, from, to }) {
  const { top } = rows.at(-1);
  const every = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000].find(
    (step) => x(from + step) - x(from) >= 36,
  ) ?? 20000;
  context.fillStyle = ink.muted;
  context.textBaseline = "top";
  for (let tick = Math.max(0, Math.ceil(from / every)) * every; tick <= to; tick += every) {
    context.fillRect(Math.round(x(tick)), top, 1, 4);
    const label = tick.toLocaleString("en");
    const wide = context.measureText(label).width;
    const left = Math.min(Math.max(x(tick) - wide / 2, 0), width - wide);
    context.fillText(label, left, top + 6);
  }
}

/** Where time stands; and where the decision fell, once it has. */
function drawNow({ context, ink, x, width, rows, trace, unit, position, last }) {
  const [top, bottom] = [rows[0].height, rows.at(-1).top];
  const total = trace.total(unit);
  const isOver = last >= 0 && position >= total;
  context.fillStyle = isOver ? ink.mark : ink.accent;
  const at = Math.min(x(isOver ? total : position), width - 2);
  context.fillRect(Math.round(at) - 1, top, 2, bottom - top + 4);
  if (!isOver) return;
  // A flag, so that nobody has to tell the line by its colour.
  const label = trace.decision.stopped ? "decided" : "quiet";
  const { font } = context;
  context.font = `600 ${font}`;
  const wide = context.measureText(label).width + 8;
  const left = at + wide > width ? at - wide : at;
  context.fillRect(left, top - 16, wide, 15);
  context.fillStyle = ink.paper;
  context.textBaseline = "alphabetic";
  context.fillText(label, left + 4, top - 5);
  context.font = font;
}
