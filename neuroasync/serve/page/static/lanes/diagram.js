// The diagram of one lane: populations as grids of neurons, with the queue of pending spikes between
// them. Neurons light up when they fire, and their spikes wait as dots until they are delivered.

import { imageShape } from "../input/samples.js";
import { colors, prepareCanvas } from "../ui/canvas.js";
import { drawClasses } from "./classes.js";

const NAME_PX = 13; // above the grids
const COUNT_PX = 14; // below the queues
const GLOW = 2; // how many rounds or steps a neuron stays lit
const FLASH = 0.6; // the part of a round in which a neuron is lit before it waits
const MAX_NAMED_CLASSES = 12;
const DOT_PX = 4.5; // distance between the dots of a queue

/** Draw the network at a position. `view` is {unit, position, fraction}; `trace` may be null. */
export function drawDiagram(canvas, about, trace, view) {
  const { context, width, height } = prepareCanvas(canvas);
  if (!width) return;
  const font = getComputedStyle(canvas).fontFamily;
  const plot = { context, width, height, about, trace, view, ink: colors(), font };
  const columns = layOut(plot);
  const state = trace ? activityAt(trace, view) : { fired: [], waiting: [] };
  drawConnections(plot, columns);
  for (const column of columns) {
    drawName(plot, column);
    if (column.kind === "classes") drawClasses(plot, column);
    else drawGrid(plot, column, state);
  }
  for (const column of columns) if (column.gap) drawQueue(plot, column, state);
}

/** Return the columns: the input, the other populations in their order, and the output last. */
function layOut({ width, height, about }) {
  const outputIndex = about.populations.findIndex(({ name }) => name === about.output);
  const hidden = about.populations
    .map(({ name, size }, p) => ({ name, size, p }))
    .filter(({ p }) => p !== outputIndex);
  const gap = Math.max(14, Math.round(width * 0.06));
  const isNamed = about.classes.length <= MAX_NAMED_CLASSES;
  const grids = 1 + hidden.length + (isNamed ? 0 : 1);
  const outputWidth = isNamed ? Math.round(Math.max(34, width * 0.1)) : 0;
  const room = width - outputWidth - gap * (1 + hidden.length);
  const side = Math.max(4, Math.min(height - NAME_PX - COUNT_PX, Math.floor(room / grids)));
  // Space that the grids do not need widens the queues.
  const wide = gap + Math.max(0, room - side * grids) / (1 + hidden.length);
  const at = (k) => k * (side + wide);
  const grid = (fields) => ({ kind: "grid", top: NAME_PX, side, gap: wide, ...fields });
  const inputShape = imageShape(about.input) ?? squareShape(about.input.size);
  const columns = [
    grid({ x: 0, name: "input", p: -1, size: about.input.size, shape: inputShape }),
    ...hidden.map((each, k) => grid({ x: at(k + 1), ...each, shape: squareShape(each.size) })),
  ];
  const size = about.classes.length;
  const output = { x: at(columns.length), name: about.output, p: outputIndex, size, gap: 0 };
  const shape = squareShape(size);
  const asClasses = { kind: "classes", top: NAME_PX, side, wide: outputWidth };
  return [...columns, isNamed ? { ...output, ...asClasses } : grid({ ...output, shape })];
}

function squareShape(size) {
  const width = Math.ceil(Math.sqrt(size));
  return [Math.ceil(size / width), width];
}

function activityAt({ activity }, { unit, position }) {
  return {
    fired: activity.firedAt(unit, position, GLOW),
    waiting: activity.waitingAt(unit, position),
  };
}

function drawName({ context, ink, font, width }, { x, name, top, side, wide }) {
  context.font = `10px ${font}`;
  context.fillStyle = ink.muted;
  const room = Math.min(width - x, (wide ?? side) + 8);
  let text = name;
  while (text.length > 1 && context.measureText(text).width > room) {
    text = `${text.replace(/…$/, "").slice(0, -1)}…`;
  }
  context.fillText(text, x, top - 4);
}

