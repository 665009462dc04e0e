"""Rows of a dense connection: scaled additions to several, and dot products of four at a time."""

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from neuroasync.core.kernels.jit import inlined
from neuroasync.core.kernels.vectors.lanes import (
    F32,
    FLOATS,
    I32,
    I64,
    LANES,
    first,
    load,
    splat,
    store,
)

__all__ = ["add_to_rows", "dot_rows"]

_WIDTH: Final = 4
"""Vectors of a row that are held in registers at a time, and rows of a dot product."""
_BYTES: Final = 4 * LANES
"""Bytes of a vector of ``FLOATS``."""
_TILE: Final = _WIDTH * LANES
_HALF: Final = ir.VectorType(F32, LANES // 2)


def _adder(vectors: int, *, is_masked: bool) -> Any:
    """Return an intrinsic that adds a scaled vector to a part of each of several rows.

    The part has ``vectors`` times 16 columns; masked, the first ``width`` of 16.
    """

    @intrinsic
    def add(typing_context, begin, stride, sources, factors, n, g, width):
        def build(context, builder, signature, arguments):
            begin, stride, sources, factors, n, g, width = arguments
            mask = first(builder, width) if is_masked else None
            offsets = [I64(_BYTES * k) for k in range(vectors)]
            parts = [load(builder, FLOATS, builder.add(g, at), mask) for at in offsets]
            with cgutils.for_range(builder, n, intp=I64) as loop:
                place = builder.shl(loop.index, I64(2))
                source = builder.sext(_value_at(builder, I32, builder.add(sources, place)), I64)
                factor = splat(builder, _value_at(builder, F32, builder.add(factors, place)))
                row = builder.add(begin, builder.mul(source, stride))
                for part, offset in zip(parts, offsets, strict=True):
                    at = builder.add(row, offset)
                    total = builder.fadd(
                        load(builder, FLOATS, at, mask), builder.fmul(factor, part)
                    )
                    store(builder, total, at, mask)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 7), build

    return add


def _value_at(builder: Any, kind: Any, address: Any) -> Any:
    """Load a number of this type."""
    return builder.load(builder.inttoptr(address, kind.as_pointer()))


_add_tile: Final = _adder(_WIDTH, is_masked=False)
_add_vector: Final = _adder(1, is_masked=False)
_add_rest: Final = _adder(1, is_masked=True)


@inlined
def add_to_rows(begin, size, sources, factors, n, g):
    """Add ``factor * g`` to the row of each source, one source after another.

    Args:
        begin: address of f32[.., size], where the row of source 0 is or would be.
        size: number of columns.
        sources: address of i32[n].
        factors: address of f32[n], the factor of each source.
        n: number of sources.
        g: address of f32[size].
    """
    at = 0
    while size - at >= _TILE:
        _add_tile(begin + 4 * at, 4 * size, sources, factors, n, g + 4 * at, 0)
        at += _TILE
    while size - at >= LANES:
        _add_vector(begin + 4 * at, 4 * size, sources, factors, n, g + 4 * at, 0)
        at += LANES
    if at < size:
        _add_rest(begin + 4 * at, 4 * size, sources, factors, n, g + 4 * at, size - at)


def _fused(builder: Any, a: Any, b: Any, total: Any) -> Any:
    """Return ``a * b + total``, rounded once if the processor can do so."""
    kind = total.type
    name = "f32" if kind is F32 else f"v{kind.count}f32"
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [kind] * 3), f"llvm.fmuladd.{name}"
    )
    return builder.call(function, [a, b, total])


def _halved(builder: Any, vectors: list[Any], half: int) -> list[Any]:
    """Add the two halves of every ``2 * half`` lanes; a pair of vectors becomes a single one."""
    width = vectors[0].type.count
    low = [lane for lane in range(2 * width) if lane % (2 * half) < half]
    lanes = ir.VectorType(I32, width)
    low_half, high_half = ir.Constant(lanes, low), ir.Constant(lanes, [k + half for k in low])
    return [
        builder.fadd(
            builder.shuffle_vector(a, b, low_half), builder.shuffle_vector(a, b, high_half)
        )
        for a, b in zip(vectors[::2], vectors[1::2], strict=True)
    ]


def _sums_of_four(builder: Any, vector: Any) -> list[Any]:
    """Return the sum of every four lanes, (0 + 2) + (1 + 3)."""
    width = vector.type.count
    for distance in (2, 1):
        swapped = ir.Constant(ir.VectorType(I32, width), [k ^ distance for k in range(width)])
        vector = builder.fadd(vector, builder.shuffle_vector(vector, vector, swapped))
    return [builder.extract_element(vector, I32(k)) for k in range(0, width, 4)]


