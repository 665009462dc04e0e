"""The arrays that a context tells the addresses of; see ``layout``."""

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic

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
    "prefetch",
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
    "trailing_zeros",
    "uniform_of",
    "votes_of",
]


@intrinsic
def _pointer(typing_context, address):
    """An integer as a pointer."""

    def build(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), build


@intrinsic
def prefetch(typing_context, address):
    """Have the memory at an address at hand soon."""

    def build(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], cgutils.voidptr_t)
        kinds = [cgutils.voidptr_t, *[ir.IntType(32)] * 3]
        hint = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), kinds), "llvm.prefetch.p0"
        )
        # For writing, to stay, data.
        builder.call(hint, [pointer, *(ir.IntType(32)(value) for value in (1, 3, 1))])
        return context.get_dummy_value()

    return types.void(types.int64), build


@intrinsic
def trailing_zeros(typing_context, word):
    """How many of the lowest bits of a u64, which is not 0, are 0."""

    def build(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), build


@kernel
def i64_at(address, n):
    """The i64[n] at an address."""
    return carray(_pointer(address), n, np.int64)


@kernel
def f32_at(address, n):
    """The f32[n] at an address."""
    return carray(_pointer(address), n, np.float32)


# the network


@kernel
def populations_of(c):
    """i64[P + 1, 16]."""
    rows = c[Context.POPULATION_COUNT] + 1
    return carray(_pointer(c[Context.POPULATIONS]), (rows, len(Populations)), np.int64)


@kernel
def connections_of(c):
    """i64[C, 18]."""
    rows = c[Context.CONNECTION_COUNT]
    return carray(_pointer(c[Context.CONNECTIONS]), (rows, len(Connections)), np.int64)


@kernel
def thresholds_of(c):
    """f32[N]."""
    return carray(_pointer(c[Context.THRESHOLDS]), c[Context.NEURONS], np.float32)


@kernel
def factors_of(c):
    """f32[N]; empty unless time constants differ within a population."""
    return carray(_pointer(c[Context.FACTORS]), c[Context.NEURONS], np.float32)


@kernel
def taus_of(c):
    """f64[P + N]; of neurons only where they differ within a population."""
    n = c[Context.POPULATION_COUNT] + c[Context.NEURONS]
    return carray(_pointer(c[Context.TAUS]), n, np.float64)


@kernel
def uniform_of(c):
    """f32[P, 2]."""
    return carray(_pointer(c[Context.UNIFORM]), (c[Context.POPULATION_COUNT], 2), np.float32)


# the session


@kernel
def settings_of(c):
    """i64[10]."""
    return carray(_pointer(c[Context.SETTINGS]), len(Settings), np.int64)


@kernel
def rule_arguments_of(c):
    """i64[settings[ARGUMENTS]]: of the stop rule."""
    start = c[Context.SETTINGS] + 8 * len(Settings)
    return carray(_pointer(start), settings_of(c)[Settings.RULE_ARGUMENTS], np.int64)


@kernel
def float_settings_of(c):
    """f64[2]."""
    return carray(_pointer(c[Context.FLOAT_SETTINGS]), len(FloatSettings), np.float64)


@kernel
def control_of(c):
    """i64[34]."""
    return carray(_pointer(c[Context.SESSION] + c[Context.CONTROL_AT]), len(Control), np.int64)


@kernel
def votes_of(c):
    """i64[5, classes]."""
    shape = (len(Votes), c[Context.CLASSES])
    return carray(_pointer(c[Context.SESSION] + c[Context.VOTES_AT]), shape, np.int64)


@kernel
def spikes_of(c):
    """i64[P]."""
    return carray(
        _pointer(c[Context.SESSION] + c[Context.SPIKES_AT]), c[Context.POPULATION_COUNT], np.int64
    )


@kernel
def potentials_of(c):
    """f32[N]: membrane potentials."""
    return carray(_pointer(c[Context.SESSION] + c[Context.V_AT]), c[Context.NEURONS], np.float32)


@kernel
def momenta_of(c):
    """f32[N]."""
    return carray(
        _pointer(c[Context.SESSION] + c[Context.MOMENTUM_AT]), c[Context.NEURONS], np.float32
    )


@kernel
def last_group_of(c):
    """i32[N]."""
    return carray(
        _pointer(c[Context.SESSION] + c[Context.LAST_GROUP_AT]), c[Context.NEURONS], np.int32
    )


@kernel
def clocks_of(c):
    """i64[B]."""
    return carray(_pointer(c[Context.SESSION] + c[Context.CLOCKS_AT]), c[Context.BLOCKS], np.int64)


