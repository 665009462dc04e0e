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

/** Describe a run at a position: the text before the emphasis, the emphasis, the text after. */
export function describeState(trace, about, unit, position) {
  const { decision } = trace;
  if (trace.isOver(unit, position)) {
    const rounds = formatCount(decision.rounds, "round");
    const took = `after ${rounds}, ${formatCount(decision.spikes, "spike")}`;
    const reason = decision.stopped ? shortenRule(decision.until) : "quiet";
    if (decision.label === null) {
      return ["", "no decision", ` ${took} (${reason}); the output never fired`];
    }
    return ["decided: ", about.classes[decision.label], ` ${took} (${reason})`];
  }
  const moment = trace.momentAt(unit, position);
  const leader = trace.leaderAt(moment);
  if (leader < 0) return ["", "", "no vote yet"];
  const votes = trace.votesAt(moment);
  const others = votes.filter((_, c) => c !== leader);
  const lead = votes[leader] - Math.max(0, ...others);
  const ahead = lead ? `${lead} ahead` : "tied, but first";
  return ["", about.classes[leader], ` leads with ${formatCount(votes[leader], "vote")}, ${ahead}`];
}

/** Say whether the decision is the true class of the sample. */
export function formatCorrectness(trace, about, label) {
  if (label === null) return "";
  const { decision } = trace;
  const isRight = decision.label !== null && about.classes[decision.label] === label;
  return isRight ? ", which is correct" : `, but the label is ${label}`;
}

/** Compare both runs in a sentence. Returns "" unless both exist. */
export function compareRuns(lanes, about) {
  if (lanes.length !== 2 || lanes.some(({ trace }) => !trace)) return "";
  const [a, b] = lanes.map(({ trace, name }) => ({ name, ...trace.run, ...trace.decision }));
  const nameOf = (run, other) =>
    run.policy === other.policy ? `${run.name} (F = ${run.group_size})` : `${run.policy}`;
  const [nameA, nameB] = [nameOf(a, b), nameOf(b, a)];
  const difference = a.rounds - b.rounds;
  let first = `Both runs end after ${formatCount(a.rounds, "round")}`;
  if (difference) {
    const [sooner, later] = difference > 0 ? [nameB, nameA] : [nameA, nameB];
    const rounds = formatCount(Math.abs(difference), "round");
    first = `${capitalize(sooner)} decides ${rounds} sooner than ${later}`;
  }
  const className = (label) => (label === null ? "no class" : about.classes[label]);
  const [classA, classB] = [className(a.label), className(b.label)];
  if (a.label === b.label) return `${first}; both decide for ${classA}.`;
  return `${first}; they disagree: ${classA} (${nameA}), ${classB} (${nameB}).`;
}

export function capitalize(text) {
  return text[0].toUpperCase() + text.slice(1);
}
