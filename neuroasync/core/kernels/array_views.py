"""Views of the arrays whose addresses a context holds.

Each function takes the context ``c``, i64[69], and returns arrays that share memory with the
session. :mod:`neuroasync.core.kernels.layout` describes their contents and the letters in shapes.
"""

import numpy as np
from numba import carray

from neuroasync.core.kernels.intrinsics import pointer_at
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import (
    FIRED_AT_ONCE,
    Connections,
    Context,
    Control,
    FloatSettings,
    Group,
    InFlight,
    Pending,
    Populations,
    Settings,
    SpikeLog,
    StepCounts,
    TurnLog,
    Votes,
)

__all__ = [
    "chosen_of", "clocks_of", "connections_of", "control_of", "counts_of", "current_of",
    "f32_at", "factors_of", "fired_of", "float_settings_of", "group_of",
    "i32_at", "i64_at", "in_flight_of", "input_bits", "input_index", "input_ranks", "input_times",
    "input_values", "last_group_of", "momenta_of", "multiplicity_of", "order_keys_of", "ordered_of",
    "peaks_of", "pending_of", "populations_of", "potentials_of", "received_of", "ring_of",
    "rule_arguments_of",
    "settings_of", "spike_log_of", "spikes_of", "suprathreshold_of", "taus_of", "thresholds_of",
    "touched_of", "uniform_of", "votes_of",
]  # fmt: skip


@kernel
def i64_at(address, n):
    """Return the i64[n] at an address."""
    return carray(pointer_at(address), n, np.int64)


@kernel
def i32_at(address, n):
    """Return the i32[n] at an address."""
    return carray(pointer_at(address), n, np.int32)


@kernel
def f32_at(address, n):
    """Return the f32[n] at an address."""
    return carray(pointer_at(address), n, np.float32)


# The packed network, shared by all sessions.


@kernel
def populations_of(c):
    """Return the table ``Populations``: i64[P + 1, 26], the input last."""
    rows = c[Context.POPULATION_COUNT] + 1
    return carray(pointer_at(c[Context.POPULATIONS]), (rows, len(Populations)), np.int64)


@kernel
def connections_of(c):
    """Return the table ``Connections``: i64[C, 18], in declared order."""
    rows = c[Context.CONNECTION_COUNT]
    return carray(pointer_at(c[Context.CONNECTIONS]), (rows, len(Connections)), np.int64)


@kernel
def thresholds_of(c):
    """Return the firing threshold of each neuron: f32[N]."""
    return carray(pointer_at(c[Context.THRESHOLDS]), c[Context.NEURONS], np.float32)


@kernel
def factors_of(c):
    """Return the decay factor of each neuron over a timestep: f32[N] or f32[0]."""
    return carray(pointer_at(c[Context.FACTORS]), c[Context.NEURONS], np.float32)


@kernel
def taus_of(c):
    """Return the time constants of populations, then of neurons, µs: f64[P + N].

    Those of neurons exist only if time constants differ within a population.
    """
    n = c[Context.POPULATION_COUNT] + c[Context.NEURONS]
    return carray(pointer_at(c[Context.TAUS]), n, np.float64)


@kernel
def uniform_of(c):
    """Return the table ``Uniform``: f32[P, 2], values of homogeneous populations."""
    return carray(pointer_at(c[Context.UNIFORM]), (c[Context.POPULATION_COUNT], 2), np.float32)


# The settings and the state of a session.


@kernel
def settings_of(c):
    """Return the row ``Settings``: i64[10]."""
    return carray(pointer_at(c[Context.SETTINGS]), len(Settings), np.int64)


@kernel
def rule_arguments_of(c):
    """Return the arguments of the stop rule: i64[settings[RULE_ARGUMENTS]]."""
    start = c[Context.SETTINGS] + 8 * len(Settings)
    return carray(pointer_at(start), settings_of(c)[Settings.RULE_ARGUMENTS], np.int64)


@kernel
def float_settings_of(c):
    """Return the row ``FloatSettings``: f64[2]."""
    return carray(pointer_at(c[Context.FLOAT_SETTINGS]), len(FloatSettings), np.float64)


