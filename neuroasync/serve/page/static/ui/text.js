// Texts about runs and decisions.

export function formatCount(n, one, many = `${one}s`) {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}

export const UNITS = { rounds: ["round", "rounds"], steps: ["step", "steps"] };

/** Shorten a stop rule with one lead for each of many passes to the first and the last lead. */
export function shortenRule(rule) {
  const leads = rule.split(",");
  return leads.length < 4 ? rule : `${leads[0]},..,${leads.at(-1)}`;
}

/** Return whether a decision is the true class `label`, or null if the true class is unknown. */
export function isCorrect({ decision }, about, label) {
  if (label === null) return null;
  return decision.label !== null && about.classes[decision.label] === label;
}

/** Describe a run at a position: {emphasis, text, mark, isOver}. */
export function describeState(trace, about, label, { unit, position }) {
  if (trace.isOver(unit, position)) return describeDecision(trace, about, label);
  const moment = trace.momentAt(unit, position);
  const leader = trace.leaderAt(moment);
  if (leader < 0) return { emphasis: "", text: "no vote yet", mark: "", isOver: false };
  const votes = trace.votesAt(moment);
  const lead = votes[leader] - Math.max(0, ...votes.filter((_, c) => c !== leader));
  const text = lead ? `leads by ${formatCount(lead, "vote")}` : "tied, but first";
  return { emphasis: about.classes[leader], text, mark: "", isOver: false };
}

function describeDecision(trace, about, label) {
  const { decision } = trace;
  const correct = isCorrect(trace, about, label);
  return {
    emphasis: decision.label === null ? "none" : about.classes[decision.label],
    text: `after ${formatCount(decision.rounds, "round")}`,
    mark: correct === null ? "" : correct ? "correct" : `wrong, it is ${label}`,
    isOver: true,
  };
}

/** Describe a decision in a sentence, with its costs and the stop rule. */
export function describeResult(trace, about, label) {
  const { decision } = trace;
  const { emphasis, text, mark } = describeDecision(trace, about, label);
  const reason = decision.stopped ? shortenRule(decision.until) : "quiet";
  const spikes = formatCount(decision.spikes, "spike");
  return `decided: ${emphasis} ${text}, ${spikes} (${reason})${mark ? `, ${mark}` : ""}`;
}

export function capitalize(text) {
  return text[0].toUpperCase() + text.slice(1);
}
