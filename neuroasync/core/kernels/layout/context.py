"""Columns of the context, the one array that every kernel receives."""

from typing import Final, NamedTuple


class _Context(NamedTuple):
    """Columns of ``context``, i64[69].

    Entries are absolute addresses, except that names ending in ``_AT`` are byte offsets from
    ``SESSION``. Counts and capacities say so in their names.
    """

    # The packed network. Sessions copy these columns and never change them.
    POPULATIONS: int = 0
    CONNECTIONS: int = 1
    LINKS: int = 2
    WEIGHTS: int = 3
    THRESHOLDS: int = 4
    FACTORS: int = 5
    TAUS: int = 6
    UNIFORM: int = 7
    DYNAMICS: int = 8
    NEURONS: int = 9
    """Number of neurons."""
    POPULATION_COUNT: int = 10
    """Number of populations, without the input."""
    CONNECTION_COUNT: int = 11
    CLASSES: int = 12
    """Number of neurons in the output population."""
    INPUTS: int = 13
    """Number of input neurons."""
    BLOCKS: int = 14
    """Number of blocks of 16 neurons that decay together."""

    # How the network is run, and where a session's arrays lie: given by the execution plan.
    SETTINGS: int = 15
    FLOAT_SETTINGS: int = 16
    SESSION: int = 17
    """Address of the session's memory."""
    CONTROL_AT: int = 18
    VOTES_AT: int = 19
    SPIKES_AT: int = 20
    V_AT: int = 21
    MOMENTUM_AT: int = 22
    LAST_GROUP_AT: int = 23
    CLOCKS_AT: int = 24
    RECEIVED_AT: int = 25
    """-1 if no population has a sync threshold."""
    MULTIPLICITY_AT: int = 26
    """-1 if no neuron can fire while an earlier spike of it is pending."""
    SUPRATHRESHOLD_AT: int = 27
    """-1 if no neuron can exceed its threshold without input."""
    EXTRA_STATE_AT: int = 28
    """-1 if no neuron has a synaptic current, an adaptive threshold or a delayed reset."""
    READOUT_AT: int = 29
    """-1 unless the output population consists of leaky integrators."""
    RING_AT: int = 30
    """-1 if the network has a timestep, because its decay factors are then constant."""
    RING_CAPACITY: int = 31
    """Number of passes that the ring remembers."""
    IN_FLIGHT: int = 32
    IN_FLIGHT_CAPACITY: int = 33
    SESSION_END: int = 34
    """Not an entry: the end of the columns that the execution plan fills."""

    # Scratch buffers.
    CURRENT: int = 35
    TOUCHED: int = 36
    FIRED: int = 37
    COUNTS: int = 38
    PENDING: int = 39
    PENDING_CAPACITY: int = 40
    GROUP: int = 41
    GROUP_CAPACITY: int = 42
    KEYS: int = 43
    CHOSEN: int = 44
    INPUT_BITS: int = 45
    SPIKE_LOG: int = 46
    SPIKE_LOG_CAPACITY: int = 47
    """0 if spikes are not logged."""
    SPIKE_LOG_MOMENTUM: int = 48
    DELIVERY_LOG: int = 49
    DELIVERY_LOG_CAPACITY: int = 50
    """0 if deliveries are not logged."""
    PEAKS: int = 51
    """0 outside of training."""
    PEAK_STEPS: int = 52
    PEAK_PASSES: int = 53
    """Number of passes that ``peaks`` and ``peak_steps`` have rows for."""

    # The input events of the sample.
    T_US: int = 54
    INDEX: int = 55
    EVENTS: int = 56
    """Number of input events available."""

    PREFETCHES: int = 57
    """Number of slots whose targets are prefetched together; 0 if the state of the network fits
    into a core's own cache."""
    INPUT_RANKS: int = 58

    # Training under layer-sync.
    TURN_LOG: int = 59
    TURN_LOG_CAPACITY: int = 60
    """0 if turns are not logged."""
    TURNS: int = 61
    """Number of turns in the log."""
    TURN_POTENTIALS: int = 62
    TURN_POTENTIALS_CAPACITY: int = 63
    """Number of potentials that ``turn_potentials`` can hold."""

    VALUE: int = 64
    """Values of the input events of the sample; 0 if they are spikes."""

    # The packed network again.
    OWNERS: int = 65
    IS_SEPARABLE: int = 66
    """1 if the populations are few, and at most one connection without delay ends in each."""

    # The time slice of the coroutine engine.
    END_US: int = 67
    """Virtual time of the last pass to run, µs."""
    LIMIT: int = 68
    """Value of ``control[WORK]`` at which the slice is over."""


Context: Final = _Context()
