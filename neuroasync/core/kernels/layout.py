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

from typing import Final

# context: the network
POPULATIONS: Final = 0
CONNECTIONS: Final = 1
LINKS: Final = 2
WEIGHTS: Final = 3
THRESHOLDS: Final = 4
FACTORS: Final = 5
TAUS: Final = 6
UNIFORM: Final = 7
NEURONS: Final = 8
"""Counts: of neurons, populations, connections, classes, input cells, blocks."""
POPULATION_COUNT: Final = 9
CONNECTION_COUNT: Final = 10
CLASSES: Final = 11
CELLS: Final = 12
BLOCKS: Final = 13
# context: the session; the address of its memory, and where in it everything is, in bytes
SETTINGS: Final = 14
KNOBS: Final = 15
SESSION: Final = 16
CONTROL_AT: Final = 17
VOTES_AT: Final = 18
SPIKES_AT: Final = 19
V_AT: Final = 20
MOMENTUM_AT: Final = 21
MARKS_AT: Final = 22
CLOCKS_AT: Final = 23
RECEIVED_AT: Final = 24
"""-1 where the network needs none; so are WAITING_AT, LISTED_AT and RING_AT."""
WAITING_AT: Final = 25
LISTED_AT: Final = 26
RING_AT: Final = 27
RING_ROOM: Final = 28
DUE_: Final = 29
DUE_ROOM: Final = 30
SESSION_END: Final = 31
# context: scratch
CURRENT: Final = 32
TOUCHED: Final = 33
FIRED: Final = 34
COUNTS: Final = 35
PENDING_: Final = 36
PENDING_ROOM: Final = 37
GROUP_: Final = 38
GROUP_ROOM: Final = 39
KEYS: Final = 40
CHOSEN: Final = 41
BITS: Final = 42
ROWS_: Final = 43
ROWS_ROOM: Final = 44
"""0 if no log is kept."""
ROW_POTENTIAL: Final = 45
SLOTS_: Final = 46
SLOTS_ROOM: Final = 47
PEAKS: Final = 48
"""0 if it is not the trainer that runs."""
PEAK_STEPS: Final = 49
PEAK_PASSES: Final = 50
# context: the input events at hand
T_US: Final = 51
INDEX: Final = 52
EVENTS: Final = 53
IS_FAR: Final = 54
"""Of the network: 1 if its state is too large for a core's own cache, so that a delivery asks for
what it will need ahead of time."""
CONTEXT_COLUMNS: Final = 55

# populations
START: Final = 0
STOP: Final = 1
RANK: Final = 2
SUBTRACT: Final = 3
REFRACTORY: Final = 4
SYNC: Final = 5
LATE: Final = 6
"""1 where a neuron that nothing reached may be above threshold: by a bias or a reset."""
OUT_START: Final = 7
OUT_STOP: Final = 8
"""``links[OUT_START:OUT_STOP]`` are the connections that leave the population."""
EXTERNAL: Final = 9
"""1 where a coroutine of the user's stands in for the neurons."""
DELAYED: Final = 10
"""1 where a connection with a delay leaves the population."""
FIRST_BLOCK: Final = 11
EVEN: Final = 12
"""1 where all neurons have the same threshold and time constant."""
BIASED: Final = 13
APART: Final = 14
"""1 where no two connections that leave the population have the same target."""
AT_ONCE: Final = 15
"""Spikes of the population that are delivered before looking at the work that is left."""
POPULATION_COLUMNS: Final = 16

BLOCK: Final = 16
"""Neurons that decay together; blocks do not reach over the end of a population."""

# uniform
THRESHOLD: Final = 0
FACTOR: Final = 1

# connections
SOURCE: Final = 0
TARGET: Final = 1
KIND: Final = 2
DELAY: Final = 3
WEIGHT: Final = 4
"""Offset of the first weight."""
BIAS: Final = 5
"""Offset of the first bias, or -1."""
INDPTR: Final = 6
"""Offsets in ``links`` of a sparse connection's CSR."""
INDICES: Final = 7
HEIGHT_IN: Final = 8
WIDTH_IN: Final = 9
CHANNELS_OUT: Final = 10
HEIGHT_OUT: Final = 11
WIDTH_OUT: Final = 12
KERNEL_Y: Final = 13
KERNEL_X: Final = 14
STRIDE: Final = 15
"""Stride y * 2**20 + stride x; likewise the padding."""
PADDING: Final = 16
CHANNELS_IN: Final = 17
CONNECTION_COLUMNS: Final = 18

# connection kinds
DENSE: Final = 0
CONV2D: Final = 1
SPARSE: Final = 2

# marks: the group that reached the neuron last, times MARK, plus these
REFRACTORY_BIT: Final = 1
"""Until the pass ends."""
LISTED_BIT: Final = 2
"""The neuron is in ``listed``."""
MARK: Final = 4
MARK_LIMIT: Final = 2**30
"""Groups are numbered anew before their marks leave 32 bits."""

# counts
TOUCHES: Final = 0
FIRES: Final = 1
REACHES: Final = 2

# pending
KEY: Final = 0
"""The neuron, in keys and ties: its network-wide index, or N + i for input event i."""
ORIGIN: Final = 1
"""The neuron, where connections are concerned: its index, or N + the flattened input index."""
ARRIVAL: Final = 2
OWNER: Final = 3
"""Position of its population; P is the input."""
PENDING_COLUMNS: Final = 4

# group: KEY, ORIGIN and OWNER as in pending
COUNT: Final = 2
VIA: Final = 4
"""The connection it comes by, for a spike that was in flight; else -1: all without delay."""
GROUP_COLUMNS: Final = 5

