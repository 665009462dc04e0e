"""Building blocks of vector code: vectors of 16 lanes, with or without a mask."""

from typing import Any, Final

from llvmlite import ir
from numba.core import cgutils

__all__ = [
    "F32",
    "FLOATS",
    "I32",
    "I64",
    "INTS",
    "LANES",
    "WORDS",
    "first",
    "load",
    "splat",
    "store",
]

LANES: Final = 16
"""Neurons of one vector operation."""
F32: Final = ir.FloatType()
I32: Final = ir.IntType(32)
I64: Final = ir.IntType(64)
FLOATS: Final = ir.VectorType(F32, LANES)
INTS: Final = ir.VectorType(I32, LANES)
WORDS: Final = ir.VectorType(I64, LANES)
_MASK: Final = ir.VectorType(ir.IntType(1), LANES)
_NAMES: Final = {FLOATS: "v16f32", INTS: "v16i32"}


def load(builder: Any, kind: Any, address: Any, mask: Any = None) -> Any:
    """Load a vector from an address, or only the lanes of a mask (None: all)."""
    pointer = builder.inttoptr(address, kind.as_pointer())
    if mask is None:
        return builder.load(pointer, align=4)
    masked = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(kind, [kind.as_pointer(), I32, _MASK, kind]),
        f"llvm.masked.load.{_NAMES[kind]}.p0",
    )
    return builder.call(masked, [pointer, I32(4), mask, kind(None)])


def store(builder: Any, value: Any, address: Any, mask: Any = None) -> None:
    """Store a vector at an address, or only the lanes of a mask (None: all)."""
    kind = value.type
    pointer = builder.inttoptr(address, kind.as_pointer())
    if mask is None:
        builder.store(value, pointer, align=4)
        return
    masked = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(ir.VoidType(), [kind, kind.as_pointer(), I32, _MASK]),
        f"llvm.masked.store.{_NAMES[kind]}.p0",
    )
    builder.call(masked, [value, pointer, I32(4), mask])


def splat(builder: Any, value: Any) -> Any:
    """Return a vector with the value in every lane."""
    kind = ir.VectorType(value.type, LANES)
    one = builder.insert_element(kind(ir.Undefined), value, I32(0))
    zeros = ir.Constant(INTS, [0] * LANES)
    return builder.shuffle_vector(one, kind(ir.Undefined), zeros)


def first(builder: Any, n: Any) -> Any:
    """Return a mask of the first ``n`` lanes."""
    lanes = ir.Constant(WORDS, list(range(LANES)))
    return builder.icmp_signed("<", lanes, splat(builder, n))
