"""Silent sites of up to 16 consecutive neurons: which neurons they are, and their adjoints."""

from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from neuroasync.core.kernels.intrinsics import population_count
from neuroasync.core.kernels.jit import inlined
from neuroasync.core.kernels.vectors.lanes import (
    FLOATS,
    I32,
    I64,
    INTS,
    LANES,
    first,
    load,
    splat,
    store,
)

__all__ = ["lanes_equal", "visit_lanes", "write_neurons"]

_BITS: Final = ir.IntType(LANES)
_MASK: Final = ir.VectorType(ir.IntType(1), LANES)


@intrinsic
def lanes_equal(typing_context, values, value, n):
    """Return a u64 with bit k set if ``values[k]`` equals ``value``, for k below ``n`` and 16.

    Args:
        values: address of i32[n].
        value: i64.
        n: number of values.
    """

    def build(context, builder, signature, arguments):
        values, value, n = arguments
        mask = first(builder, n)
        value = splat(builder, builder.trunc(value, ir.IntType(32)))
        is_equal = builder.icmp_signed("==", load(builder, INTS, values, mask), value)
        return builder.zext(builder.bitcast(builder.and_(is_equal, mask), _BITS), I64)

    return types.uint64(*[types.int64] * 3), build


@intrinsic
def _write_set(typing_context, to, begin, bits):
    """Write ``begin + k`` for each of the lower 16 bits k that is set; 16 places are written."""

    def build(context, builder, signature, arguments):
        to, begin, bits = arguments
        begins = splat(builder, builder.trunc(begin, I32))
        neurons = builder.add(begins, ir.Constant(INTS, list(range(LANES))))
        mask = builder.bitcast(builder.trunc(bits, _BITS), _MASK)
        compress = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(INTS, [INTS, _MASK, INTS]),
            "llvm.experimental.vector.compress.v16i32",
        )
        store(builder, builder.call(compress, [neurons, mask, INTS(ir.Undefined)]), to)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.uint64), build


@inlined
def write_neurons(to, n, begin, bits):
    """Append ``begin + k`` for each bit k that is set, and return the new length.

    Args:
        to: address of i32[at least ``n`` + 16], written.
        n: its length.
        begin: a neuron.
        bits: u64, of which only the lowest 16 bits may be set.
    """
    _write_set(to + 4 * n, begin, bits)
    return n + population_count(bits)


@intrinsic
def visit_lanes(
    typing_context, v, of_current, v_active, site_grad, spike_grad, peaks, thresholds, is_arctan,
    slope, bits,
):  # fmt: skip
    """Visit the silent sites of up to 16 neurons of a plain population.

    Args:
        v, of_current, v_active, site_grad, spike_grad, peaks, thresholds: addresses of f32, at the
            first neuron; see :mod:`neuroasync.train.kernels.backward`.
        is_arctan: i64, 1 for the surrogate ``ARCTAN`` and 0 for ``FAST_SIGMOID``.
        slope: f32, slope of the surrogate.
        bits: u64 with bit k set if neuron k has a site.
    """

    def build(context, builder, signature, arguments):
        v, of_current, v_active, site_grad, spike_grad, peaks, thresholds = arguments[:7]
        is_arctan, slope, bits = arguments[7:]
        mask = builder.bitcast(builder.trunc(bits, _BITS), _MASK)
        one, slope = ir.Constant(FLOATS, [1.0] * LANES), splat(builder, slope)

        def at(address: Any) -> Any:
            return load(builder, FLOATS, address, mask)

        distance = builder.fsub(at(peaks), at(thresholds))
        scaled = builder.fmul(slope, distance)
        arctan = builder.fadd(one, builder.fmul(scaled, scaled))
        magnitude = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(FLOATS, [FLOATS]), "llvm.fabs.v16f32"
        )
        root = builder.fadd(one, builder.fmul(slope, builder.call(magnitude, [distance])))
        is_arctan = splat(builder, builder.icmp_signed("!=", is_arctan, I64(0)))
        inverse = builder.select(is_arctan, arctan, builder.fmul(root, root))
        d = builder.fmul(at(spike_grad), builder.fdiv(one, inverse))
        g = builder.fadd(at(v), d)
        store(builder, g, v, mask)
        active = builder.fadd(g, at(of_current))
        store(builder, active, v_active, mask)
        store(builder, active, site_grad, mask)
        return context.get_dummy_value()

    places = [types.int64] * 8
    return types.void(*places, types.float32, types.uint64), build
