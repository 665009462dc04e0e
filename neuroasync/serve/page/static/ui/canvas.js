// Helpers for the canvases of the page.

const VARIABLES = {
  ink: "ink", muted: "muted", line: "line", band: "band", accent: "accent", paper: "paper",
  onAccent: "accent-ink", soft: "accent-soft", wait: "wait", waitText: "wait-text", cell: "cell",
};

let cached = null;
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  cached = null;
  dispatchEvent(new Event("colors"));
});

/** Return the colors of the style sheet. The window dispatches "colors" when they change. */
export function colors() {
  if (cached === null) {
    const style = getComputedStyle(document.documentElement);
    const valueOf = (variable) => style.getPropertyValue(`--${variable}`).trim();
    const entries = Object.entries(VARIABLES);
    cached = Object.fromEntries(entries.map(([key, variable]) => [key, valueOf(variable)]));
  }
  return cached;
}

/** Clear a canvas and match its resolution to the screen. Drawing uses CSS pixels. */
export function prepareCanvas(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** Paint rows of values from 0 to 1, one pixel each. The style sheet scales the canvas. */
export function paintCells(canvas, cells) {
  const [height, width] = [cells.length, cells[0].length];
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.fillStyle = colors().ink;
  cells.forEach((row, y) =>
    row.forEach((value, x) => {
      context.globalAlpha = value;
      context.fillRect(x, y, 1, 1);
    }),
  );
}
