// What all canvases of the page share.

let known = null;
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  known = null;
  dispatchEvent(new Event("inks"));
});

/** The colours of the style sheet, for canvases; "inks" is dispatched when they change. */
export function inks() {
  if (known === null) {
    const style = getComputedStyle(document.documentElement);
    const names = ["ink", "muted", "line", "band", "accent", "mark", "paper"];
    known = Object.fromEntries(
      names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]),
    );
  }
  return known;
}

/** An empty canvas as fine as the screen, to be drawn on in CSS pixels. */
export function prepared(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** Cells from 0 to 1, rows of columns, one pixel each; the style sheet scales them. */
export function paintCells(canvas, cells) {
  const [height, width] = [cells.length, cells[0].length];
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.fillStyle = inks().ink;
  cells.forEach((row, y) =>
    row.forEach((value, x) => {
      context.globalAlpha = value;
      context.fillRect(x, y, 1, 1);
    }),
  );
}
