"""The arrays that a context tells the addresses of; see ``layout``."""

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic

from neuroasync.core.kernels import layout as lay
from neuroasync.core.kernels.jit import kernel

__all__ = [
    "arguments_of",
    "chosen_of",
    "clocks_of",
    "connections_of",
    "control_of",
    "counts_of",
    "current_of",
    "due_of",
    "f32_at",
    "factors_of",
    "fired_of",
    "group_of",
    "i64_at",
    "input_bits",
    "input_index",
    "input_times",
    "keys_of",
    "knobs_of",
    "listed_of",
    "marks_of",
    "momenta_of",
    "peaks_of",
    "pending_of",
    "populations_of",
    "potentials_of",
    "prefetch",
    "received_of",
    "ring_of",
    "rows_of",
    "settings_of",
    "slots_of",
    "spikes_of",
    "taus_of",
    "thresholds_of",
    "touched_of",
    "trailing_zeros",
    "uniform_of",
    "votes_of",
    "waiting_of",
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
    rows = c[lay.POPULATION_COUNT] + 1
    return carray(_pointer(c[lay.POPULATIONS]), (rows, lay.POPULATION_COLUMNS), np.int64)


@kernel
def connections_of(c):
    """i64[C, 18]."""
    rows = c[lay.CONNECTION_COUNT]
    return carray(_pointer(c[lay.CONNECTIONS]), (rows, lay.CONNECTION_COLUMNS), np.int64)


@kernel
def thresholds_of(c):
    """f32[N]."""
    return carray(_pointer(c[lay.THRESHOLDS]), c[lay.NEURONS], np.float32)


@kernel
def factors_of(c):
    """f32[N]; empty unless time constants differ within a population."""
    return carray(_pointer(c[lay.FACTORS]), c[lay.NEURONS], np.float32)


@kernel
def taus_of(c):
    """f64[P + N]; of neurons only where they differ within a population."""
    n = c[lay.POPULATION_COUNT] + c[lay.NEURONS]
    return carray(_pointer(c[lay.TAUS]), n, np.float64)


@kernel
def uniform_of(c):
    """f32[P, 2]."""
    return carray(_pointer(c[lay.UNIFORM]), (c[lay.POPULATION_COUNT], 2), np.float32)


# the session


@kernel
def settings_of(c):
    """i64[10]."""
    return carray(_pointer(c[lay.SETTINGS]), lay.SETTINGS_COLUMNS, np.int64)


@kernel
def arguments_of(c):
    """i64[settings[ARGUMENTS]]: of the stop rule."""
    start = c[lay.SETTINGS] + 8 * lay.SETTINGS_COLUMNS
    return carray(_pointer(start), settings_of(c)[lay.ARGUMENTS], np.int64)


@kernel
def knobs_of(c):
    """f64[2]."""
    return carray(_pointer(c[lay.KNOBS]), lay.KNOB_COLUMNS, np.float64)


@kernel
def control_of(c):
    """i64[34]."""
    return carray(_pointer(c[lay.SESSION] + c[lay.CONTROL_AT]), lay.CONTROL_COLUMNS, np.int64)


@kernel
def votes_of(c):
    """i64[5, classes]."""
    shape = (lay.VOTE_COLUMNS, c[lay.CLASSES])
    return carray(_pointer(c[lay.SESSION] + c[lay.VOTES_AT]), shape, np.int64)


@kernel
def spikes_of(c):
    """i64[P]."""
    return carray(_pointer(c[lay.SESSION] + c[lay.SPIKES_AT]), c[lay.POPULATION_COUNT], np.int64)


@kernel
def potentials_of(c):
    """f32[N]: membrane potentials."""
    return carray(_pointer(c[lay.SESSION] + c[lay.V_AT]), c[lay.NEURONS], np.float32)


@kernel
def momenta_of(c):
    """f32[N]."""
    return carray(_pointer(c[lay.SESSION] + c[lay.MOMENTUM_AT]), c[lay.NEURONS], np.float32)


@kernel
def marks_of(c):
    """i32[N]."""
    return carray(_pointer(c[lay.SESSION] + c[lay.MARKS_AT]), c[lay.NEURONS], np.int32)


@kernel
def clocks_of(c):
    """i64[B]."""
    return carray(_pointer(c[lay.SESSION] + c[lay.CLOCKS_AT]), c[lay.BLOCKS], np.int64)


@kernel
def received_of(c):
    """i32[N]; only where ``context[RECEIVED_AT]`` is not -1."""
    return carray(_pointer(c[lay.SESSION] + c[lay.RECEIVED_AT]), c[lay.NEURONS], np.int32)


@kernel
def waiting_of(c):
    """i32[N]; only where ``context[WAITING_AT]`` is not -1."""
    return carray(_pointer(c[lay.SESSION] + c[lay.WAITING_AT]), c[lay.NEURONS], np.int32)


@kernel
def listed_of(c):
    """i64[N]; only where ``context[LISTED_AT]`` is not -1."""
    return carray(_pointer(c[lay.SESSION] + c[lay.LISTED_AT]), c[lay.NEURONS], np.int64)


@kernel
def ring_of(c):
    """f32[H, P], and the intervals i64[H]; only where ``context[RING_AT]`` is not -1."""
    at, room = c[lay.SESSION] + c[lay.RING_AT], c[lay.RING_ROOM]
    intervals = carray(_pointer(at), room, np.int64)
    return carray(_pointer(at + 8 * room), (room, c[lay.POPULATION_COUNT]), np.float32), intervals


@kernel
def due_of(c):
    """i64[5, D]."""
    return carray(_pointer(c[lay.DUE_]), (lay.DUE_COLUMNS, c[lay.DUE_ROOM]), np.int64)


# scratch


@kernel
def current_of(c):
    """f32[N]."""
    return carray(_pointer(c[lay.CURRENT]), c[lay.NEURONS], np.float32)


@kernel
def touched_of(c):
    """i64[N]."""
    return carray(_pointer(c[lay.TOUCHED]), c[lay.NEURONS], np.int64)


@kernel
def fired_of(c):
    """i64[N]."""
    return carray(_pointer(c[lay.FIRED]), c[lay.NEURONS], np.int64)


@kernel
def counts_of(c):
    """i64[3, P]."""
    return carray(_pointer(c[lay.COUNTS]), (3, c[lay.POPULATION_COUNT]), np.int64)


@kernel
def pending_of(c):
    """i64[4, K]."""
    shape = (lay.PENDING_COLUMNS, c[lay.PENDING_ROOM])
    return carray(_pointer(c[lay.PENDING_]), shape, np.int64)


@kernel
def group_of(c):
    """i64[5, K]."""
    return carray(_pointer(c[lay.GROUP_]), (lay.GROUP_COLUMNS, c[lay.GROUP_ROOM]), np.int64)


@kernel
def keys_of(c):
    """u64[K]."""
    return carray(_pointer(c[lay.KEYS]), c[lay.PENDING_ROOM], np.uint64)


@kernel
def chosen_of(c):
    """i64[K]."""
    return carray(_pointer(c[lay.CHOSEN]), c[lay.PENDING_ROOM], np.int64)


@kernel
def input_bits(c):
    """u64[..]: 0 between passes."""
    return carray(_pointer(c[lay.BITS]), c[lay.CELLS] // 64 + 1, np.uint64)


@kernel
def rows_of(c):
    """i64[5, R], and f32[R]."""
    room = c[lay.ROWS_ROOM]
    rows = carray(_pointer(c[lay.ROWS_]), (lay.ROW_COLUMNS, room), np.int64)
    return rows, carray(_pointer(c[lay.ROW_POTENTIAL]), room, np.float32)


@kernel
def slots_of(c):
    """i64[6, S]."""
    return carray(_pointer(c[lay.SLOTS_]), (lay.SLOT_COLUMNS, c[lay.SLOTS_ROOM]), np.int64)


@kernel
def peaks_of(c):
    """f32 and i32[T, N]; only where ``context[PEAKS]`` is not 0."""
    shape = (c[lay.PEAK_PASSES], c[lay.NEURONS])
    peaks = carray(_pointer(c[lay.PEAKS]), shape, np.float32)
    return peaks, carray(_pointer(c[lay.PEAK_STEPS]), shape, np.int32)


@kernel
def input_times(c):
    """i64[events]."""
    return carray(_pointer(c[lay.T_US]), c[lay.EVENTS], np.int64)


@kernel
def input_index(c):
    """i64[events]."""
    return carray(_pointer(c[lay.INDEX]), c[lay.EVENTS], np.int64)
