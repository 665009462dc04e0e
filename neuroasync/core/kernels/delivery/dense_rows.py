"""The two inner loops of dense connections, written as LLVM vector code.

Numba does not vectorise these loops well. A dense connection adds one row of weights for each spike
event of a group, which is limited by memory traffic. The sums of a tile of columns therefore stay
in registers while the tile is read from all rows. Afterwards the whole population integrates, 16
neurons at a time. Each sum is taken in the order of the group's slots, with one rounding per
operation. The results equal those of plain loops to the bit, on any processor.
"""

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from neuroasync.core.kernels.jit import kernel

__all__ = ["LANES", "add_rows", "add_scaled_rows", "charge"]

LANES: Final = 16
"""Neurons of one vector operation."""
_REGISTERS: Final = 4
"""Vectors of sums that a tile keeps in registers."""
_F32: Final = ir.FloatType()
_I32: Final = ir.IntType(32)
_I64: Final = ir.IntType(64)
_FLOATS: Final = ir.VectorType(_F32, LANES)
_INTS: Final = ir.VectorType(_I32, LANES)
_MASK: Final = ir.VectorType(ir.IntType(1), LANES)
_NAMES: Final = {_FLOATS: "v16f32", _INTS: "v16i32"}


def _load(builder: Any, kind: Any, address: Any, mask: Any) -> Any:
    """Load a vector from an address, or only the lanes of a mask (None: all)."""
    pointer = builder.inttoptr(address, kind.as_pointer())
    if mask is None:
        return builder.load(pointer, align=4)
    load = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(kind, [kind.as_pointer(), _I32, _MASK, kind]),
        f"llvm.masked.load.{_NAMES[kind]}.p0",
    )
    return builder.call(load, [pointer, _I32(4), mask, kind(None)])


def _store(builder: Any, value: Any, address: Any, mask: Any) -> None:
    """Store a vector at an address, or only the lanes of a mask (None: all)."""
    kind = value.type
    pointer = builder.inttoptr(address, kind.as_pointer())
    if mask is None:
        builder.store(value, pointer, align=4)
        return
    store = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(ir.VoidType(), [kind, kind.as_pointer(), _I32, _MASK]),
        f"llvm.masked.store.{_NAMES[kind]}.p0",
    )
    builder.call(store, [value, pointer, _I32(4), mask])


def _splat(builder: Any, value: Any) -> Any:
    """Return a vector with the value in every lane."""
    kind = ir.VectorType(value.type, LANES)
    one = builder.insert_element(kind(ir.Undefined), value, _I32(0))
    zeros = ir.Constant(_INTS, [0] * LANES)
    return builder.shuffle_vector(one, kind(ir.Undefined), zeros)


def _first(builder: Any, n: Any) -> Any:
    """Return a mask of the first ``n`` lanes."""
    lanes = ir.Constant(ir.VectorType(_I64, LANES), list(range(LANES)))
    return builder.icmp_signed("<", lanes, _splat(builder, n))


def _factor(builder: Any, count: Any) -> Any:
    """Return what a multiplicity multiplies weights by; see :mod:`.event_values`."""
    upper = builder.ashr(count, _I64(32))
    value = builder.bitcast(builder.trunc(builder.not_(upper), _I32), _F32)
    has_factor = builder.icmp_signed("!=", upper, _I64(0))
    return builder.select(has_factor, value, builder.sitofp(count, _F32))


def _adder(registers: int, *, is_masked: bool, is_scaled: bool = False) -> Any:
    """Return an intrinsic that adds rows to ``registers`` * 16 sums, or masked to fewer than 16.

    ``is_scaled`` says whether multiplicities may have factors of their own.
    """

    @intrinsic
    def add(typing_context, sums, rows, stride, origins, counts, n, columns):
        def build(context, builder, signature, arguments):
            sums, rows, stride, origins, counts, n, columns = arguments
            mask = _first(builder, columns) if is_masked else None
            offsets = [_I64(4 * LANES * r) for r in range(registers)]
            kept = [cgutils.alloca_once(builder, _FLOATS) for _ in offsets]
            for offset, register in zip(offsets, kept, strict=True):
                sums_there = _load(builder, _FLOATS, builder.add(sums, offset), mask)
                builder.store(sums_there, register)
            with cgutils.for_range(builder, n, intp=_I64) as loop:
                at = builder.mul(loop.index, _I64(8))
                pointer = _I64.as_pointer()
                origin = builder.load(builder.inttoptr(builder.add(origins, at), pointer))
                count = builder.load(builder.inttoptr(builder.add(counts, at), pointer))
                factor = _factor(builder, count) if is_scaled else builder.sitofp(count, _F32)
                times = _splat(builder, factor)
                row = builder.add(rows, builder.mul(origin, stride))
                for offset, register in zip(offsets, kept, strict=True):
                    weights = _load(builder, _FLOATS, builder.add(row, offset), mask)
                    # Separate multiplication and addition: a fused one rounds only once.
                    term = builder.fmul(weights, times)
                    builder.store(builder.fadd(builder.load(register), term), register)
            for offset, register in zip(offsets, kept, strict=True):
                _store(builder, builder.load(register), builder.add(sums, offset), mask)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 7), build

    return add


