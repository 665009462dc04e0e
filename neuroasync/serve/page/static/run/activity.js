// Which spikes wait for their delivery at each position of a run, and which are being delivered.

/** A spike or input event: {population, neuron, from, until}; population -1 stands for the input.
 *
 * It waits from position `from` on and is delivered in the round or step that ends at `until`, which
 * is Infinity if the run ended before.
 */
export class Activity {
  constructor(trace, about) {
    this._trace = trace;
    this._about = about;
    this._byUnit = {};
  }

  /** Return the items that wait at a position, in the order in which they arrived. */
  waitingAt(unit, position) {
    return this._items(unit).filter(({ from, until }) => from <= position && until > position);
  }

  /** Return the items that fired at most `span` before a position, with their age. */
  firedAt(unit, position, span) {
    return this._items(unit)
      .filter(({ from }) => from <= position && from > position - span)
      .map((item) => ({ ...item, age: position - item.from }));
  }

  _items(unit) {
    this._byUnit[unit] ??= [...this._inputs(unit), ...this._spikes(unit)];
    return this._byUnit[unit];
  }

  _spikes(unit) {
    const { spikes, deliveries, moments } = this._trace;
    const waiting = new Map(); // those of each neuron that were not delivered yet
    const items = spikes.moment.map((m, k) => {
      const [population, neuron] = [spikes.population[k], spikes.neuron[k]];
      const item = { population, neuron, from: moments[unit][m], until: Infinity, moment: m };
      const key = `${population}/${neuron}`;
      if (!waiting.has(key)) waiting.set(key, []);
      waiting.get(key).push(item);
      return item;
    });
    const ends = this._ends(deliveries.moment, unit);
    deliveries.moment.forEach((m, k) => {
      const queue = waiting.get(`${deliveries.population[k]}/${deliveries.neuron[k]}`) ?? [];
      // One delivery takes all spikes of the neuron that wait, so its count may be above 1.
      for (let n = deliveries.count[k]; n > 0 && queue[0]?.moment <= m; n--) {
        queue.shift().until = ends[k];
      }
    });
    return items;
  }

  _inputs(unit) {
    const { inputs, events, moments, passStarts, run } = this._trace;
    const begins = passStarts.map((m) => moments[unit][m]);
    const ends = this._ends(inputs.moment, unit);
    const items = inputs.moment.map((m, k) => ({
      population: -1, neuron: inputs.index[k], from: begins[moments.pass[m]], until: ends[k],
    }));
    if (run.input !== "queued") return items;
    return [...items, ...this._undelivered(events, begins, items)];
  }

  /** Return the queued input events that were still waiting when the run ended. */
  _undelivered(events, begins, delivered) {
    const counts = new Map();
    const keyOf = ({ neuron, from }) => `${neuron}/${from}`;
    for (const item of delivered) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + 1);
    const step = this._about.timestep_us;
    const times = [...new Set(events.t_us)];
    return events.index.flatMap((neuron, k) => {
      const pass = step ? Math.floor(events.t_us[k] / step) : times.indexOf(events.t_us[k]);
      if (pass >= begins.length) return [];
      const item = { population: -1, neuron, from: begins[pass], until: Infinity };
      const left = counts.get(keyOf(item)) ?? 0;
      counts.set(keyOf(item), left - 1);
      return left > 0 ? [] : [item];
    });
  }

  /** Return the position at which each delivery ends. A step of several rounds delivers F a round. */
  _ends(deliveryMoments, unit) {
    const { moments, run } = this._trace;
    let [last, slot] = [-1, 0];
    return deliveryMoments.map((m) => {
      slot = m === last ? slot + 1 : 0;
      last = m;
      if (unit !== "rounds" || !moments.step[m]) return moments[unit][m];
      const begin = m ? moments.rounds[m - 1] : 0;
      return Math.min(moments.rounds[m], begin + Math.floor(slot / run.group_size) + 1);
    });
  }
}
