"""Views of the arrays whose addresses a context holds; ``layout`` describes the arrays."""

import numpy as np
from numba import carray

from neuroasync.core.kernels.intrinsics import pointer_at
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import (
    Connections,
    Context,
    Control,
    DeliveryLog,
    FloatSettings,
    Group,
    InFlight,
    Pending,
    Populations,
    Settings,
    SpikeLog,
    Votes,
)

__all__ = [
    "chosen_of",
    "clocks_of",
    "connections_of",
    "control_of",
    "counts_of",
    "current_of",
    "delivery_log_of",
    "f32_at",
    "factors_of",
    "fired_of",
    "float_settings_of",
    "group_of",
    "i64_at",
    "in_flight_of",
    "input_bits",
    "input_index",
    "input_times",
    "last_group_of",
    "momenta_of",
    "multiplicity_of",
    "order_keys_of",
    "peaks_of",
    "pending_of",
    "populations_of",
    "potentials_of",
    "received_of",
    "ring_of",
    "rule_arguments_of",
    "settings_of",
    "spike_log_of",
    "spikes_of",
    "suprathreshold_of",
    "taus_of",
    "thresholds_of",
    "touched_of",
    "uniform_of",
    "votes_of",
]


@kernel
def i64_at(address, n):
    """Return the i64[n] at an address."""
    return carray(pointer_at(address), n, np.int64)


@kernel
def f32_at(address, n):
    """Return the f32[n] at an address."""
    return carray(pointer_at(address), n, np.float32)


# the network


@kernel
def populations_of(c):
    """Return i64[P + 1, 16]."""
    rows = c[Context.POPULATION_COUNT] + 1
    return carray(pointer_at(c[Context.POPULATIONS]), (rows, len(Populations)), np.int64)


@kernel
def connections_of(c):
    """Return i64[C, 18]."""
    rows = c[Context.CONNECTION_COUNT]
    return carray(pointer_at(c[Context.CONNECTIONS]), (rows, len(Connections)), np.int64)


@kernel
def thresholds_of(c):
    """Return f32[N]."""
    return carray(pointer_at(c[Context.THRESHOLDS]), c[Context.NEURONS], np.float32)


@kernel
def factors_of(c):
    """Return f32[N]; empty unless time constants differ within a population."""
    return carray(pointer_at(c[Context.FACTORS]), c[Context.NEURONS], np.float32)


@kernel
def taus_of(c):
    """Return f64[P + N]; of neurons only where they differ within a population."""
    n = c[Context.POPULATION_COUNT] + c[Context.NEURONS]
    return carray(pointer_at(c[Context.TAUS]), n, np.float64)


@kernel
def uniform_of(c):
    """Return f32[P, 2]."""
    return carray(pointer_at(c[Context.UNIFORM]), (c[Context.POPULATION_COUNT], 2), np.float32)


# the session


@kernel
def settings_of(c):
    """Return i64[10]."""
    return carray(pointer_at(c[Context.SETTINGS]), len(Settings), np.int64)


@kernel
def rule_arguments_of(c):
    """Return i64[settings[ARGUMENTS]]: of the stop rule."""
    start = c[Context.SETTINGS] + 8 * len(Settings)
    return carray(pointer_at(start), settings_of(c)[Settings.RULE_ARGUMENTS], np.int64)


@kernel
def float_settings_of(c):
    """Return f64[2]."""
    return carray(pointer_at(c[Context.FLOAT_SETTINGS]), len(FloatSettings), np.float64)


@kernel
def control_of(c):
    """Return i64[34]."""
    return carray(pointer_at(c[Context.SESSION] + c[Context.CONTROL_AT]), len(Control), np.int64)


@kernel
def votes_of(c):
    """Return i64[5, classes]."""
    shape = (len(Votes), c[Context.CLASSES])
    return carray(pointer_at(c[Context.SESSION] + c[Context.VOTES_AT]), shape, np.int64)


@kernel
def spikes_of(c):
    """Return i64[P]."""
    return carray(
        pointer_at(c[Context.SESSION] + c[Context.SPIKES_AT]), c[Context.POPULATION_COUNT], np.int64
    )


@kernel
def potentials_of(c):
    """Return f32[N]: membrane potentials."""
    return carray(pointer_at(c[Context.SESSION] + c[Context.V_AT]), c[Context.NEURONS], np.float32)


@kernel
def momenta_of(c):
    """Return f32[N]."""
    return carray(
        pointer_at(c[Context.SESSION] + c[Context.MOMENTUM_AT]), c[Context.NEURONS], np.float32
    )


@kernel
def last_group_of(c):
    """Return i32[N]."""
    return carray(
        pointer_at(c[Context.SESSION] + c[Context.LAST_GROUP_AT]), c[Context.NEURONS], np.int32
    )