@kernel
def control_of(c):
    """Return the row ``Control``: i64[49], the counters of the sample."""
    return carray(pointer_at(c[Context.SESSION] + c[Context.CONTROL_AT]), len(Control), np.int64)


@kernel
def votes_of(c):
    """Return the table ``Votes``: i64[5, classes]."""
    shape = (len(Votes), c[Context.CLASSES])
    return carray(pointer_at(c[Context.SESSION] + c[Context.VOTES_AT]), shape, np.int64)


@kernel
def spikes_of(c):
    """Return the number of spikes of each population: i64[P]."""
    return carray(
        pointer_at(c[Context.SESSION] + c[Context.SPIKES_AT]), c[Context.POPULATION_COUNT], np.int64
    )


@kernel
def potentials_of(c):
    """Return the membrane potential of each neuron: f32[N]."""
    return carray(pointer_at(c[Context.SESSION] + c[Context.V_AT]), c[Context.NEURONS], np.float32)


@kernel
def momenta_of(c):
    """Return the momentum of each neuron, its potential at its latest spike: f32[N]."""
    return carray(
        pointer_at(c[Context.SESSION] + c[Context.MOMENTUM_AT]), c[Context.NEURONS], np.float32
    )


@kernel
def last_group_of(c):
    """Return the mark of the last group that reached each neuron, with flags: i32[N]."""
    return i32_at(c[Context.SESSION] + c[Context.LAST_GROUP_AT], c[Context.NEURONS])


@kernel
def clocks_of(c):
    """Return the pass up to which the decay of each block was applied: i64[B]."""
    return i64_at(c[Context.SESSION] + c[Context.CLOCKS_AT], c[Context.BLOCKS])


@kernel
def received_of(c):
    """Return the spikes that each neuron received in the pass: i32[N].

    Exists only if ``context[RECEIVED_AT]`` is not -1.
    """
    return i32_at(c[Context.SESSION] + c[Context.RECEIVED_AT], c[Context.NEURONS])


@kernel
def multiplicity_of(c):
    """Return the multiplicity of the pending spike of each neuron: i32[N].

    Exists only if ``context[MULTIPLICITY_AT]`` is not -1.
    """
    return i32_at(c[Context.SESSION] + c[Context.MULTIPLICITY_AT], c[Context.NEURONS])


@kernel
def suprathreshold_of(c):
    """Return the list of neurons that may be above threshold without input: i64[N].

    Exists only if ``context[SUPRATHRESHOLD_AT]`` is not -1.
    """
    return i64_at(c[Context.SESSION] + c[Context.SUPRATHRESHOLD_AT], c[Context.NEURONS])


@kernel
def ring_of(c):
    """Return the decay factors of the last passes, f32[H, P], and the intervals, i64[H].

    Exists only if ``context[RING_AT]`` is not -1.
    """
    at, room = c[Context.SESSION] + c[Context.RING_AT], c[Context.RING_CAPACITY]
    intervals = carray(pointer_at(at), room, np.int64)
    return carray(
        pointer_at(at + 8 * room), (room, c[Context.POPULATION_COUNT]), np.float32
    ), intervals


@kernel
def in_flight_of(c):
    """Return the table ``InFlight``: i64[5, D], spikes on delayed connections."""
    return carray(
        pointer_at(c[Context.IN_FLIGHT]), (len(InFlight), c[Context.IN_FLIGHT_CAPACITY]), np.int64
    )


# Scratch buffers, which exist only while a pass is under way.


@kernel
def current_of(c):
    """Return the current that the group adds to each neuron: f32[N]."""
    return carray(pointer_at(c[Context.CURRENT]), c[Context.NEURONS], np.float32)


@kernel
def touched_of(c):
    """Return the neurons that the group reached, by population: i64[N]."""
    return carray(pointer_at(c[Context.TOUCHED]), c[Context.NEURONS], np.int64)


@kernel
def fired_of(c):
    """Return the neurons that fired in the step, by population: i64[N + 4]."""
    return carray(pointer_at(c[Context.FIRED]), c[Context.NEURONS] + FIRED_AT_ONCE, np.int64)


