"""Where kernels find what: the context, and which column of which array holds what.

A kernel gets one array, the *context*: the addresses and sizes of all others. Numba unpacks each
array argument at every call (60 ns an array), and the steps of a sample are so short that twenty
arguments would cost more than the arithmetic on eight spikes. ``kernels.memory`` turns addresses
into arrays.

The network is shared by all sessions, and never written:

=============== =================== ==========================================================
array           type                one column or row per
=============== =================== ==========================================================
populations     i64[P + 1, 16]      population; the last row is the input
connections     i64[C, 18]          connection, in declared order
links           i64[..]             connections leaving each population; CSR of sparse ones
weights         f32[..]             weights, source-major for dense ones; biases
thresholds      f32[N]              neuron
factors         f32[N] or f32[0]    neuron: decay over a timestep; where time constants differ
taus            f64[P] or f64[P+N]  population, then neuron where time constants differ: µs
uniform         f32[P, 2]           population: threshold, and decay over a timestep
=============== =================== ==========================================================

The state of a session, in one piece of memory:

=============== =================== ==========================================================
control         i64[..]             counters of the sample, and where it stands
votes           i64[5, classes]     votes, when the latest came, when the class first led
spikes          i64[P]              spikes of each population
v, momentum     f32[N]              membrane potential; its value at the latest spike
marks           i32[N]              group that reached the neuron last; refractory; listed
clocks          i64[B]              pass until which a block of 16 neurons has decayed
received        i32[N] or i32[0]    spikes received in the pass, for sync thresholds
waiting         i32[N] or i32[0]    pending spikes of the neuron: its spike event's multiplicity
listed          i64[N] or i64[0]    neurons that may be above threshold with nothing to reach them
ring            f32[H, P], i64[H]   decay of the latest passes, and their intervals
due             i64[5, D]           spikes in flight on delayed connections
=============== =================== ==========================================================

Scratch, which a session has while one of its passes is under way; then any other may have it:

=============== =================== ==========================================================
current         f32[N]              what the group brings; 0 between steps
touched         i64[N]              neurons that the group reaches, by population
fired           i64[N]              neurons that fire in this step, by population
counts          i64[3, P]           of touched (-1: all), of fired; whether the group reaches it
pending         i64[4, K]           the pending spikes
group           i64[5, K]           the group being delivered
keys, chosen    u64[K], i64[K]      the choice of who goes next
bits            u64[..]             which inputs have events in this pass
rows            i64[5, R]           log: a column per spike fired
row_potential   f32[R]              log: its momentum
slots           i64[6, S]           log: a column per spike event delivered
peaks           f32[T, N]           for the trainer: highest potential that left a neuron silent
peak_steps      i32[T, N]           for the trainer: the step of that
=============== =================== ==========================================================
"""

from enum import IntEnum
from typing import Final, NamedTuple


class _Context(NamedTuple):
    """Columns of ``context``."""

    POPULATIONS: int = 0
    CONNECTIONS: int = 1
    LINKS: int = 2
    WEIGHTS: int = 3
    THRESHOLDS: int = 4
    FACTORS: int = 5
    TAUS: int = 6
    UNIFORM: int = 7
    NEURONS: int = 8
    """Counts: of neurons, populations, connections, classes, input cells, blocks."""
    POPULATION_COUNT: int = 9
    CONNECTION_COUNT: int = 10
    CLASSES: int = 11
    INPUTS: int = 12
    BLOCKS: int = 13
    SETTINGS: int = 14
    FLOAT_SETTINGS: int = 15
    SESSION: int = 16
    CONTROL_AT: int = 17
    VOTES_AT: int = 18
    SPIKES_AT: int = 19
    V_AT: int = 20
    MOMENTUM_AT: int = 21
    LAST_GROUP_AT: int = 22
    CLOCKS_AT: int = 23
    RECEIVED_AT: int = 24
    """-1 where the network needs none; so are WAITING_AT, LISTED_AT and RING_AT."""
    MULTIPLICITY_AT: int = 25
    SUPRATHRESHOLD_AT: int = 26
    RING_AT: int = 27
    RING_CAPACITY: int = 28
    IN_FLIGHT: int = 29
    IN_FLIGHT_CAPACITY: int = 30
    SESSION_END: int = 31
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
    """0 if no log is kept."""
    SPIKE_LOG_MOMENTUM: int = 45
    DELIVERY_LOG: int = 46
    DELIVERY_LOG_CAPACITY: int = 47
    PEAKS: int = 48
    """0 if it is not the trainer that runs."""
    PEAK_STEPS: int = 49
    PEAK_PASSES: int = 50
    T_US: int = 51
    INDEX: int = 52
    EVENTS: int = 53
    PREFETCHES: int = 54
    """Of the network: 1 if its state is too large for a core's own cache:
    deliveries then prefetch what they will need."""


Context: Final = _Context()