@intrinsic
def _dot_tiles(typing_context, begin, stride, a, b, c, d, g, tiles):
    """Return dot products of four rows with ``g``, over the first ``tiles`` times 64 columns."""

    def build(context, builder, signature, arguments):
        begin, stride, *sources, g, tiles = arguments
        rows = [builder.add(begin, builder.mul(source, stride)) for source in sources]
        totals = [
            [cgutils.alloca_once_value(builder, FLOATS(None)) for _ in range(_WIDTH)] for _ in rows
        ]
        # The place on the stack is made once, but it is used again in every loop around this.
        for total in totals:
            for place in total:
                builder.store(FLOATS(None), place)
        with cgutils.for_range(builder, tiles, intp=I64) as loop:
            begun = builder.mul(loop.index, I64(_WIDTH * _BYTES))
            for k in range(_WIDTH):
                at = builder.add(begun, I64(_BYTES * k))
                part = load(builder, FLOATS, builder.add(g, at))
                for row, total in zip(rows, totals, strict=True):
                    weights = load(builder, FLOATS, builder.add(row, at))
                    result = _fused(builder, weights, part, builder.load(total[k]))
                    builder.store(result, total[k])
        sums = []
        for total in totals:
            w, x, y, z = (builder.load(place) for place in total)
            sums.append(builder.fadd(builder.fadd(z, y), builder.fadd(x, w)))
        (four,) = _halved(builder, _halved(builder, sums, 8), 4)
        return context.make_tuple(builder, signature.return_type, _sums_of_four(builder, four))

    return types.UniTuple(types.float32, 4)(*[types.int64] * 8), build


@intrinsic
def _dot_rest(typing_context, begin, stride, a, b, c, d, g, at, size, totals):
    """Return ``totals`` plus the products of four rows and ``g`` in columns ``at`` to ``size``."""

    def build(context, builder, signature, arguments):
        begin, stride, *sources, g, at, size, totals = arguments
        rows = [builder.add(begin, builder.mul(source, stride)) for source in sources]
        places = [
            cgutils.alloca_once_value(builder, builder.extract_value(totals, k)) for k in range(4)
        ]
        for k in range(4):
            builder.store(builder.extract_value(totals, k), places[k])
        eights = builder.lshr(builder.sub(size, at), I64(3))
        with builder.if_then(builder.icmp_signed(">", eights, I64(0))):
            sums = []
            for place in places:
                vector = builder.insert_element(_HALF(None), builder.load(place), I32(0))
                sums.append(cgutils.alloca_once(builder, _HALF))
                builder.store(vector, sums[-1])
            with cgutils.for_range(builder, eights, intp=I64) as loop:
                column = builder.add(at, builder.shl(loop.index, I64(3)))
                offset = builder.shl(column, I64(2))
                part = load(builder, _HALF, builder.add(g, offset))
                for row, place in zip(rows, sums, strict=True):
                    weights = load(builder, _HALF, builder.add(row, offset))
                    result = _fused(builder, weights, part, builder.load(place))
                    builder.store(result, place)
            pairs = _halved(builder, [builder.load(place) for place in sums], 4)
            halves = [_sums_of_four(builder, pair) for pair in pairs]
            for k in range(4):
                builder.store(halves[k // 2][k % 2], places[k])
        begun = builder.add(at, builder.shl(eights, I64(3)))
        with cgutils.for_range(builder, builder.sub(size, begun), intp=I64) as loop:
            offset = builder.shl(builder.add(begun, loop.index), I64(2))
            part = _value_at(builder, F32, builder.add(g, offset))
            for row, place in zip(rows, places, strict=True):
                weight = _value_at(builder, F32, builder.add(row, offset))
                builder.store(_fused(builder, weight, part, builder.load(place)), place)
        results = [builder.load(place) for place in places]
        return context.make_tuple(builder, signature.return_type, results)

    of_four = types.UniTuple(types.float32, 4)
    return of_four(*[types.int64] * 9, of_four), build


@inlined
def dot_rows(begin, size, a, b, c, d, g):
    """Return the dot products of ``g`` and the rows of four sources.

    The order of additions: lane k of 64 sums every 64th product from k on, and the lanes are added
    by halves. What is left is added in the same way by 8 lanes, then one by one.

    Args:
        begin: address of f32[.., size], where the row of source 0 is or would be.
        size: number of columns.
        a, b, c, d: the sources.
        g: address of f32[size].
    """
    zero = np.float32(0.0)
    totals = (zero, zero, zero, zero)
    tiles = size // _TILE
    if tiles:
        totals = _dot_tiles(begin, 4 * size, a, b, c, d, g, tiles)
    if tiles * _TILE < size:
        totals = _dot_rest(begin, 4 * size, a, b, c, d, g, tiles * _TILE, size, totals)
    return totals
