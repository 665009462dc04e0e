// Both runs side by side: a sentence, and a table.

import { rowOf } from "./dom.js";
import { shortRule, verdict } from "./words.js";

/** Show what each run took up to its decision; empty cells for a lane without one. */
export function showTotals({ sentence, head, body }, lanes, about) {
  const titles = lanes.map(({ name, trace }) =>
    trace ? `${name.at(-1)}: ${trace.run.policy}, F = ${trace.run.group_size}` : name.at(-1),
  );
  head.replaceChildren(rowOf(["", ...titles], "th"));
  const named = ({ label }) => (label === null ? "nothing" : about.classes[label]);
  const rows = [
    ["decision", named],
    ["stop rule", ({ until }) => shortRule(until)],
    ["rounds of F", (d) => d.rounds],
    ["forward steps", (d) => d.steps],
    ["spikes", (d) => d.spikes],
    ["synaptic operations", (d) => d.synops],
  ];
  body.replaceChildren(
    ...rows.map(([title, of]) => {
      const values = lanes.map(({ trace }) => (trace ? of(trace.decision) : ""));
      const texts = values.map((value) => value.toLocaleString("en"));
      const row = rowOf([title, ...texts], "td");
      if (values.every((value) => typeof value === "number")) {
        values.forEach((value, k) =>
          row.children[k + 1].classList.toggle("less", value < Math.max(...values)),
        );
      }
      return row;
    }),
  );
  sentence.textContent = verdict(lanes, about);
}
