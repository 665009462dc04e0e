// What the lanes are given: a drawing or a sample, and how it looks as events.

import { paintCells } from "./canvas.js";
import { made } from "./dom.js";
import { counted } from "./words.js";

const MOST_FRAMES = 20;

/** The last two dimensions of an input that looks like an image, else null. */
export function imageShape({ shape }) {
  const [height, width] = shape.slice(-2);
  const isImage = shape.length >= 2 && shape.length <= 3 && Math.min(height, width) >= 4;
  return isImage && Math.max(height, width) <= 160 ? [height, width] : null;
}

/** Events as cells from 0 to 1: how often each fired, by the most often. */
export function cellsOf(events, [height, width], keep = () => true) {
  const cells = Array.from({ length: height }, () => new Array(width).fill(0));
  events.index.forEach((index, k) => {
    if (!keep(events.t_us[k])) return;
    const cell = index % (height * width);
    cells[Math.floor(cell / width)][cell % width] += 1;
  });
  const most = Math.max(1, ...cells.flat());
  return cells.map((row) => row.map((value) => value / most));
}

/** Radio buttons for the samples; calls `chosen` with one. */
export function listSamples(list, about, chosen) {
  const shape = imageShape(about.input);
  list.classList.toggle("named", shape === null);
  about.samples.forEach((sample, k) => {
    const label = made("label", "sample", "");
    const radio = Object.assign(document.createElement("input"), {
      type: "radio", name: "sample", value: String(k),
    });
    radio.addEventListener("change", () => chosen(sample));
    const name = sample.label === null ? sample.name : `${sample.name}, a ${sample.label}`;
    radio.setAttribute("aria-label", name);
    label.title = name;
    label.append(radio);
    if (shape) {
      const canvas = document.createElement("canvas");
      canvas.setAttribute("aria-hidden", "true");
      const paint = () => paintCells(canvas, cellsOf(sample.events, shape));
      paint();
      addEventListener("inks", paint);
      label.append(canvas);
    }
    label.append(made("span", "", shape ? (sample.label ?? String(k + 1)) : sample.name));
    list.append(label);
  });
}

/** The events of a sample, timestep by timestep; null if there is none. */
export function showEvents({ text, frames }, events, about) {
  if (!events) {
    text.textContent = "Nothing yet.";
    frames.replaceChildren();
    frames.setAttribute("aria-label", "No events yet");
    return;
  }
  const shape = imageShape(about.input);
  const step = about.timestep_us;
  const last = events.t_us.at(-1) ?? 0;
  const passes = step ? Math.floor(last / step) + 1 : new Set(events.t_us).size;
  text.textContent = events.t_us.length
    ? `${counted(events.t_us.length, "event")} in ${counted(passes, "timestep")}`
    : "No events.";
  frames.replaceChildren();
  if (!shape || !step || passes > MOST_FRAMES || !events.t_us.length) {
    frames.setAttribute("aria-label", text.textContent);
    return;
  }
  const counts = new Array(passes).fill(0);
  for (const t of events.t_us) counts[Math.floor(t / step)]++;
  frames.setAttribute("aria-label", `Events of each timestep: ${counts.join(", ")}`);
  for (let k = 0; k < passes; k++) {
    const canvas = document.createElement("canvas");
    paintCells(canvas, cellsOf(events, shape, (t) => Math.floor(t / step) === k));
    const frame = made("div", "frame", "");
    frame.append(canvas, made("span", "", `${k + 1}`));
    frames.append(frame);
  }
}
