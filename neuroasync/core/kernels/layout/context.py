"""Columns of the context, the one array that every kernel receives."""

from typing import Final, NamedTuple


class _Context(NamedTuple):
    """Columns of ``context``, i64[61].

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
    NEURONS: int = 8
    """Number of neurons."""
    POPULATION_COUNT: int = 9
    """Number of populations, without the input."""
    CONNECTION_COUNT: int = 10
    CLASSES: int = 11
    """Number of neurons in the output population."""
    INPUTS: int = 12
    """Number of input neurons."""
    BLOCKS: int = 13
    """Number of blocks of 16 neurons that decay together."""

    # How the network is run, and where a session's arrays lie: given by the execution plan.
    SETTINGS: int = 14
    FLOAT_SETTINGS: int = 15
    SESSION: int = 16
    """Address of the session's memory."""
    CONTROL_AT: int = 17
    VOTES_AT: int = 18
    SPIKES_AT: int = 19
    V_AT: int = 20
    MOMENTUM_AT: int = 21
    LAST_GROUP_AT: int = 22
    CLOCKS_AT: int = 23
    RECEIVED_AT: int = 24
    """-1 if no population has a sync threshold."""
    MULTIPLICITY_AT: int = 25
    """-1 if no neuron can fire while an earlier spike of it is pending."""
    SUPRATHRESHOLD_AT: int = 26
    """-1 if no neuron can exceed its threshold without input."""
    RING_AT: int = 27
    """-1 if the network has a timestep, because its decay factors are then constant."""
    RING_CAPACITY: int = 28
    """Number of passes that the ring remembers."""
    IN_FLIGHT: int = 29
    IN_FLIGHT_CAPACITY: int = 30
    SESSION_END: int = 31
    """Not an entry: the end of the columns that the execution plan fills."""

    # Scratch buffers.
    CURRENT: int = 32
    TOUCHED: int = 33
    FIRED: int = 34
    COUNTS: int = 35
    PENDING: int = 36
    PENDING_CAPACITY: int = 37
    GROUP: int = 38
    GROUP_CAPACITY: int = 39
    KEYS: int = 40
    CHOSEN: int = 41
    INPUT_BITS: int = 42
    SPIKE_LOG: int = 43
    SPIKE_LOG_CAPACITY: int = 44
    """0 if spikes are not logged."""
    SPIKE_LOG_MOMENTUM: int = 45
    DELIVERY_LOG: int = 46
    DELIVERY_LOG_CAPACITY: int = 47
    """0 if deliveries are not logged."""
    PEAKS: int = 48
    """0 outside of training."""
    PEAK_STEPS: int = 49
    PEAK_PASSES: int = 50
    """Number of passes that ``peaks`` and ``peak_steps`` have rows for."""

    # The input events of the sample.
    T_US: int = 51
    INDEX: int = 52
    EVENTS: int = 53
    """Number of input events available."""

    PREFETCHES: int = 54
    """1 if the state of the network exceeds a core's own cache, so that deliveries prefetch."""
    INPUT_RANKS: int = 55

    # Training under layer-sync.
    TURN_LOG: int = 56
    TURN_LOG_CAPACITY: int = 57
    """0 if turns are not logged."""
    TURNS: int = 58
    """Number of turns in the log."""
    TURN_POTENTIALS: int = 59
    TURN_POTENTIALS_CAPACITY: int = 60
    """Number of potentials that ``turn_potentials`` has room for."""


Context: Final = _Context()
