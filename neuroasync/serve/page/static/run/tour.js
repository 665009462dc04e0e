// The first playback: slow at the start, with a caption for each thing that happens.

const SLOW = 1.1; // rounds per second while the first captions are read
const MEDIUM = 2;
const LONGEST_S = 5; // duration of the rest of the playback

/** Explains one playback of two lanes until the first of them decides. */
export class Tour {
  constructor(lanes, extent) {
    this._lanes = lanes;
    this._extent = extent;
  }

  /** Return the speed at a position, in rounds per second. */
  speedAt(position) {
    if (position < 3) return SLOW;
    if (position < 7) return MEDIUM;
    return Math.max(MEDIUM * 1.5, (this._extent - 7) / LONGEST_S);
  }

  /** Return the caption at a position. */
  captionAt(position) {
    const [first] = this._lanes;
    const f = first.trace.run.group_size;
    if (position < 1) return "The same digit enters both networks as spikes.";
    if (position < 3) return "Blue: a neuron fires. Orange: its spike waits to be delivered.";
    if (position < 5) return `Each round delivers ${f} waiting spikes, as on ${f} parallel units.`;
    const synced = this._lanes.find(({ trace }) => trace.run.policy === "layer-sync");
    return synced
      ? "Layer by layer: the next layer stays idle until all spikes of this one are delivered."
      : "Without layers: every spike may be delivered as soon as it waits.";
  }
}
