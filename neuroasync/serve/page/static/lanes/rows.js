// The rows of a raster: the input, the hidden populations and the output, with labels beside them.

import { createElement } from "../ui/dom.js";
import { Votes } from "./votes.js";

const MARGIN_PX = 16; // above the rows for timesteps, and below them for the axis
const LOW_MARGIN_PX = 13; // in a low raster
const LOW_PX = 160;
const MIN_LINE_PX = 9; // lower lines of the output show no class names
const OUTPUT_SHARE = 0.5; // largest fraction of the height for the output
const MAX_NAMED_CLASSES = 32;

/** Return rows that fill a height: {kind, name, size, p, top, height}. */
export function layOutRows(about, height) {
  const { populations, output, classes, input } = about;
  const hidden = populations
    .map(({ name, size }, p) => ({ kind: "population", p, name, size }))
    .filter(({ name }) => name !== output);
  const margin = height < LOW_PX ? LOW_MARGIN_PX : MARGIN_PX;
  const room = height - 2 * margin;
  const p = populations.findIndex(({ name }) => name === output);
  const outputHeight = Math.min(room * OUTPUT_SHARE, Math.max(24, 12 * classes.length));
  const each = (room - outputHeight) / (1 + hidden.length);
  const rows = [
    { kind: "head", height: margin },
    { kind: "input", name: "input", size: input.size, height: each },
    ...hidden.map((row) => ({ ...row, height: each })),
    { kind: "output", name: output, size: classes.length, p, height: outputHeight },
    { kind: "axis", height: margin },
  ];
  let top = 0;
  for (const row of rows) {
    row.top = top;
    top += row.height;
  }
  return rows;
}

/** The labels beside a raster: names on its left, votes on its right. */
export class RowLabels {
  constructor(grid) {
    this._grid = grid;
    this._votes = null; // null if there are too many classes to list
    this._axis = null;
  }

  /** Create the labels of these rows. */
  create(about, rows) {
    for (const old of this._grid.querySelectorAll(".label, .votes")) old.remove();
    this._grid.style.gridTemplateRows = rows.map(({ height }) => `${height}px`).join(" ");
    const put = (element, k) => {
      element.style.gridRow = k + 1;
      this._grid.append(element);
      return element;
    };
    this._votes = null;
    rows.forEach((row, k) => {
      if (row.kind === "head") return;
      const isList = row.kind === "output" && row.size <= MAX_NAMED_CLASSES;
      if (isList) {
        const line = row.height / row.size;
        this._grid.style.setProperty("--line", `${line}px`);
        this._votes = new Votes(about, line >= MIN_LINE_PX);
        for (const element of this._votes.elements) put(element, k);
      }
      if (isList && this._votes.showsNames) return;
      const text = row.kind === "axis" ? "rounds" : row.name;
      const label = put(createElement("span", `label ${row.kind}`, text), k);
      label.title = text; // the text itself may be truncated
      if (row.kind === "axis") this._axis = label;
    });
  }

  show(trace, moment, unit) {
    this._votes?.show(trace, moment);
    if (this._axis) this._axis.textContent = unit;
  }
}
