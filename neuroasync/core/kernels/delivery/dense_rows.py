"""The inner loop of dense connections, written as LLVM vector code.

A dense connection adds one row of weights for each spike event of a group, which is limited by
memory traffic. The sums of a tile of columns therefore stay in registers while the tile is read
from all rows. Each sum is taken in the order of the group's slots, with one rounding per
operation. The results equal those of plain loops to the bit, on any processor.
"""

from typing import Any, Final

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from neuroasync.core.kernels.jit import inlined_uncounted, kernel
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

__all__ = ["add_rows"]

_REGISTERS: Final = 4
"""Vectors of sums that a tile keeps in registers."""


def _factor(builder: Any, count: Any) -> Any:
    """Return what a multiplicity multiplies weights by; see :mod:`.event_values`."""
    upper = builder.ashr(count, I64(32))
    value = builder.bitcast(builder.trunc(builder.not_(upper), I32), F32)
    has_factor = builder.icmp_signed("!=", upper, I64(0))
    return builder.select(has_factor, value, builder.sitofp(count, F32))


def _adder(registers: int, *, is_masked: bool, has_counts: bool) -> Any:
    """Return an intrinsic that adds rows to ``registers`` * 16 sums, or masked to fewer than 16."""

    @intrinsic
    def add(typing_context, sums, rows, stride, origins, counts, n, columns):
        def build(context, builder, signature, arguments):
            sums, rows, stride, origins, counts, n, columns = arguments
            mask = first(builder, columns) if is_masked else None
            offsets = [I64(4 * LANES * r) for r in range(registers)]
            kept = [cgutils.alloca_once(builder, FLOATS) for _ in offsets]
            for offset, register in zip(offsets, kept, strict=True):
                sums_there = load(builder, FLOATS, builder.add(sums, offset), mask)
                builder.store(sums_there, register)
            with cgutils.for_range(builder, n, intp=I64) as loop:
                at = builder.mul(loop.index, I64(8))
                pointer = I64.as_pointer()
                origin = builder.load(builder.inttoptr(builder.add(origins, at), pointer))
                if has_counts:
                    count = builder.load(builder.inttoptr(builder.add(counts, at), pointer))
                    times = splat(builder, _factor(builder, count))
                row = builder.add(rows, builder.mul(origin, stride))
                for offset, register in zip(offsets, kept, strict=True):
                    term = load(builder, FLOATS, builder.add(row, offset), mask)
                    if has_counts:
                        # Separate multiplication and addition: a fused one rounds only once.
                        term = builder.fmul(term, times)
                    builder.store(builder.fadd(builder.load(register), term), register)
            for offset, register in zip(offsets, kept, strict=True):
                store(builder, builder.load(register), builder.add(sums, offset), mask)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 7), build

    return add


_add_tile: Final = _adder(_REGISTERS, is_masked=False, has_counts=False)
_add_strip: Final = _adder(1, is_masked=False, has_counts=False)
_add_rest: Final = _adder(1, is_masked=True, has_counts=False)
_add_tile_times: Final = _adder(_REGISTERS, is_masked=False, has_counts=True)
_add_strip_times: Final = _adder(1, is_masked=False, has_counts=True)
_add_rest_times: Final = _adder(1, is_masked=True, has_counts=True)


@inlined_uncounted
def add_rows(sums, rows, columns, origins, counts, n):
    """Add ``n`` rows of a matrix, each multiplied by its factor, to sums, row after row.

    Args:
        sums: address of f32[columns].
        rows: address of f32[.., columns], at the row of origin 0, which need not exist.
        columns: number of columns.
        origins: address of i64[n], the numbers of the rows.
        counts: address of i64[n], multiplicities, perhaps with factors of their own; 0 if each row
            is added once.
        n: number of rows to add.
    """
    if counts:
        _add_rows_times(sums, rows, columns, origins, counts, n)
        return
    at, stride = np.int64(0), 4 * columns
    while columns - at >= LANES * _REGISTERS:
        _add_tile(sums + 4 * at, rows + 4 * at, stride, origins, 0, n, 0)
        at += LANES * _REGISTERS
    while columns - at >= LANES:
        _add_strip(sums + 4 * at, rows + 4 * at, stride, origins, 0, n, 0)
        at += LANES
    if at < columns:
        _add_rest(sums + 4 * at, rows + 4 * at, stride, origins, 0, n, columns - at)


@kernel
def _add_rows_times(sums, rows, columns, origins, counts, n):
    """Add rows that are multiplied by factors; see :func:`add_rows`."""
    at, stride = np.int64(0), 4 * columns
    while columns - at >= LANES * _REGISTERS:
        _add_tile_times(sums + 4 * at, rows + 4 * at, stride, origins, counts, n, 0)
        at += LANES * _REGISTERS
    while columns - at >= LANES:
        _add_strip_times(sums + 4 * at, rows + 4 * at, stride, origins, counts, n, 0)
        at += LANES
    if at < columns:
        _add_rest_times(sums + 4 * at, rows + 4 * at, stride, origins, counts, n, columns - at)
