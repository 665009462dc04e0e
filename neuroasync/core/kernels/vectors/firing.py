"""Integration and firing of 16 neurons at a time."""

from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from neuroasync.core.kernels.jit import inlined_uncounted
from neuroasync.core.kernels.vectors.lanes import (
    FLOATS,
    I64,
    INTS,
    LANES,
    first,
    load,
    splat,
    store,
)

__all__ = ["KEEPS", "SUBTRACTS", "TO_ZERO", "integrate_lanes"]

KEEPS: Final = 0
"""A spike leaves its neuron as it is; the caller resets it."""
TO_ZERO: Final = 1
SUBTRACTS: Final = 2


def _integrator(*, is_masked: bool) -> Any:
    """Return an intrinsic that integrates 16 neurons, or masked the first ``n`` of them."""

    @intrinsic
    def integrate(
        typing_context, v, momentum, current, last_group, threshold, marks, reset, locks, n
    ):
        def build(context, builder, signature, arguments):
            v, momentum, current, last_group, threshold, marks, reset, locks, n = arguments
            now, pass_mark, sample_mark = (
                splat(builder, builder.extract_value(marks, k)) for k in range(3)
            )
            mask, threshold = first(builder, n) if is_masked else None, splat(builder, threshold)
            before = load(builder, FLOATS, v, mask)
            mark = load(builder, INTS, last_group, mask)
            # Bit 0 of a mark is REFRACTORY_BIT, bit 1 is SUPRATHRESHOLD_BIT.
            none, one = INTS(None), ir.Constant(INTS, [1] * LANES)
            two = ir.Constant(INTS, [2] * LANES)
            is_refractory = builder.icmp_signed("!=", builder.and_(mark, one), none)
            in_pass = builder.icmp_signed(">=", mark, pass_mark)
            is_refractory = builder.and_(in_pass, is_refractory)
            charged = builder.fadd(before, load(builder, FLOATS, current, mask))
            charged = builder.select(is_refractory, before, charged)
            fires = builder.fcmp_ordered(">", charged, threshold)
            fires = builder.and_(fires, builder.not_(is_refractory))
            if mask is not None:
                fires = builder.and_(fires, mask)
            # A spike: the momentum, the reset, and refractoriness.
            resets = splat(builder, builder.icmp_signed("!=", reset, reset.type(KEEPS)))
            subtracts = splat(builder, builder.icmp_signed("==", reset, reset.type(SUBTRACTS)))
            left = builder.fsub(charged, threshold)
            left = builder.select(subtracts, left, FLOATS(None))
            after = builder.select(builder.and_(fires, resets), left, charged)
            is_locked = builder.select(fires, splat(builder, locks), none)
            is_locked = builder.or_(is_locked, builder.select(is_refractory, one, none))
            in_sample = builder.icmp_signed(">=", mark, sample_mark)
            kept = builder.select(in_sample, builder.and_(mark, two), none)
            store(builder, after, v, mask)
            store(builder, charged, momentum, fires)
            store(builder, FLOATS(None), current, mask)
            store(builder, builder.or_(builder.or_(now, kept), is_locked), last_group, mask)
            return builder.zext(builder.bitcast(fires, ir.IntType(LANES)), I64)

        places, marks = [types.int64] * 4, types.UniTuple(types.int32, 3)
        return types.uint64(
            *places, types.float32, marks, types.int64, types.int32, types.int64
        ), build

    return integrate


_integrate_all: Final = _integrator(is_masked=False)
_integrate_first: Final = _integrator(is_masked=True)


@inlined_uncounted
def integrate_lanes(v, momentum, current, last_group, threshold, marks, reset, locks, n):
    """Integrate the current of up to 16 neurons, let them fire, and clear the current.

    Refractory neurons lose the current.

    Args:
        v, momentum, current: addresses of f32[n].
        last_group: address of i32[n].
        threshold: f32, the threshold of all of them.
        marks: i32 each: the marks of the group, of the pass and of the sample.
        reset: ``TO_ZERO``, ``SUBTRACTS`` or ``KEEPS``.
        locks: i32, 1 if neurons that fire become refractory.
        n: number of neurons; the rest of the last 16 are left alone.

    Returns:
        A u64 with bit i set if neuron i fires.
    """
    if n >= LANES:
        return _integrate_all(v, momentum, current, last_group, threshold, marks, reset, locks, n)
    return _integrate_first(v, momentum, current, last_group, threshold, marks, reset, locks, n)
