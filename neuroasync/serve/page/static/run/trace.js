// A run, as returned by the server, with lookup by position in rounds or forward steps.

import { Activity } from "./activity.js";

export class Trace {
  constructor(response, about) {
    this.events = response.events;
    this.decision = response.decision;
    this.run = response.run;
    this.moments = response.moments;
    this.spikes = response.spikes;
    this.deliveries = response.deliveries;
    this.inputs = response.inputs;
    this.populations = response.populations;
    this.output = this.populations.findIndex(({ name }) => name === about.output);
    this.length = this.moments.pass.length;
    this.passStarts = this.moments.step.flatMap((step, m) => (step === 0 ? [m] : []));
    this.activity = new Activity(this, about);
    this.inputShares = this._inputShares(about.input.size);
    const populations = this.populations.length;
    this._spikesOf = this._cumulativeCounts(this.spikes, (s) => s.population, populations);
    this._inputsOf = this._cumulativeCounts(this.inputs, () => null, 1);
  }

  /** Return the length of the whole run, in rounds or steps. */
  total(unit) {
    return this.length ? this.moments[unit][this.length - 1] : 0;
  }

  /** Return the last moment at or before `position`, or -1 if there is none. */
  momentAt(unit, position) {
    let [low, high] = [-1, this.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.moments[unit][middle] <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Return the position of a moment on the axis. A step is in the middle of its last slot. */
  positionOf(unit, moment) {
    return this.moments[unit][moment] - (this.moments.step[moment] ? 0.5 : 0);
  }

  isOver(unit, position) {
    return position >= this.total(unit);
  }

  /** Return the number of spikes of population `p` up to a moment. */
  spikesUpTo(moment, p) {
    return moment < 0 ? 0 : this._spikesOf[p][moment];
  }

  /** Return the number of input events delivered up to a moment. */
  inputsUpTo(moment) {
    return moment < 0 ? 0 : this._inputsOf[0][moment];
  }

  votesAt(moment) {
    return moment < 0 ? this.decision.votes.map(() => 0) : this.moments.votes[moment];
  }

  leaderAt(moment) {
    return moment < 0 ? -1 : this.moments.leader[moment];
  }

  /** Return the number of spikes for each population (row) and pass (column). */
  byPass() {
    const rows = this.populations.map(() => new Array(this.passStarts.length).fill(0));
    const { population, pass } = this.spikes;
    population.forEach((p, k) => rows[p][pass[k]]++);
    return rows;
  }

  /** Return the number of events of each input, scaled so that the maximum is 1. */
  _inputShares(size) {
    const counts = new Array(size).fill(0);
    for (const index of this.events.index) counts[index] += 1;
    const maximum = Math.max(1, ...counts);
    return counts.map((count) => count / maximum);
  }

  _cumulativeCounts(columns, tableRow, rows) {
    const counts = Array.from({ length: rows }, () => new Array(this.length).fill(0));
    const row = tableRow(columns);
    columns.moment.forEach((m, k) => (counts[row ? row[k] : 0][m] += columns.count?.[k] ?? 1));
    for (const each of counts) for (let m = 1; m < each.length; m++) each[m] += each[m - 1];
    return counts;
  }
}
