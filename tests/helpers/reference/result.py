"""The result of a sample, as the reference simulator and the engine runners return it."""

from dataclasses import dataclass, field

Row = tuple[int, int, int, int]
Slot = tuple[int, int, int | tuple[int, float], int]


@dataclass
class Result:
    """The result of one sample, which is the same for all engines.

    Attributes:
        rows: (pass, step, time in µs, neuron) of each spike, in the order in which they fired.
        groups: (pass, step, slots) of each group that is not empty. A slot is (key, origin, count,
            via). For a spike of a neuron, key and origin are the neuron. For input, they are N
            plus the input index, except that the key of the i-th queued event is N + i. ``count``
            is the multiplicity, or of input events with values, (number of events, sum of the
            values); ``via`` is the connection that delayed the spike, or -1.
        v: f32[N], membrane potentials after the last pass.
        extras: (synaptic current, adaptation of the threshold, reset that the next pass applies) of
            each neuron after the last pass; 0 for those that it does not have. Of a delayed reset
            to zero, the third is 1 per spike.
        m: f32[N], momentum of each neuron: its potential at its latest spike, before the reset.
        votes, label, stopped, t_us, passes, steps, rounds, synops, input_events, first_spike,
            first_led: see Decision.
        undelivered: Number of spike events in flight at the end, counted for each connection.
    """

    rows: list[Row] = field(default_factory=list)
    groups: list[tuple[int, int, tuple[Slot, ...]]] = field(default_factory=list)
    v: tuple[float, ...] = ()
    extras: tuple[tuple[float, float, float], ...] = ()
    m: tuple[float, ...] = ()
    votes: list[int] = field(default_factory=list)
    label: int | None = None
    stopped: bool = False
    t_us: int = -1
    passes: int = 0
    steps: int = 0
    rounds: int = 0
    synops: int = 0
    input_events: int = 0
    first_spike: tuple[int, int, int] | None = None
    first_led: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    undelivered: int = 0
