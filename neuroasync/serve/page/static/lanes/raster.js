// The spike raster of one lane: time runs to the right, and each neuron has a row.

import { colors, prepareCanvas } from "../ui/canvas.js";

// A slot is the width of one round or step. If all slots do not fit, the raster scrolls.
const MIN_SLOT_PX = 3;
const MIN_SLOTS = 16;
const MARGIN_SLOTS = 0.5; // space for marks at the border
const LOOKAHEAD = 0.15; // fraction of the width that stays free ahead of the playhead

/** Return the range of time that a plot of `width` px shows. */
export function visibleRange(width, extent, position) {
  const slots = Math.max(MIN_SLOTS, Math.min(extent, Math.floor(width / MIN_SLOT_PX)));
  const ahead = Math.ceil(slots * LOOKAHEAD);
  const from = Math.max(0, Math.min(position + ahead - slots, extent - slots));
  return { from: from - MARGIN_SLOTS, to: from + slots + MARGIN_SLOTS };
}

/**
 * Draw everything up to `view.position`.
 *
 * `rows` are the rows of the plot: {kind: "head" | "input" | "population" | "output" | "axis", top,
 * height, size, p}. `view` is {unit, position, extent}.
 */
export function drawRaster(canvas, trace, rows, view) {
  const { context, width, height } = prepareCanvas(canvas);
  if (!width || !trace) return;
  // A lane that has ended does not scroll further, so that its decision stays visible.
  const position = Math.min(view.position, trace.total(view.unit));
  const { from, to } = visibleRange(width, view.extent, position);
  const ink = colors();
  const x = (place) => ((place - from) / (to - from)) * width;
  const plot = { context, width, height, ink, x, rows, from, to, trace, ...view };
  plot.last = trace.momentAt(view.unit, view.position);
  context.font = `10px ${getComputedStyle(canvas).fontFamily}`;
  drawSteps(plot);
  drawRows(plot);
  drawPasses(plot);
  drawNow(plot);
  drawInputs(plot);
  drawSpikes(plot);
  drawAxis(plot);
}

/** Shade forward steps that take several rounds, also while they last. */
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

/** Draw a line at the start of each timestep, with its number if there is space. */
function drawPasses({ context, ink, x, rows, trace, unit, last, from, to }) {
  const [top, bottom] = [rows[0].height, rows.at(-1).top];
  let labelEnd = -Infinity;
  context.textBaseline = "alphabetic";
  trace.passStarts.forEach((m, pass) => {
    const place = trace.moments[unit][m];
    if (m > last || place < from || place > to) return;
    context.fillStyle = ink.line;
    context.fillRect(Math.round(x(place)), top, 1, bottom - top);
    const label = `${pass + 1}`;
    if (x(place) < labelEnd) return;
    context.fillStyle = ink.muted;
    context.fillText(label, x(place) + 2, top - 3);
    labelEnd = x(place) + context.measureText(label).width + 8;
  });
}

function drawInputs({ context, ink, x, rows, trace, unit, last, from, to }) {
  const row = rows.find(({ kind }) => kind === "input");
  const pitch = row.height / row.size;
  context.fillStyle = ink.muted;
  trace.inputs.moment.forEach((m, k) => {
    if (m > last) return;
    const place = trace.positionOf(unit, m);
    if (place < from || place > to) return;
    const y = row.top + (trace.inputs.index[k] + 0.5) * pitch;
    context.fillRect(x(place) - 0.75, y - 1, 1.5, 2);
  });
}

/** Draw dots for hidden spikes and diamonds for votes. Those at the playhead are larger. */
function drawSpikes({ context, ink, x, rows, trace, unit, last, position, from, to }) {
  const populationRows = rows.filter(({ p }) => p !== undefined);
  const rowByPopulation = new Map(populationRows.map((row) => [row.p, row]));
  const { moment, population, neuron } = trace.spikes;
  for (let k = 0; k < moment.length && moment[k] <= last; k++) {
    const place = trace.positionOf(unit, moment[k]);
    if (place < from || place > to) continue;
    const row = rowByPopulation.get(population[k]);
    const y = row.top + ((neuron[k] + 0.5) * row.height) / row.size;
    const isNow = trace.moments[unit][moment[k]] === position;
    if (row.kind === "output") diamond(context, x(place), y, isNow ? 5 : 3.5, ink.accent);
    else dot(context, x(place), y, isNow ? 2.2 : 1.3, ink.ink);
  }
}

function dot(context, x, y, radius, color) {
  context.fillStyle = color;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function diamond(context, x, y, radius, color) {
  context.fillStyle = color;
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
    context.fillRect(Math.round(x(tick)), top, 1, 3);
    const label = tick.toLocaleString("en");
    const labelWidth = context.measureText(label).width;
    const left = Math.min(Math.max(x(tick) - labelWidth / 2, 0), width - labelWidth);
    context.fillText(label, left, top + 5);
  }
}

/** Draw the playhead, or a flag at the decision once it has been reached. */
function drawNow({ context, ink, x, width, rows, trace, unit, position, last }) {
  const [top, bottom] = [rows[0].height, rows.at(-1).top];
  const total = trace.total(unit);
  const isOver = last >= 0 && position >= total;
  context.fillStyle = ink.accent;
  const at = Math.min(x(isOver ? total : position), width - 2);
  context.fillRect(Math.round(at) - 1, top, 2, bottom - top + 4);
  if (!isOver) return;
  // The flag has a text, so that the meaning of the line does not depend on its color.
  const label = trace.decision.stopped ? "decided" : "ended";
  const { font } = context;
  context.font = `600 ${font}`;
  const labelWidth = context.measureText(label).width + 8;
  const left = at + labelWidth > width ? at - labelWidth : at;
  context.fillRect(left, top - 14, labelWidth, 13);
  context.fillStyle = ink.paper;
  context.textBaseline = "alphabetic";
  context.fillText(label, left + 4, top - 4);
  context.font = font;
}