# due
DUE_AT: Final = 0
FIRED_AT: Final = 1
CONNECTION: Final = 2
DUE_ORIGIN: Final = 3
DUE_COUNT: Final = 4
DUE_COLUMNS: Final = 5

# rows
PASS_: Final = 0
STEP_: Final = 1
TIME_: Final = 2
NEURON_: Final = 3
BECAME_REFRACTORY: Final = 4
ROW_COLUMNS: Final = 5

# slots: PASS_ and STEP_ as in rows
SLOT_KEY: Final = 2
SLOT_ORIGIN: Final = 3
SLOT_COUNT: Final = 4
SLOT_VIA: Final = 5
SLOT_COLUMNS: Final = 6

# votes
VOTES: Final = 0
LATEST: Final = 1
LED_SPIKES: Final = 2
"""Spikes, forward steps and rounds when the class first led; no spikes: it never did."""
LED_STEPS: Final = 3
LED_ROUNDS: Final = 4
VOTE_COLUMNS: Final = 5

# control
PASS: Final = 0
STEP: Final = 1
TIME: Final = 2
SERIAL: Final = 3
"""Groups delivered so far in the sample: (pass, step) as one number."""
PENDING: Final = 4
GROUP: Final = 5
DUE: Final = 6
ROWS: Final = 7
SLOTS: Final = 8
ROUNDS: Final = 9
STEPS: Final = 10
SYNOPS: Final = 11
SPIKES: Final = 12
INPUTS: Final = 13
"""Input events read."""
FIRST_VOTE: Final = 14
"""Forward steps when the output first fired, or -1."""
FIRST_VOTE_ROUNDS: Final = 15
FIRST_VOTE_SPIKES: Final = 16
CURSOR: Final = 17
"""Next input event to read."""
PHASE: Final = 18
LAST_OWNER: Final = 19
"""Population that fired last in this pass, or -1: for the error that names who kept firing."""
SLOT: Final = 20
"""Next slot of the group to deliver."""
SEED: Final = 21
"""The sample's seed, its 64 bits as a signed integer."""
CLOCK: Final = 22
"""Passes of the session, over all its samples; the next, its value when the sample began."""
SAMPLE_CLOCK: Final = 23
SWEEP: Final = 24
"""The block that is next to be brought up to date without being reached."""
NOW: Final = 25
"""Mark of the group; the next two, its value when the pass and the sample began."""
PASS_MARK: Final = 26
SAMPLE_MARK: Final = 27
LISTED: Final = 28
HEAD: Final = 29
"""Where the pending spikes begin."""
WORK: Final = 30
"""What the session has cost so far, in synaptic operations, or what takes as long."""
NEEDED: Final = 31
"""How many spike events there must be room for, when a kernel returned ``NEEDS_ROOM``."""
TOP: Final = 32
"""The most votes that a class has."""
WATCHED: Final = 33
"""0 if nobody watches the sample; else 2 + the leading class that was shown last (-1: none)."""
CARRIES: Final = 34
"""1 if the next sample goes on where this one is: then the stop rule ends the decision only."""
IS_DECIDED: Final = 35
"""1 once it has said stop; it is not asked any more, though the sample goes on."""
CONTROL_COLUMNS: Final = 36

# settings
POLICY: Final = 0
GROUP_SIZE: Final = 1
QUEUED: Final = 2
RULE: Final = 3
ARGUMENTS: Final = 4
"""How many arguments the stop rule has; they follow the settings."""
MAX_STEPS: Final = 5
OUTPUT: Final = 6
TIMESTEP: Final = 7
FAN_DELAYED: Final = 8
"""The most connections with a delay that leave one population."""
MAX_PASSES: Final = 9
SETTINGS_COLUMNS: Final = 10

# knobs
NOISE: Final = 0
"""λ of the momentum order."""
DROPOUT: Final = 1
"""Probability that a spike leaves its neuron non-refractory (training only)."""
KNOB_COLUMNS: Final = 2

# policies
LAYER_SYNC: Final = 0
RANDOM: Final = 1
MOMENTUM_ORDER: Final = 2
FIFO: Final = 3
CUSTOM: Final = 4

# stop rules
QUIET: Final = 0
VOTE_COUNT: Final = 1
MARGIN: Final = 2
STEPS_AFTER: Final = 3
CALLABLE: Final = 4

# phases
BETWEEN_PASSES: Final = 0
CHOOSING: Final = 1
"""Who goes next is to be chosen, or, if nothing is pending, who fires late."""
DELIVERING: Final = 2
"""A group is open, and delivered up to ``control[SLOT]``."""
INTEGRATING: Final = 3
"""The populations that the group reaches are to integrate; who fires is then entered."""
STOPPED: Final = 4

# why ``run_to_delivery`` returned, if not with the populations that are to integrate
DONE: Final = -1
"""The sample is stopped, or has no pass to run by the time given."""
BUDGET_SPENT: Final = -2
NEEDS_ROOM: Final = -3
NEEDS_CHOICE: Final = -4
"""A policy that is no kernel has to choose."""
STEP_LIMIT: Final = -5
PASS_LIMIT: Final = -6
NEEDS_RULE: Final = -7
"""A stop rule that is no kernel has to be asked."""
MANY: Final = -8
"""More populations than a mask has bits; see ``counts[REACHES]``."""
NEW_LEADER: Final = -9
"""Another class leads than was shown to who watches."""
DECIDED: Final = -10
"""The stop rule said stop, and the sample goes on all the same."""