_add_tile: Final = _adder(_REGISTERS, is_masked=False)
_add_strip: Final = _adder(1, is_masked=False)
_add_rest: Final = _adder(1, is_masked=True)
_add_scaled_tile: Final = _adder(_REGISTERS, is_masked=False, is_scaled=True)
_add_scaled_rest: Final = _adder(1, is_masked=True, is_scaled=True)


@kernel
def add_rows(sums, rows, columns, origins, counts, n):
    """Add ``n`` rows of a matrix, each multiplied by its count, to sums, row after row.

    Args:
        sums: address of f32[columns].
        rows: address of f32[.., columns], at the row of origin 0, which need not exist.
        columns: number of columns.
        origins: address of i64[n], the numbers of the rows.
        counts: address of i64[n].
        n: number of rows to add.
    """
    at, stride = np.int64(0), 4 * columns
    while columns - at >= LANES * _REGISTERS:
        _add_tile(sums + 4 * at, rows + 4 * at, stride, origins, counts, n, 0)
        at += LANES * _REGISTERS
    while columns - at >= LANES:
        _add_strip(sums + 4 * at, rows + 4 * at, stride, origins, counts, n, 0)
        at += LANES
    if at < columns:
        _add_rest(sums + 4 * at, rows + 4 * at, stride, origins, counts, n, columns - at)


@kernel
def add_scaled_rows(sums, rows, columns, origins, counts, n):
    """Add rows as :func:`add_rows` does; their multiplicities may have factors of their own."""
    at, stride = np.int64(0), 4 * columns
    while columns - at >= LANES * _REGISTERS:
        _add_scaled_tile(sums + 4 * at, rows + 4 * at, stride, origins, counts, n, 0)
        at += LANES * _REGISTERS
    while at < columns:
        left = min(columns - at, LANES)
        _add_scaled_rest(sums + 4 * at, rows + 4 * at, stride, origins, counts, n, left)
        at += left


def _charger(*, is_masked: bool) -> Any:
    """Return an intrinsic that integrates 16 neurons, or masked the first ``n`` of them."""

    @intrinsic
    def charge_lanes(
        typing_context, v, current, last_group, threshold, now, pass_mark, sample_mark, n
    ):
        def build(context, builder, signature, arguments):
            v, current, last_group, threshold, now, pass_mark, sample_mark, n = arguments
            mask = _first(builder, n) if is_masked else None
            before = _load(builder, _FLOATS, v, mask)
            mark = _load(builder, _INTS, last_group, mask)
            # Bit 0 of a mark is REFRACTORY_BIT, bit 1 is SUPRATHRESHOLD_BIT.
            none, one = _INTS(None), ir.Constant(_INTS, [1] * LANES)
            two = ir.Constant(_INTS, [2] * LANES)

            def since(start: Any) -> Any:
                return builder.icmp_signed(">=", mark, _splat(builder, start))

            is_refractory = builder.icmp_signed("!=", builder.and_(mark, one), none)
            is_refractory = builder.and_(since(pass_mark), is_refractory)
            charged = builder.fadd(before, _load(builder, _FLOATS, current, mask))
            after = builder.select(is_refractory, before, charged)
            kept = builder.select(since(sample_mark), builder.and_(mark, two), none)
            refractory = builder.select(is_refractory, one, none)
            mark = builder.or_(builder.or_(_splat(builder, now), kept), refractory)
            _store(builder, after, v, mask)
            _store(builder, _FLOATS(None), current, mask)
            _store(builder, mark, last_group, mask)
            fires = builder.fcmp_ordered(">", after, _splat(builder, threshold))
            fires = builder.and_(fires, builder.not_(is_refractory))
            if mask is not None:
                fires = builder.and_(fires, mask)
            return builder.zext(builder.bitcast(fires, ir.IntType(LANES)), _I64)

        places, kinds = [types.int64] * 3, [types.int32] * 3
        return types.uint64(*places, types.float32, *kinds, types.int64), build

    return charge_lanes


_charge_all: Final = _charger(is_masked=False)
_charge_first: Final = _charger(is_masked=True)


@kernel
def charge(v, current, last_group, threshold, now, pass_mark, sample_mark, n):
    """Integrate and clear the current of up to 16 neurons; refractory ones lose it.

    Args:
        v, current: addresses of f32[n].
        last_group: address of i32[n].
        threshold: f32, the threshold of all of them.
        now, pass_mark, sample_mark: i32, the marks of the group, the pass and the sample.
        n: number of neurons; the rest of the last 16 are left alone.

    Returns:
        A u64 with bit i set if neuron i is above threshold and not refractory.
    """
    if n >= LANES:
        return _charge_all(v, current, last_group, threshold, now, pass_mark, sample_mark, n)
    return _charge_first(v, current, last_group, threshold, now, pass_mark, sample_mark, n)
