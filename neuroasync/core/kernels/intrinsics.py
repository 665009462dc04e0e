"""Machine instructions that kernels use: pointers, prefetching, bit patterns and counters."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["cycle_count", "float_of", "pattern_of", "pointer_at", "population_count", "prefetch",
           "trailing_zeros"]  # fmt: skip


@intrinsic
def pointer_at(typing_context, address):
    """Return an integer as a pointer."""

    def build(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), build


@intrinsic
def prefetch(typing_context, address):
    """Ask the processor to load the memory at an address into its cache."""

    def build(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], cgutils.voidptr_t)
        kinds = [cgutils.voidptr_t, *[ir.IntType(32)] * 3]
        hint = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), kinds), "llvm.prefetch.p0"
        )
        # The hint says: data that will be read and used again. Most of it is written as well, but a
        # hint that says so makes the delivery among 1 M neurons about 10 % slower.
        builder.call(hint, [pointer, *(ir.IntType(32)(value) for value in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(types.int64), build


@intrinsic
def pattern_of(typing_context, value):
    """Return the bit pattern of an f32, as an i64 whose upper half repeats the sign bit."""

    def build(context, builder, signature, arguments):
        pattern = builder.bitcast(arguments[0], ir.IntType(32))
        return builder.sext(pattern, ir.IntType(64))

    return types.int64(types.float32), build


@intrinsic
def float_of(typing_context, pattern):
    """Return the f32 whose bit pattern is the lower half of an i64."""

    def build(context, builder, signature, arguments):
        return builder.bitcast(builder.trunc(arguments[0], ir.IntType(32)), ir.FloatType())

    return types.float32(types.int64), build


@intrinsic
def trailing_zeros(typing_context, word):
    """Return the number of trailing zero bits of a u64; 64 if it is 0."""

    def build(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), build


@intrinsic
def population_count(typing_context, word):
    """Return the number of bits that are set in a u64."""

    def build(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), build


@intrinsic
def cycle_count(typing_context):
    """Return the processor's cycle counter, or 0 if the processor has none that can be read."""

    def build(context, builder, signature, arguments):
        counter = builder.module.declare_intrinsic(
            "llvm.readcyclecounter", (), ir.FunctionType(ir.IntType(64), ())
        )
        return builder.call(counter, ())

    return types.int64(), build