/** Draw connections. Those that skip populations are arcs below the grids. */
function drawConnections({ context, ink, about }, columns) {
  Object.assign(context, { strokeStyle: ink.line, lineWidth: 1 });
  for (const [source, target] of about.connections) {
    const [from, to] = [source, target].map((name) => columns.findIndex((c) => c.name === name));
    const [a, b] = [columns[from], columns[to]];
    if (!a || !b || from === to) continue;
    const bottom = a.top + a.side;
    context.beginPath();
    if (to === from + 1) {
      context.moveTo(a.x + a.side + 2, a.top + a.side / 2);
      context.lineTo(b.x - 2, a.top + a.side / 2);
    } else {
      const [left, right] = [a.x + a.side / 2, b.x + (b.wide ?? b.side) / 2];
      context.moveTo(left, bottom);
      context.bezierCurveTo(left, bottom + 14, right, bottom + 14, right, bottom);
    }
    context.stroke();
  }
}

function drawGrid({ context, ink, trace, view }, column, { fired, waiting }) {
  const [rows, across] = column.shape;
  const pitch = column.side / Math.max(rows, across);
  const dot = Math.max(0.75, pitch - (pitch > 4 ? 1.5 : 0.5));
  const cells = rows * across;
  const left = column.x + (column.side - across * pitch) / 2;
  const top = column.top + (column.side - rows * pitch) / 2;
  const paint = (neuron, color, alpha) => {
    const cell = neuron % cells; // the channels of an image share its cells
    Object.assign(context, { fillStyle: color, globalAlpha: alpha });
    const [x, y] = [left + (cell % across) * pitch, top + Math.floor(cell / across) * pitch];
    context.fillRect(x, y, dot, dot);
  };
  for (let cell = 0; cell < Math.min(column.size, cells); cell++) paint(cell, ink.cell, 1);
  // The whole sample is the faint background of the input.
  if (column.p < 0) trace?.inputShares.forEach((share, k) => paint(k, ink.muted, 0.4 * share));
  for (const { population, neuron, age } of fired) {
    const glow = 1 - (age + view.fraction) / GLOW;
    if (population === column.p && glow > 0) paint(neuron, ink.accent, glow);
  }
  for (const { population, neuron, from } of waiting) {
    if (population !== column.p) continue;
    const isNew = view.position + view.fraction - from < FLASH && view.isPlaying;
    paint(neuron, isNew ? ink.accent : ink.wait, 1);
  }
  context.globalAlpha = 1;
}

/** Draw the pending spikes of a population as a pile, and those that leave it on their way. */
function drawQueue({ context, ink, view, font }, { x, top, side, gap, p }, { waiting }) {
  const own = waiting.filter(({ population }) => population === p);
  if (!own.length) return;
  const across = Math.max(2, Math.floor((gap - 6) / DOT_PX));
  const rows = Math.max(1, Math.floor(side / DOT_PX));
  const left = x + side + (gap - across * DOT_PX) / 2;
  const bottom = top + side;
  context.fillStyle = ink.wait;
  own.forEach(({ until }, k) => {
    const slot = Math.min(k, across * rows - 1); // further spikes are on top of the last one
    let dx = left + (slot % across) * DOT_PX;
    let dy = bottom - (Math.floor(slot / across) + 1) * DOT_PX;
    if (until <= view.position + 1 && view.fraction > 0) {
      const way = ease(view.fraction);
      dx += way * (x + side + gap - dx);
      dy += way * (top + side / 2 - dy);
    }
    context.fillRect(dx, dy, DOT_PX - 1.25, DOT_PX - 1.25);
  });
  context.font = `600 10px ${font}`;
  context.fillStyle = ink.waitText;
  context.textAlign = "center";
  const place = [`${own.length}`, x + side + gap / 2, bottom + COUNT_PX - 3];
  Object.assign(context, { strokeStyle: ink.paper, lineWidth: 3 });
  context.strokeText(...place); // keeps the lines of connections away from the number
  context.fillText(...place);
  context.textAlign = "left";
}

function ease(t) {
  return t * t * (3 - 2 * t);
}