@kernel
def clocks_of(c):
    """Return i64[B]."""
    return carray(
        pointer_at(c[Context.SESSION] + c[Context.CLOCKS_AT]), c[Context.BLOCKS], np.int64
    )


@kernel
def received_of(c):
    """Return i32[N]; only where ``context[RECEIVED_AT]`` is not -1."""
    return carray(
        pointer_at(c[Context.SESSION] + c[Context.RECEIVED_AT]), c[Context.NEURONS], np.int32
    )


@kernel
def multiplicity_of(c):
    """Return i32[N]; only where ``context[WAITING_AT]`` is not -1."""
    return carray(
        pointer_at(c[Context.SESSION] + c[Context.MULTIPLICITY_AT]), c[Context.NEURONS], np.int32
    )


@kernel
def suprathreshold_of(c):
    """Return i64[N]; only where ``context[LISTED_AT]`` is not -1."""
    return carray(
        pointer_at(c[Context.SESSION] + c[Context.SUPRATHRESHOLD_AT]), c[Context.NEURONS], np.int64
    )


@kernel
def ring_of(c):
    """Return f32[H, P], and the intervals i64[H]; only where ``context[RING_AT]`` is not -1."""
    at, room = c[Context.SESSION] + c[Context.RING_AT], c[Context.RING_CAPACITY]
    intervals = carray(pointer_at(at), room, np.int64)
    return carray(
        pointer_at(at + 8 * room), (room, c[Context.POPULATION_COUNT]), np.float32
    ), intervals


@kernel
def in_flight_of(c):
    """Return i64[5, D]."""
    return carray(
        pointer_at(c[Context.IN_FLIGHT]), (len(InFlight), c[Context.IN_FLIGHT_CAPACITY]), np.int64
    )


# scratch


@kernel
def current_of(c):
    """Return f32[N]."""
    return carray(pointer_at(c[Context.CURRENT]), c[Context.NEURONS], np.float32)


@kernel
def touched_of(c):
    """Return i64[N]."""
    return carray(pointer_at(c[Context.TOUCHED]), c[Context.NEURONS], np.int64)


@kernel
def fired_of(c):
    """Return i64[N]."""
    return carray(pointer_at(c[Context.FIRED]), c[Context.NEURONS], np.int64)


@kernel
def counts_of(c):
    """Return i64[3, P]."""
    return carray(pointer_at(c[Context.COUNTS]), (3, c[Context.POPULATION_COUNT]), np.int64)


@kernel
def pending_of(c):
    """Return i64[4, K]."""
    shape = (len(Pending), c[Context.PENDING_CAPACITY])
    return carray(pointer_at(c[Context.PENDING]), shape, np.int64)


@kernel
def group_of(c):
    """Return i64[5, K]."""
    return carray(pointer_at(c[Context.GROUP]), (len(Group), c[Context.GROUP_CAPACITY]), np.int64)


@kernel
def order_keys_of(c):
    """Return u64[K]."""
    return carray(pointer_at(c[Context.KEYS]), c[Context.PENDING_CAPACITY], np.uint64)


@kernel
def chosen_of(c):
    """Return i64[K]."""
    return carray(pointer_at(c[Context.CHOSEN]), c[Context.PENDING_CAPACITY], np.int64)


@kernel
def input_bits(c):
    """Return u64[..]: 0 between passes."""
    return carray(pointer_at(c[Context.INPUT_BITS]), c[Context.INPUTS] // 64 + 1, np.uint64)


@kernel
def spike_log_of(c):
    """Return i64[5, R], and f32[R]."""
    room = c[Context.SPIKE_LOG_CAPACITY]
    spike_log = carray(pointer_at(c[Context.SPIKE_LOG]), (len(SpikeLog), room), np.int64)
    return spike_log, carray(pointer_at(c[Context.SPIKE_LOG_MOMENTUM]), room, np.float32)


@kernel
def delivery_log_of(c):
    """Return i64[6, S]."""
    return carray(
        pointer_at(c[Context.DELIVERY_LOG]),
        (len(DeliveryLog), c[Context.DELIVERY_LOG_CAPACITY]),
        np.int64,
    )


@kernel
def peaks_of(c):
    """f32 and i32[T, N]; only where ``context[PEAKS]`` is not 0."""
    shape = (c[Context.PEAK_PASSES], c[Context.NEURONS])
    peaks = carray(pointer_at(c[Context.PEAKS]), shape, np.float32)
    return peaks, carray(pointer_at(c[Context.PEAK_STEPS]), shape, np.int32)


@kernel
def input_times(c):
    """Return i64[events]."""
    return carray(pointer_at(c[Context.T_US]), c[Context.EVENTS], np.int64)


@kernel
def input_index(c):
    """Return i64[events]."""
    return carray(pointer_at(c[Context.INDEX]), c[Context.EVENTS], np.int64)
