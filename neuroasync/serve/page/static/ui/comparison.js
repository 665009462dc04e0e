// The costs of both runs up to their decisions, as a table.

import { tableRow } from "./dom.js";
import { shortenRule } from "./text.js";

/** Fill the table. A lane without a run has empty cells. */
export function showComparison({ head, body }, lanes) {
  const titles = lanes.map(({ name, trace }) =>
    trace ? `${name.at(-1)}: ${trace.run.policy}, F = ${trace.run.group_size}` : name.at(-1),
  );
  head.replaceChildren(tableRow(["", ...titles], "th"));
  const className = ({ label }, { classes }) => (label === null ? "none" : classes[label]);
  const rows = [
    ["network", (_, about) => about.name],
    ["decision", className],
    ["stop rule", ({ until }) => shortenRule(until)],
    ["rounds of F", (d) => d.rounds],
    ["forward steps", (d) => d.steps],
    ["spikes", (d) => d.spikes],
    ["synaptic operations", (d) => d.synops],
  ];
  body.replaceChildren(
    ...rows.map(([title, valueOf]) => {
      const values = lanes.map(({ trace, about }) =>
        trace ? valueOf(trace.decision, about) : "",
      );
      const row = tableRow([title, ...values.map((value) => value.toLocaleString("en"))], "td");
      if (values.every((value) => typeof value === "number")) {
        values.forEach((value, k) =>
          row.children[k + 1].classList.toggle("less", value < Math.max(...values)),
        );
      }
      return row;
    }),
  );
}
