// How things are put into words.

export function counted(n, one, many = `${one}s`) {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}

export const UNITS = { rounds: ["round", "rounds"], steps: ["step", "steps"] };

/** A stop rule in a sentence: of leads for many passes the first and the last. */
export function shortRule(rule) {
  const leads = rule.split(",");
  return leads.length < 4 ? rule : `${leads[0]},..,${leads.at(-1)}`;
}

/** Where a run stands: text before, what is strong, and after. */
export function standing(trace, about, unit, position) {
  const { decision } = trace;
  if (trace.isOver(unit, position)) {
    const took = `after ${counted(decision.rounds, "round")}, ${counted(decision.spikes, "spike")}`;
    const why = decision.stopped ? shortRule(decision.until) : "quiet";
    if (decision.label === null) {
      return ["decided: ", "nothing", ` ${took} (${why}); the output never fired`];
    }
    return ["decided: ", about.classes[decision.label], ` ${took} (${why})`];
  }
  const moment = trace.momentAt(unit, position);
  const leader = trace.leaderAt(moment);
  if (leader < 0) return ["", "", "no vote yet"];
  const votes = trace.votesAt(moment);
  const others = votes.filter((_, c) => c !== leader);
  const lead = votes[leader] - Math.max(0, ...others);
  const ahead = lead ? `${lead} ahead` : "level, but first";
  return ["", about.classes[leader], ` leads with ${counted(votes[leader], "vote")}, ${ahead}`];
}

/** Whether the decision is what the sample is known to be. */
export function judged(trace, about, label) {
  if (label === null) return "";
  const { decision } = trace;
  const isRight = decision.label !== null && about.classes[decision.label] === label;
  return isRight ? ", which is right" : `, but it is ${label}`;
}

/** Both runs compared in a sentence; "" unless there are two. */
export function verdict(lanes, about) {
  if (lanes.length !== 2 || lanes.some(({ trace }) => !trace)) return "";
  const [a, b] = lanes.map(({ trace, name }) => ({ name, ...trace.run, ...trace.decision }));
  const who = (run, other) =>
    run.policy === other.policy ? `${run.name} (F = ${run.group_size})` : `${run.policy}`;
  const [nameA, nameB] = [who(a, b), who(b, a)];
  const difference = a.rounds - b.rounds;
  let first = `Both end after ${counted(a.rounds, "round")}`;
  if (difference) {
    const [sooner, later] = difference > 0 ? [nameB, nameA] : [nameA, nameB];
    first = `${capital(sooner)} decides ${counted(Math.abs(difference), "round")} sooner than ${later}`;
  }
  const named = (label) => (label === null ? "nothing" : about.classes[label]);
  if (a.label === b.label) return `${first}; both decide for ${named(a.label)}.`;
  return `${first}; they disagree: ${named(a.label)} (${nameA}), ${named(b.label)} (${nameB}).`;
}

export function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}
