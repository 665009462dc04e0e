// The drawing pad: mouse, finger and pen, or keys.

import { inks, prepared } from "./canvas.js";

const PEN = 0.085; // of the pad's side
const STRIDE = 0.05; // of the pad's side, for a key

/**
 * Dispatches "stroke" when one has ended, and "draw" while one grows.
 * `strokes` are lists of [x, y] from 0 to 1.
 */
export class Pad extends EventTarget {
  constructor(canvas, hint) {
    super();
    this.strokes = [];
    this._canvas = canvas;
    this._hint = hint;
    this._drawing = null; // the stroke that grows
    this._pointer = null; // that draws it; another finger does not
    this._cursor = null; // of the keys: [x, y]
    canvas.addEventListener("pointerdown", (event) => this._down(event));
    canvas.addEventListener("pointermove", (event) => this._move(event));
    canvas.addEventListener("pointerup", (event) => this._up(event));
    canvas.addEventListener("pointercancel", (event) => this._up(event));
    canvas.addEventListener("keydown", (event) => this._key(event));
    canvas.addEventListener("focus", () => this._focus());
    canvas.addEventListener("blur", () => this._blur());
    new ResizeObserver(() => this.paint()).observe(canvas);
  }

  clear() {
    this.strokes = [];
    this._drawing = this._pointer = null;
    this.paint();
  }

  paint() {
    const { context, width, height } = prepared(this._canvas);
    if (!width) return;
    const ink = inks();
    Object.assign(context, { lineWidth: PEN * width, lineCap: "round", lineJoin: "round" });
    context.strokeStyle = ink.ink;
    for (const stroke of this.strokes) {
      context.beginPath();
      stroke.forEach(([x, y], k) => context[k ? "lineTo" : "moveTo"](x * width, y * height));
      if (stroke.length === 1) context.lineTo(stroke[0][0] * width + 0.01, stroke[0][1] * height);
      context.stroke();
    }
    if (this._cursor) this._paintCursor(context, ink, width, height);
    this._hint.hidden = this.strokes.length > 0 || this._cursor !== null;
  }

  _paintCursor(context, ink, width, height) {
    const [x, y] = [this._cursor[0] * width, this._cursor[1] * height];
    Object.assign(context, { lineWidth: 2, strokeStyle: this._drawing ? ink.mark : ink.accent });
    context.beginPath();
    context.arc(x, y, this._drawing ? 5 : 8, 0, 2 * Math.PI);
    context.moveTo(x - 14, y);
    context.lineTo(x + 14, y);
    context.moveTo(x, y - 14);
    context.lineTo(x, y + 14);
    context.stroke();
  }

  _at(event) {
    const box = this._canvas.getBoundingClientRect();
    const inside = (value) => Math.min(1, Math.max(0, value));
    return [
      inside((event.clientX - box.left) / box.width),
      inside((event.clientY - box.top) / box.height),
    ];
  }

  _down(event) {
    if (event.button !== 0 || this._drawing) return;
    this._pointer = event.pointerId;
    this._canvas.setPointerCapture(event.pointerId);
    this._cursor = null;
    this._begin(this._at(event));
  }

  _move(event) {
    if (!this._drawing || event.pointerId !== this._pointer) return;
    // A fast pen has several positions in one event; its strokes are rounder for them.
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) this._drawing.push(this._at(each));
    this._grown();
  }

  _up(event) {
    if (this._drawing && event.pointerId === this._pointer) this._end();
  }

  _begin(point) {
    this._drawing = [point];
    this.strokes.push(this._drawing);
    this._grown();
  }

  _grown() {
    this.paint();
    this.dispatchEvent(new Event("draw"));
  }

  _end() {
    this._drawing = this._pointer = null;
    this.paint();
    this.dispatchEvent(new Event("stroke"));
  }

  _focus() {
    if (this._canvas.matches(":focus-visible")) this._cursor = [0.5, 0.25];
    this.paint();
  }

  _blur() {
    if (this._cursor && this._drawing) this._end();
    this._cursor = null;
    this.paint();
  }

  _key(event) {
    const [dx, dy] =
      { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ??
      [0, 0];
    if (event.key !== " " && !dx && !dy) return;
    event.preventDefault();
    this._cursor ??= [0.5, 0.25];
    if (event.key === " ") {
      if (this._drawing) this._end();
      else this._begin([...this._cursor]);
      return;
    }
    const inside = (value) => Math.min(0.95, Math.max(0.05, value));
    this._cursor = [inside(this._cursor[0] + dx * STRIDE), inside(this._cursor[1] + dy * STRIDE)];
    if (this._drawing) {
      this._drawing.push([...this._cursor]);
      this._grown();
    } else {
      this.paint();
    }
  }
}
