// The comparison of both runs, as a sentence and a table.

import { tableRow } from "./dom.js";
import { compareRuns, shortenRule } from "./text.js";

/** Show the costs of each run up to its decision. A lane without a run has empty cells. */
export function showComparison({ sentence, head, body }, lanes, about) {
  const titles = lanes.map(({ name, trace }) =>
    trace ? `${name.at(-1)}: ${trace.run.policy}, F = ${trace.run.group_size}` : name.at(-1),
  );
  head.replaceChildren(tableRow(["", ...titles], "th"));
  const className = ({ label }) => (label === null ? "none" : about.classes[label]);
  const rows = [
    ["decision", className],
    ["stop rule", ({ until }) => shortenRule(until)],
    ["rounds of F", (d) => d.rounds],
    ["forward steps", (d) => d.steps],
    ["spikes", (d) => d.spikes],
    ["synaptic operations", (d) => d.synops],
  ];
  body.replaceChildren(
    ...rows.map(([title, valueOf]) => {
      const values = lanes.map(({ trace }) => (trace ? valueOf(trace.decision) : ""));
      const texts = values.map((value) => value.toLocaleString("en"));
      const row = tableRow([title, ...texts], "td");
      if (values.every((value) => typeof value === "number")) {
        values.forEach((value, k) =>
          row.children[k + 1].classList.toggle("less", value < Math.max(...values)),
        );
      }
      return row;
    }),
  );
  sentence.textContent = compareRuns(lanes, about);
}