class _Populations(NamedTuple):
    """Columns of ``populations``."""

    START: int = 0
    STOP: int = 1
    RANK: int = 2
    SUBTRACTS: int = 3
    REFRACTORY: int = 4
    SYNC_THRESHOLD: int = 5
    FIRES_SPONTANEOUSLY: int = 6
    """1 where a neuron that nothing reached may be above threshold: by a bias or a reset."""
    OUT_START: int = 7
    OUT_STOP: int = 8
    """``links[OUT_START:OUT_STOP]`` are the connections that leave the population."""
    CUSTOM: int = 9
    """1 where a coroutine of the user's stands in for the neurons."""
    HAS_DELAYS: int = 10
    """1 where a connection with a delay leaves the population."""
    FIRST_BLOCK: int = 11
    HOMOGENEOUS: int = 12
    """1 where all neurons have the same threshold and time constant."""
    HAS_BIAS: int = 13
    DISJOINT_TARGETS: int = 14
    """1 where no two connections that leave the population have the same target."""
    SPIKES_PER_CHECK: int = 15
    """Spikes of the population that are delivered before looking at the work that is left."""


Populations: Final = _Populations()


class _Uniform(NamedTuple):
    """Columns of ``uniform``."""

    THRESHOLD: int = 0
    FACTOR: int = 1


Uniform: Final = _Uniform()


class _Connections(NamedTuple):
    """Columns of ``connections``."""

    SOURCE: int = 0
    TARGET: int = 1
    KIND: int = 2
    DELAY: int = 3
    WEIGHT: int = 4
    """Offset of the first weight."""
    BIAS: int = 5
    """Offset of the first bias, or -1."""
    INDPTR: int = 6
    """Offsets in ``links`` of a sparse connection's CSR."""
    INDICES: int = 7
    HEIGHT_IN: int = 8
    WIDTH_IN: int = 9
    CHANNELS_OUT: int = 10
    HEIGHT_OUT: int = 11
    WIDTH_OUT: int = 12
    KERNEL_Y: int = 13
    KERNEL_X: int = 14
    STRIDE: int = 15
    """Stride y * 2**20 + stride x; likewise the padding."""
    PADDING: int = 16
    CHANNELS_IN: int = 17


Connections: Final = _Connections()


class _Counts(NamedTuple):
    """Columns of ``counts``."""

    TOUCHED: int = 0
    FIRED: int = 1
    REACHED: int = 2


Counts: Final = _Counts()


class _Pending(NamedTuple):
    """Columns of ``pending``."""

    KEY: int = 0
    """The neuron, in keys and ties: its network-wide index, or N + i for input event i."""
    ORIGIN: int = 1
    """The neuron, where connections are concerned: its index, or N + the flattened input index."""
    ARRIVAL: int = 2
    OWNER: int = 3
    """Position of its population; P is the input."""


Pending: Final = _Pending()


class _Group(NamedTuple):
    """Columns of ``group``."""

    KEY: int = 0
    ORIGIN: int = 1
    MULTIPLICITY: int = 2
    OWNER: int = 3
    CONNECTION: int = 4
    """The connection it comes by, for a spike that was in flight; else -1: all without delay."""


Group: Final = _Group()


class _InFlight(NamedTuple):
    """Columns of ``inflight``."""

    DUE_US: int = 0
    FIRED_US: int = 1
    CONNECTION: int = 2
    ORIGIN: int = 3
    MULTIPLICITY: int = 4


InFlight: Final = _InFlight()


class _SpikeLog(NamedTuple):
    """Columns of ``spikelog``."""

    PASS: int = 0
    STEP: int = 1
    TIME: int = 2
    NEURON: int = 3
    BECAME_REFRACTORY: int = 4


SpikeLog: Final = _SpikeLog()


class _DeliveryLog(NamedTuple):
    """Columns of ``deliverylog``."""

    PASS: int = 0
    STEP: int = 1
    KEY: int = 2
    ORIGIN: int = 3
    MULTIPLICITY: int = 4
    CONNECTION: int = 5


DeliveryLog: Final = _DeliveryLog()


class _Votes(NamedTuple):
    """Columns of ``votes``."""

    COUNT: int = 0
    LATEST: int = 1
    LED_SPIKES: int = 2
    """Spikes, forward steps and rounds when the class first led; no spikes: it never did."""
    LED_STEPS: int = 3
    LED_ROUNDS: int = 4


Votes: Final = _Votes()


