// The comparison of both runs in a headline, a sentence and an average.

import { capitalize, formatCount, isCorrect } from "./text.js";

const MIN_FACTOR = 1.1; // smaller differences are stated in rounds

/**
 * Return {headline, detail, average} for two lanes: {title, name, about, trace, label, isValidated}.
 *
 * `isValidated` says that the lane runs as its network did when its training measured averages.
 */
export function makeVerdict(lanes) {
  const runs = lanes.map((lane, k) => ({
    ...lane.trace.decision,
    short: shortName(lane, lanes[1 - k]),
    class: className(lane),
    isRight: isCorrect(lane.trace, lane.about, lane.label),
  }));
  return { headline: headline(runs), detail: detail(runs), average: average(lanes) };
}

/** Return {headline, detail, average} while only one lane has decided. */
export function makeInterimVerdict(lane, lanes) {
  const other = lanes.find((each) => each !== lane);
  const rounds = formatCount(lane.trace.decision.rounds, "round");
  const headline = `${capitalize(shortName(lane, other))}: ${className(lane)} after ${rounds}`;
  return { headline, detail: `“${other.title}” still has spikes to deliver.`, average: "" };
}

/** Return the part of a lane's title that tells it from the other lane. */
function shortName(lane, other) {
  const [parts, others] = [lane, other].map(({ title }) => title.split(", "));
  return parts.find((part) => !others.includes(part)) ?? lane.name;
}

function className({ trace: { decision }, about }) {
  return decision.label === null ? "none" : about.classes[decision.label];
}

function headline([a, b]) {
  if (a.isRight !== b.isRight) {
    return `Only “${(a.isRight ? a : b).short}” is right`;
  }
  if (a.isRight === false) return "Both are wrong";
  if (a.label !== b.label && a.isRight === null) {
    return `They disagree: ${a.class} and ${b.class}`;
  }
  const [sooner, later] = a.rounds <= b.rounds ? [a, b] : [b, a];
  if (sooner.rounds === later.rounds) {
    return `Both decide after ${formatCount(a.rounds, "round")}`;
  }
  const name = capitalize(sooner.short);
  const factor = later.rounds / Math.max(1, sooner.rounds);
  if (factor >= MIN_FACTOR) return `${name}: ${factor.toFixed(1)} times sooner`;
  return `${name}: ${formatCount(later.rounds - sooner.rounds, "round")} sooner`;
}

function detail([a, b]) {
  const [first, second] = a.rounds <= b.rounds ? [a, b] : [b, a];
  const cost = ({ rounds, spikes }) => {
    return `${formatCount(rounds, "round")} and ${formatCount(spikes, "spike")}`;
  };
  if (first.class === second.class) {
    return `${first.class} after ${cost(first)}, instead of ${cost(second)}.`;
  }
  return [first, second]
    .map((run) => `${capitalize(run.short)}: ${run.class} after ${cost(run)}.`)
    .join(" ");
}

/** Return the averages that the trainings measured, if both lanes run as in the measurement. */
function average(lanes) {
  if (!lanes.every(({ isValidated }) => isValidated)) return "";
  const [first, second] = lanes
    .map(({ about }) => about.validation)
    .sort((a, b) => a.rounds - b.rounds);
  const percent = ({ accuracy }) => `${(100 * accuracy).toFixed(1)} %`;
  return (
    `Validation digits on average: ${first.rounds.toFixed(1)} rounds instead of ` +
    `${second.rounds.toFixed(1)}, ${percent(first)} correct instead of ${percent(second)}.`
  );
}