@kernel
def counts_of(c):
    """Return the table ``StepCounts``: i64[4, P]."""
    shape = (len(StepCounts), c[Context.POPULATION_COUNT])
    return carray(pointer_at(c[Context.COUNTS]), shape, np.int64)


@kernel
def pending_of(c):
    """Return the table ``Pending``: i32[3, K], the pending spikes."""
    shape = (len(Pending), c[Context.PENDING_CAPACITY])
    return carray(pointer_at(c[Context.PENDING]), shape, np.int32)


@kernel
def group_of(c):
    """Return the table ``Group``: i64[5, K], the slots of the current group."""
    return carray(pointer_at(c[Context.GROUP]), (len(Group), c[Context.GROUP_CAPACITY]), np.int64)


@kernel
def order_keys_of(c):
    """Return the order key of each pending spike: u64[K]."""
    return carray(pointer_at(c[Context.KEYS]), c[Context.PENDING_CAPACITY], np.uint64)


@kernel
def chosen_of(c):
    """Return the positions of the pending spikes that were selected: i64[K]."""
    return carray(pointer_at(c[Context.CHOSEN]), c[Context.PENDING_CAPACITY], np.int64)


@kernel
def ordered_of(c):
    """Return the pending spikes in the order of the policy, if they are few: i32[..]."""
    return carray(pointer_at(c[Context.CHOSEN]), c[Context.PENDING_CAPACITY], np.int32)


@kernel
def input_bits(c):
    """Return one bit for each input index, all 0 between passes: u64[inputs // 64 + 1]."""
    return carray(pointer_at(c[Context.INPUT_BITS]), c[Context.INPUTS] // 64 + 1, np.uint64)


@kernel
def input_ranks(c):
    """Return i64[..]: for each word of ``input_bits``, the number of slots before its inputs."""
    return carray(pointer_at(c[Context.INPUT_RANKS]), c[Context.INPUTS] // 64 + 1, np.int64)


@kernel
def spike_log_of(c):
    """Return the table ``SpikeLog``, i64[5, R], and the momentum of each spike, f32[R]."""
    room = c[Context.SPIKE_LOG_CAPACITY]
    spike_log = carray(pointer_at(c[Context.SPIKE_LOG]), (len(SpikeLog), room), np.int64)
    return spike_log, carray(pointer_at(c[Context.SPIKE_LOG_MOMENTUM]), room, np.float32)


@kernel
def peaks_of(c):
    """Return the highest potentials of silent neurons, f32[T, N], and their steps, i32[T, N].

    Exists only if ``context[PEAKS]`` is not 0.
    """
    shape = (c[Context.PEAK_PASSES], c[Context.NEURONS])
    peaks = carray(pointer_at(c[Context.PEAKS]), shape, np.float32)
    return peaks, carray(pointer_at(c[Context.PEAK_STEPS]), shape, np.int32)


@kernel
def turn_log_of(c):
    """Return the table ``TurnLog``, i64[4, L], and the potentials of the turns, f32[..].

    Exists only if ``context[TURN_LOG_CAPACITY]`` is not 0.
    """
    shape = (len(TurnLog), c[Context.TURN_LOG_CAPACITY])
    potentials = f32_at(c[Context.TURN_POTENTIALS], c[Context.TURN_POTENTIALS_CAPACITY])
    return carray(pointer_at(c[Context.TURN_LOG]), shape, np.int64), potentials


@kernel
def input_times(c):
    """Return the times of the input events, µs: i64[events]."""
    return carray(pointer_at(c[Context.T_US]), c[Context.EVENTS], np.int64)


@kernel
def input_index(c):
    """Return the flattened indices of the input events: i64[events]."""
    return carray(pointer_at(c[Context.INDEX]), c[Context.EVENTS], np.int64)


@kernel
def input_values(c):
    """Return the values of the input events: f32[events].

    Exists only if ``context[VALUE]`` is not 0.
    """
    return carray(pointer_at(c[Context.VALUE]), c[Context.EVENTS], np.float32)
