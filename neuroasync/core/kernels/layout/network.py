"""Tables of the packed network, which all its sessions share and never write."""

from typing import Final, NamedTuple

BLOCK: Final = 16
"""Neurons that decay together. A block never extends beyond the end of its population."""

OWNER_BLOCK: Final = 64
"""Neurons that share an entry of ``owners``."""

SLOTS_AHEAD: Final = 16
"""Maximum number of slots whose targets are prefetched together. More would evict each other."""

ROWS_AHEAD: Final = 8 * SLOTS_AHEAD
"""Maximum number of rows that are prefetched together, unless a single slot has more. It bounds the
time without a check of the work budget."""


class _Populations(NamedTuple):
    """Columns of ``populations``, i64[P + 1, 26]: a row per population, the input last."""

    START: int = 0
    """Network-wide index of the first neuron; of the input: N."""
    STOP: int = 1
    """Network-wide index after the last neuron."""
    TURN: int = 2
    """Place in ascending (rank, position); the rank is the longest path from the input over
    connections without delay. It is -1 for the input."""
    SUBTRACTS: int = 3
    """1 if a spike subtracts the threshold or another amount from the membrane potential."""
    REFRACTORY: int = 4
    """1 if a neuron that fired stays silent until the pass ends."""
    SYNC_THRESHOLD: int = 5
    """Spikes that a neuron must receive in a pass before it may fire; 0 for none."""
    FIRES_SPONTANEOUSLY: int = 6
    """1 if a neuron can be above threshold without input: by a bias or a synaptic current, or
    because its reset may leave it there, or because its threshold may fall."""
    OUT_START: int = 7
    OUT_STOP: int = 8
    """``links[OUT_START:OUT_STOP]`` are the connections that leave the population."""
    CUSTOM: int = 9
    """1 if a coroutine supplied by the user computes the population's spikes."""
    HAS_DELAYS: int = 10
    """1 if a connection with a delay leaves the population."""
    FIRST_BLOCK: int = 11
    """Index of the population's first block."""
    HOMOGENEOUS: int = 12
    """1 if all neurons have the same threshold and the same time constant."""
    HAS_BIAS: int = 13
    """1 if a connection with a bias ends in the population."""
    DISJOINT_TARGETS: int = 14
    """1 if all connections that leave the population have different targets."""
    SPIKES_PER_CHECK: int = 15
    """Spikes of the population that are delivered between two checks of the work budget."""
    AT_TURN: int = 16
    """Position of the population whose ``TURN`` is the number of this row."""
    STAYS_ABOVE: int = 17
    """1 if a spike may leave its neuron above threshold in the same pass."""
    KEEPS: int = 18
    """1 if there is no reset: a spike leaves the membrane potential as it is."""
    DELAYED: int = 19
    """1 if the reset takes effect at the start of the next pass."""
    HAS_AMOUNT: int = 20
    """1 if the amount that a reset subtracts is not the threshold; see ``Dynamics.AMOUNT``."""
    HAS_CURRENT: int = 21
    """1 if neurons have a synaptic current."""
    ADAPTS: int = 22
    """1 if thresholds are adaptive."""
    HAS_EXTRAS: int = 23
    """1 if neurons have any of the variables of ``ExtraState``."""
    IS_SPECIAL: int = 24
    """1 if a spike does more than the two resets of plain neurons."""
    DECAYS_IN_LANES: int = 25
    """1 if one constant factor decays the potentials of all neurons, and they have no variables of
    ``ExtraState``. This requires a timestep."""


Populations: Final = _Populations()


class _Uniform(NamedTuple):
    """Columns of ``uniform``, f32[P, 2]: values of the population's first neuron.

    They apply to all neurons of a population that is ``HOMOGENEOUS``.
    """

    THRESHOLD: int = 0
    FACTOR: int = 1
    """Decay factor over one timestep."""


Uniform: Final = _Uniform()


class _Dynamics(NamedTuple):
    """Rows of ``dynamics``, f64[6, N]: a column per neuron, for features that few networks have.

    Those that become factors or terms of potentials are float32 values.
    """

    AMOUNT: int = 0
    """What a reset subtracts, if it is not the threshold."""
    TAU_CURRENT: int = 1
    """Time constant of the synaptic current, µs."""
    CURRENT_FACTOR: int = 2
    """Decay factor of the synaptic current over one timestep."""
    TAU_ADAPTATION: int = 3
    """Time constant of the adaptation, µs."""
    ADAPTATION_FACTOR: int = 4
    """Decay factor of the adaptation over one timestep."""
    INCREMENT: int = 5
    """What a spike adds to the adaptation."""


Dynamics: Final = _Dynamics()


class _Connections(NamedTuple):
    """Columns of ``connections``, i64[C, 18]: a row per connection, in declared order.

    Columns from ``HEIGHT_IN`` on are used by convolutions only.
    """

    SOURCE: int = 0
    """Position of the source population; P for the input."""
    TARGET: int = 1
    """Position of the target population."""
    KIND: int = 2
    """A ``ConnectionKind``."""
    DELAY: int = 3
    """Delay in µs; 0 delivers within the pass."""
    WEIGHT: int = 4
    """Offset of the first weight from the start of ``weights``."""
    BIAS: int = 5
    """Offset of the first bias in ``weights``, one per target neuron; -1 if there is none."""
    INDPTR: int = 6
    """Offset of a sparse connection's row pointers from the start of ``links``."""
    INDICES: int = 7
    """Offset of a sparse connection's targets from the start of ``links``."""
    HEIGHT_IN: int = 8
    WIDTH_IN: int = 9
    CHANNELS_OUT: int = 10
    HEIGHT_OUT: int = 11
    WIDTH_OUT: int = 12
    KERNEL_Y: int = 13
    """Height of the convolution kernel."""
    KERNEL_X: int = 14
    """Width of the convolution kernel."""
    STRIDE: int = 15
    """Vertical stride * 2**20 + horizontal stride."""
    PADDING: int = 16
    """Vertical padding * 2**20 + horizontal padding."""
    CHANNELS_IN: int = 17


Connections: Final = _Connections()