class _Control(NamedTuple):
    """Columns of ``control``."""

    PASS: int = 0
    STEP: int = 1
    TIME: int = 2
    GROUP_NUMBER: int = 3
    """Groups delivered so far in the sample: (pass, step) as one number."""
    PENDING: int = 4
    GROUP: int = 5
    IN_FLIGHT: int = 6
    SPIKE_LOG: int = 7
    DELIVERY_LOG: int = 8
    ROUNDS: int = 9
    STEPS: int = 10
    SYNOPS: int = 11
    SPIKES: int = 12
    INPUTS: int = 13
    """Input events read."""
    FIRST_VOTE: int = 14
    """Forward steps when the output first fired, or -1."""
    FIRST_VOTE_ROUNDS: int = 15
    FIRST_VOTE_SPIKES: int = 16
    CURSOR: int = 17
    """Next input event to read."""
    PHASE: int = 18
    LAST_OWNER: int = 19
    """Population that fired last in this pass, or -1: for the error that names who kept firing."""
    SLOT: int = 20
    """Next slot of the group to deliver."""
    SEED: int = 21
    """The sample's seed, its 64 bits as a signed integer."""
    CLOCK: int = 22
    """Passes of the session, over all its samples; the next, its value when the sample began."""
    SAMPLE_CLOCK: int = 23
    SWEEP: int = 24
    """The block that is next to be brought up to date without being reached."""
    NOW: int = 25
    """Mark of the group; the next two, its value when the pass and the sample began."""
    PASS_MARK: int = 26
    SAMPLE_MARK: int = 27
    SUPRATHRESHOLD: int = 28
    HEAD: int = 29
    """Where the pending spikes begin."""
    WORK: int = 30
    """What the session has cost so far, in synaptic operations, or what takes as long."""
    NEEDED_CAPACITY: int = 31
    """How many spike events there must be room for, when a kernel returned ``NEEDS_ROOM``."""
    TOP_VOTES: int = 32
    """The most votes that a class has."""
    WATCHED_LEADER: int = 33
    """0 if nobody watches the sample; else 2 + the leading class that was shown last (-1: none)."""
    CARRIES: int = 34
    """1 if the next sample goes on where this one is: then the stop rule ends the decision only."""
    IS_DECIDED: int = 35
    """1 once it has said stop; it is not asked any more, though the sample goes on."""


Control: Final = _Control()


class _Settings(NamedTuple):
    """Columns of ``settings``."""

    POLICY: int = 0
    GROUP_SIZE: int = 1
    QUEUED: int = 2
    STOP_RULE: int = 3
    RULE_ARGUMENTS: int = 4
    """How many arguments the stop rule has; they follow the settings."""
    MAX_STEPS: int = 5
    OUTPUT: int = 6
    TIMESTEP_US: int = 7
    MAX_DELAYED_FAN_OUT: int = 8
    """The most connections with a delay that leave one population."""
    MAX_PASSES: int = 9


Settings: Final = _Settings()


class _FloatSettings(NamedTuple):
    """Columns of ``floatsettings``."""

    NOISE: int = 0
    """λ of the momentum order."""
    REFRACTORY_DROPOUT: int = 1
    """Probability that a spike leaves its neuron non-refractory (training only)."""


FloatSettings: Final = _FloatSettings()

BLOCK: Final = 16
"""Neurons that decay together; blocks do not reach over the end of a population."""
REFRACTORY_BIT: Final = 1
"""Until the pass ends."""
SUPRATHRESHOLD_BIT: Final = 2
"""The neuron is in ``listed``."""
GROUP_UNIT: Final = 4
GROUP_LIMIT: Final = 2**30
"""Groups are numbered anew before their marks leave 32 bits."""


class ConnectionKind(IntEnum):
    """ConnectionKind."""

    DENSE = 0
    CONV2D = 1
    SPARSE = 2


class PolicyCode(IntEnum):
    """PolicyCode."""

    LAYER_SYNC = 0
    RANDOM = 1
    MOMENTUM = 2
    FIFO = 3
    CUSTOM = 4


class RuleCode(IntEnum):
    """RuleCode."""

    QUIET = 0
    VOTES = 1
    MARGIN = 2
    STEPS = 3
    CALLABLE = 4


class Phase(IntEnum):
    """Phase."""

    BETWEEN_PASSES = 0
    CHOOSING = 1
    """Who goes next is to be chosen, or, if nothing is pending, who fires late."""
    DELIVERING = 2
    """A group is open, and delivered up to ``control[SLOT]``."""
    INTEGRATING = 3
    """The populations that the group reaches are to integrate; who fires is then entered."""
    STOPPED = 4


class Interrupt(IntEnum):
    """Interrupt."""

    DONE = -1
    """The sample is stopped, or has no pass to run by the time given."""
    BUDGET_SPENT = -2
    NEEDS_ROOM = -3
    NEEDS_CHOICE = -4
    """A policy that is no kernel has to choose."""
    STEP_LIMIT = -5
    PASS_LIMIT = -6
    NEEDS_RULE = -7
    """A stop rule that is no kernel has to be asked."""
    MANY_POPULATIONS = -8
    """More populations than a mask has bits; see ``counts[REACHES]``."""
    NEW_LEADER = -9
    """Another class leads than was shown to who watches."""
    DECIDED = -10
    """The stop rule said stop, and the sample goes on all the same."""
