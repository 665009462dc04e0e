"""Comparison of 16 slots of a delivery log at a time."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from neuroasync.core.kernels.vectors.lanes import I64, LANES, WORDS, load, splat

__all__ = ["lanes_alike"]


@intrinsic
def lanes_alike(typing_context, steps, vias, origins, step, via, start, stop):
    """Return a u64 with bit k set if slot k has this step, connection and origin, for k below 16.

    Args:
        steps, vias, origins: addresses of i64[16], columns of the log.
        step, via: values of the first two.
        start, stop: range of the third.
    """

    def build(context, builder, signature, arguments):
        steps, vias, origins, step, via, start, stop = arguments
        is_step = builder.icmp_signed("==", load(builder, WORDS, steps), splat(builder, step))
        is_via = builder.icmp_signed("==", load(builder, WORDS, vias), splat(builder, via))
        place = builder.sub(load(builder, WORDS, origins), splat(builder, start))
        width = splat(builder, builder.sub(stop, start))
        is_inside = builder.icmp_unsigned("<", place, width)
        alike = builder.and_(builder.and_(is_step, is_via), is_inside)
        return builder.zext(builder.bitcast(alike, ir.IntType(LANES)), I64)

    return types.uint64(*[types.int64] * 7), build
