// The input: samples to choose from, and the events of the current sample.

import { paintCells } from "../ui/canvas.js";
import { createElement } from "../ui/dom.js";
import { formatCount } from "../ui/text.js";

const MAX_FRAMES = 20;

/** Return height and width of an input that can be shown as an image, or null. */
export function imageShape({ shape }) {
  const [height, width] = shape.slice(-2);
  const isImage = shape.length >= 2 && shape.length <= 3 && Math.min(height, width) >= 4;
  return isImage && Math.max(height, width) <= 160 ? [height, width] : null;
}

/** Return the number of events of each cell, scaled so that the maximum is 1. */
export function countCells(events, [height, width], keep = () => true) {
  const cells = Array.from({ length: height }, () => new Array(width).fill(0));
  events.index.forEach((index, k) => {
    if (!keep(events.t_us[k])) return;
    const cell = index % (height * width);
    cells[Math.floor(cell / width)][cell % width] += 1;
  });
  const maximum = Math.max(1, ...cells.flat());
  return cells.map((row) => row.map((value) => value / maximum));
}

/** Add radio buttons for the samples. Calls `onChoose` with the chosen one. */
export function listSamples(list, about, onChoose) {
  const shape = imageShape(about.input);
  list.classList.toggle("named", shape === null);
  about.samples.forEach((sample, k) => {
    const label = createElement("label", "sample", "");
    const radio = Object.assign(document.createElement("input"), {
      type: "radio", name: "sample", value: String(k),
    });
    radio.addEventListener("change", () => onChoose(sample));
    const name = sample.label === null ? sample.name : `${sample.name}, a ${sample.label}`;
    radio.setAttribute("aria-label", name);
    label.title = name;
    label.append(radio);
    if (shape) {
      const canvas = document.createElement("canvas");
      canvas.setAttribute("aria-hidden", "true");
      const paint = () => paintCells(canvas, countCells(sample.events, shape));
      paint();
      addEventListener("colors", paint);
      label.append(canvas);
    }
    label.append(createElement("span", "", shape ? (sample.label ?? String(k + 1)) : sample.name));
    list.append(label);
  });
}

/** Show the events of a sample by timestep. `events` is null if there is no sample. */
export function showEvents({ text, frames }, events, about) {
  if (!events) {
    text.textContent = "No input yet.";
    frames.replaceChildren();
    frames.setAttribute("aria-label", "No events yet");
    return;
  }
  const shape = imageShape(about.input);
  const step = about.timestep_us;
  const last = events.t_us.at(-1) ?? 0;
  const passes = step ? Math.floor(last / step) + 1 : new Set(events.t_us).size;
  text.textContent = events.t_us.length
    ? `${formatCount(events.t_us.length, "event")} in ${formatCount(passes, "timestep")}`
    : "No events.";
  frames.replaceChildren();
  if (!shape || !step || passes > MAX_FRAMES || !events.t_us.length) {
    frames.setAttribute("aria-label", text.textContent);
    return;
  }
  const counts = new Array(passes).fill(0);
  for (const t of events.t_us) counts[Math.floor(t / step)]++;
  frames.setAttribute("aria-label", `Events of each timestep: ${counts.join(", ")}`);
  for (let k = 0; k < passes; k++) {
    const canvas = document.createElement("canvas");
    paintCells(canvas, countCells(events, shape, (t) => Math.floor(t / step) === k));
    const frame = createElement("div", "frame", "");
    frame.append(canvas, createElement("span", "", `${k + 1}`));
    frames.append(frame);
  }
}
