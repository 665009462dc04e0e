"""Comparison of 16 slots of a delivery log at a time."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from neuroasync.core.kernels.vectors.lanes import I64, LANES, WORDS, load, splat

__all__ = ["lanes_alike"]


@intrinsic
def lanes_alike(typing_context, passes, steps, vias, neurons, now, step, via, start, stop):
    """Return a u64 with bit k set if slot k is of one run, for k below 16.

    Args:
        passes, steps, vias, neurons: addresses of i64[16], columns of the log.
        now, step, via: pass, step and connection of the run.
        start, stop: range of its neurons.
    """

    def build(context, builder, signature, arguments):
        *columns, neurons, now, step, via, start, stop = arguments
        place = builder.sub(load(builder, WORDS, neurons), splat(builder, start))
        width = splat(builder, builder.sub(stop, start))
        alike = builder.icmp_unsigned("<", place, width)
        for column, value in zip(columns, (now, step, via), strict=True):
            values = load(builder, WORDS, column)
            is_equal = builder.icmp_signed("==", values, splat(builder, value))
            alike = builder.and_(alike, is_equal)
        return builder.zext(builder.bitcast(alike, ir.IntType(LANES)), I64)

    return types.uint64(*[types.int64] * 9), build
