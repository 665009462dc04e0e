// The drawing pad, for mouse, touch, pen and keyboard.

import { colors, prepareCanvas } from "../ui/canvas.js";

const PEN_WIDTH = 0.085; // fraction of the pad's width
const KEY_STEP = 0.05; // fraction of the pad's width that the cursor moves for each key press

/**
 * Dispatches "stroke" when a stroke has ended, and "draw" while one grows.
 * `strokes` are lists of points [x, y] from 0 to 1.
 */
export class Pad extends EventTarget {
  constructor(canvas, hint) {
    super();
    this.strokes = [];
    this._canvas = canvas;
    this._hint = hint;
    this._drawing = null; // the stroke that is being drawn
    this._pointer = null; // the pointer that draws it; others, such as a second finger, do not
    this._cursor = null; // the keyboard cursor [x, y], or null if the keyboard is not used
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
    const { context, width, height } = prepareCanvas(this._canvas);
    if (!width) return;
    const ink = colors();
    Object.assign(context, { lineWidth: PEN_WIDTH * width, lineCap: "round", lineJoin: "round" });
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
    Object.assign(context, { lineWidth: 2, strokeStyle: this._drawing ? ink.wait : ink.accent });
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
    const clamp = (value) => Math.min(1, Math.max(0, value));
    return [
      clamp((event.clientX - box.left) / box.width),
      clamp((event.clientY - box.top) / box.height),
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
    // One event may stand for several positions. Using them all keeps fast strokes round.
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) this._drawing.push(this._at(each));
    this._grow();
  }

  _up(event) {
    if (this._drawing && event.pointerId === this._pointer) this._end();
  }

  _begin(point) {
    this._drawing = [point];
    this.strokes.push(this._drawing);
    this._grow();
  }

  _grow() {
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
    const clamp = (value) => Math.min(0.95, Math.max(0.05, value));
    this._cursor = [clamp(this._cursor[0] + dx * KEY_STEP), clamp(this._cursor[1] + dy * KEY_STEP)];
    if (this._drawing) {
      this._drawing.push([...this._cursor]);
      this._grow();
    } else {
      this.paint();
    }
  }
}
