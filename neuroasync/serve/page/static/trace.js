// One run as the server tells it, asked by position: how many rounds or steps have gone by.

export class Trace {
  constructor(told, about) {
    this.told = told;
    this.decision = told.decision;
    this.run = told.run;
    this.moments = told.moments;
    this.spikes = told.spikes;
    this.inputs = told.inputs;
    this.populations = told.populations;
    this.output = this.populations.findIndex(({ name }) => name === about.output);
    this.length = this.moments.pass.length;
    this.passStarts = this.moments.step.flatMap((step, m) => (step === 0 ? [m] : []));
    this._spikesOf = this._running(this.spikes, (s) => s.population, this.populations.length);
    this._inputsOf = this._running(this.inputs, () => null, 1);
  }

  /** What the whole run took, in rounds or steps. */
  total(unit) {
    return this.length ? this.moments[unit][this.length - 1] : 0;
  }

  /** The last moment by which no more than `position` has gone by; -1 if there is none. */
  momentAt(unit, position) {
    let [low, high] = [-1, this.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.moments[unit][middle] <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Where on the axis a moment stands: a step in the middle of its last slot, input between two. */
  placeOf(unit, moment) {
    return this.moments[unit][moment] - (this.moments.step[moment] ? 0.5 : 0);
  }

  isOver(unit, position) {
    return position >= this.total(unit);
  }

  /** Spikes of population `p` up to a moment. */
  spikesUpTo(moment, p) {
    return moment < 0 ? 0 : this._spikesOf[p][moment];
  }

  /** Input events delivered up to a moment. */
  inputsUpTo(moment) {
    return moment < 0 ? 0 : this._inputsOf[0][moment];
  }

  votesAt(moment) {
    return moment < 0 ? this.decision.votes.map(() => 0) : this.moments.votes[moment];
  }

  leaderAt(moment) {
    return moment < 0 ? -1 : this.moments.leader[moment];
  }

  /** Spikes of each population in each pass: rows of columns. */
  byPass() {
    const rows = this.populations.map(() => new Array(this.passStarts.length).fill(0));
    const { population, pass } = this.spikes;
    population.forEach((p, k) => rows[p][pass[k]]++);
    return rows;
  }

  _running(columns, rowOf, rows) {
    const counts = Array.from({ length: rows }, () => new Array(this.length).fill(0));
    const row = rowOf(columns);
    columns.moment.forEach((m, k) => (counts[row ? row[k] : 0][m] += columns.count?.[k] ?? 1));
    for (const each of counts) for (let m = 1; m < each.length; m++) each[m] += each[m - 1];
    return counts;
  }
}
