"""Rest and decay of 16 neurons at a time."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from neuroasync.core.kernels.vectors.lanes import FLOATS, I64, LANES, load, splat, store

__all__ = ["clear_lanes", "scale_lanes"]


@intrinsic
def clear_lanes(typing_context, address):
    """Set the 16 f32 at an address to 0."""

    def build(context, builder, signature, arguments):
        store(builder, FLOATS(None), arguments[0])
        return context.get_dummy_value()

    return types.void(types.int64), build


@intrinsic
def scale_lanes(typing_context, address, factor, times):
    """Multiply the 16 f32 at an address by a factor, ``times`` times in turn (at least once).

    The loop stops early once a product equals its operand in all lanes: it would never change.
    """

    def build(context, builder, signature, arguments):
        address, factor, times = arguments
        factor = splat(builder, factor)
        before, begin = load(builder, FLOATS, address), builder.basic_block
        loop, end = builder.append_basic_block("scale"), builder.append_basic_block("scaled")
        builder.branch(loop)
        builder.position_at_end(loop)
        value, left = builder.phi(FLOATS), builder.phi(I64)
        scaled, now_left = builder.fmul(value, factor), builder.sub(left, I64(1))
        changed = builder.bitcast(builder.fcmp_unordered("!=", scaled, value), ir.IntType(LANES))
        goes_on = builder.and_(
            builder.icmp_unsigned("!=", changed, changed.type(0)),
            builder.icmp_signed(">", now_left, I64(0)),
        )
        builder.cbranch(goes_on, loop, end)
        for phi, first, later in ((value, before, scaled), (left, times, now_left)):
            phi.add_incoming(first, begin)
            phi.add_incoming(later, loop)
        builder.position_at_end(end)
        store(builder, scaled, address)
        return context.get_dummy_value()

    return types.void(types.int64, types.float32, types.int64), build
