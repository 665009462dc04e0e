"""Which column of which array holds what.

Kernels take few, wide arrays: numba unpacks each argument at every call (60 ns an array), so
a record of twenty arrays would cost more than the arithmetic on eight spikes.

========== ======================= ====================================================
array      type                    one column or row per
========== ======================= ====================================================
populations i64[P + 1, 11]         population; the last row is the input
connections i64[C, 18]             connection, in declared order
links      i64[..]                 connections leaving each population; CSR of sparse ones
weights    f32[..]                 weights, source-major for dense ones; biases
thresholds f32[N]                  threshold of each neuron
decay      f32[N]                  factor of each neuron for the interval between passes
potential  f32[3, N]               state: membrane potential, momentum, current
marks      i32[5, N]               state: refractory, reached, received, waiting, touched
pending    i64[4, K]               state: pending spikes
group      i64[5, K]               scratch: the group being delivered
due        i64[5, D]               state: spikes in flight on delayed connections
rows       i64[6, R]               log: a column per spike fired
slots      i64[6, R]               log: a column per spike event delivered
votes      i64[5, classes]         state: votes, when the latest came, when it first led
spikes     i64[P]                  counters: spikes of each population
control    i64[21]                 state: counters of the sample
settings   i64[10]                 what the caller chose
========== ======================= ====================================================
"""

from typing import Final

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
POPULATION_COLUMNS: Final = 11

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

# potential
V: Final = 0
MOMENTUM: Final = 1
CURRENT: Final = 2

# marks
FIRED: Final = 0
"""The pass in which the neuron became refractory, or -1."""
REACHED: Final = 1
"""The last pass in which something reached the neuron, or -1."""
RECEIVED: Final = 2
"""Spikes received in this pass; kept for populations with a sync threshold."""
WAITING: Final = 3
"""How many of the neuron's spikes are pending: the multiplicity of its spike event."""
TOUCHED: Final = 4
"""Scratch: 1 while the neuron is on the list of those that this group reaches."""

# pending
KEY: Final = 0
"""The neuron, in keys and ties: its network-wide index, or N + i for input event i."""
ORIGIN: Final = 1
"""The neuron, where connections are concerned: its index, or N + the flattened input index."""
ARRIVAL: Final = 2
OWNER: Final = 3
"""Position of its population; P is the input."""

# group: KEY, ORIGIN as in pending
COUNT: Final = 2
VIA: Final = 4
"""The connection it comes by, for a spike that was in flight; else -1: all without delay."""

# due
DUE_AT: Final = 0
FIRED_AT: Final = 1
CONNECTION: Final = 2
DUE_ORIGIN: Final = 3
DUE_COUNT: Final = 4

# rows
PASS_: Final = 0
STEP_: Final = 1
TIME_: Final = 2
NEURON_: Final = 3
BECAME_REFRACTORY: Final = 4
DELIVERED_ROWS: Final = 5

# slots
SLOT_KEY: Final = 2
SLOT_ORIGIN: Final = 3
SLOT_COUNT: Final = 4
SLOT_VIA: Final = 5

# votes
VOTES: Final = 0
LATEST: Final = 1
LED_SPIKES: Final = 2
"""Spikes, forward steps and rounds when the class first led; no spikes: it never did."""
LED_STEPS: Final = 3
LED_ROUNDS: Final = 4

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
INTERVAL: Final = 20
"""The interval in µs that ``decay`` is for."""
CONTROL_COLUMNS: Final = 21

# settings
POLICY: Final = 0
GROUP_SIZE: Final = 1
QUEUED: Final = 2
SEED: Final = 3
"""The sample's seed, its 64 bits as a signed integer."""
RULE: Final = 4
RULE_ARGUMENT: Final = 5
MAX_STEPS: Final = 6
OUTPUT: Final = 7
TIMESTEP: Final = 8
FAN_DELAYED: Final = 9
"""The most connections with a delay that leave one population."""
SETTINGS_COLUMNS: Final = 10

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
IN_PASS: Final = 1
STOPPED: Final = 2

# why ``advance`` returned
DONE: Final = 0
BUDGET_SPENT: Final = 1
NEEDS_DECAY: Final = 2
NEEDS_ROOM: Final = 3
STEP_LIMIT: Final = 4