@kernel
def received_of(c):
    """i32[N]; only where ``context[RECEIVED_AT]`` is not -1."""
    return carray(
        _pointer(c[Context.SESSION] + c[Context.RECEIVED_AT]), c[Context.NEURONS], np.int32
    )


@kernel
def multiplicity_of(c):
    """i32[N]; only where ``context[WAITING_AT]`` is not -1."""
    return carray(
        _pointer(c[Context.SESSION] + c[Context.MULTIPLICITY_AT]), c[Context.NEURONS], np.int32
    )


@kernel
def suprathreshold_of(c):
    """i64[N]; only where ``context[LISTED_AT]`` is not -1."""
    return carray(
        _pointer(c[Context.SESSION] + c[Context.SUPRATHRESHOLD_AT]), c[Context.NEURONS], np.int64
    )


@kernel
def ring_of(c):
    """f32[H, P], and the intervals i64[H]; only where ``context[RING_AT]`` is not -1."""
    at, room = c[Context.SESSION] + c[Context.RING_AT], c[Context.RING_CAPACITY]
    intervals = carray(_pointer(at), room, np.int64)
    return carray(
        _pointer(at + 8 * room), (room, c[Context.POPULATION_COUNT]), np.float32
    ), intervals


@kernel
def in_flight_of(c):
    """i64[5, D]."""
    return carray(
        _pointer(c[Context.IN_FLIGHT]), (len(InFlight), c[Context.IN_FLIGHT_CAPACITY]), np.int64
    )


# scratch


@kernel
def current_of(c):
    """f32[N]."""
    return carray(_pointer(c[Context.CURRENT]), c[Context.NEURONS], np.float32)


@kernel
def touched_of(c):
    """i64[N]."""
    return carray(_pointer(c[Context.TOUCHED]), c[Context.NEURONS], np.int64)


@kernel
def fired_of(c):
    """i64[N]."""
    return carray(_pointer(c[Context.FIRED]), c[Context.NEURONS], np.int64)


@kernel
def counts_of(c):
    """i64[3, P]."""
    return carray(_pointer(c[Context.COUNTS]), (3, c[Context.POPULATION_COUNT]), np.int64)


@kernel
def pending_of(c):
    """i64[4, K]."""
    shape = (len(Pending), c[Context.PENDING_CAPACITY])
    return carray(_pointer(c[Context.PENDING]), shape, np.int64)


@kernel
def group_of(c):
    """i64[5, K]."""
    return carray(_pointer(c[Context.GROUP]), (len(Group), c[Context.GROUP_CAPACITY]), np.int64)


@kernel
def order_keys_of(c):
    """u64[K]."""
    return carray(_pointer(c[Context.KEYS]), c[Context.PENDING_CAPACITY], np.uint64)


@kernel
def chosen_of(c):
    """i64[K]."""
    return carray(_pointer(c[Context.CHOSEN]), c[Context.PENDING_CAPACITY], np.int64)


@kernel
def input_bits(c):
    """u64[..]: 0 between passes."""
    return carray(_pointer(c[Context.INPUT_BITS]), c[Context.INPUTS] // 64 + 1, np.uint64)


@kernel
def spike_log_of(c):
    """i64[5, R], and f32[R]."""
    room = c[Context.SPIKE_LOG_CAPACITY]
    spike_log = carray(_pointer(c[Context.SPIKE_LOG]), (len(SpikeLog), room), np.int64)
    return spike_log, carray(_pointer(c[Context.SPIKE_LOG_MOMENTUM]), room, np.float32)


@kernel
def delivery_log_of(c):
    """i64[6, S]."""
    return carray(
        _pointer(c[Context.DELIVERY_LOG]),
        (len(DeliveryLog), c[Context.DELIVERY_LOG_CAPACITY]),
        np.int64,
    )


@kernel
def peaks_of(c):
    """f32 and i32[T, N]; only where ``context[PEAKS]`` is not 0."""
    shape = (c[Context.PEAK_PASSES], c[Context.NEURONS])
    peaks = carray(_pointer(c[Context.PEAKS]), shape, np.float32)
    return peaks, carray(_pointer(c[Context.PEAK_STEPS]), shape, np.int32)


@kernel
def input_times(c):
    """i64[events]."""
    return carray(_pointer(c[Context.T_US]), c[Context.EVENTS], np.int64)


@kernel
def input_index(c):
    """i64[events]."""
    return carray(_pointer(c[Context.INDEX]), c[Context.EVENTS], np.int64)
