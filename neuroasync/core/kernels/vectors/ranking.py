"""The order of up to 64 pending spikes, by rank: without a branch that depends on a key.

The rank of a key is the number of smaller keys. Keys are signed 32-bit integers. Those of the
random order are the upper halves of its order keys. If two of them are equal, the ranks are no
permutation; the caller then needs another way.
"""

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from neuroasync.core.kernels.jit import inlined_uncounted
from neuroasync.core.kernels.order_keys import GOLDEN, MUL1, MUL2
from neuroasync.core.kernels.vectors.lanes import (
    I32,
    I64,
    INTS,
    LANES,
    WORDS,
    first,
    load,
    splat,
    store,
)

__all__ = ["MAX_RANKED", "order_by_rank", "write_random_keys"]

MAX_RANKED: Final = 64
"""Maximum number of keys for which ranking, which is quadratic, is fastest (measured)."""


def _mixed(builder: Any, z: Any) -> Any:
    """Return ``order_keys.mix`` of each lane."""

    def shifted(bits: int) -> Any:
        return builder.lshr(z, ir.Constant(WORDS, [bits] * LANES))

    for bits, factor in ((30, MUL1), (27, MUL2)):
        z = builder.mul(builder.xor(z, shifted(bits)), ir.Constant(WORDS, [int(factor)] * LANES))
    return builder.xor(z, shifted(31))


@intrinsic
def _write_random(typing_context, keys, neurons, prefix):
    """Write the upper halves of the order keys of 16 neurons, as signed integers."""

    def build(context, builder, signature, arguments):
        keys, neurons, prefix = arguments
        index = builder.zext(load(builder, INTS, neurons), WORDS)
        index = builder.add(index, ir.Constant(WORDS, [1] * LANES))
        z = builder.mul(index, ir.Constant(WORDS, [int(GOLDEN)] * LANES))
        z = _mixed(builder, builder.add(z, splat(builder, prefix)))
        high = builder.trunc(builder.lshr(z, ir.Constant(WORDS, [32] * LANES)), INTS)
        store(builder, builder.xor(high, ir.Constant(INTS, [-(2**31)] * LANES)), keys)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.uint64), build


def _ranker(*, has_ties: bool) -> Any:
    """Return an intrinsic that writes the ranks of 16 keys among ``n``, and returns their sum."""

    @intrinsic
    def write_ranks(typing_context, ranks, keys, ties, n, at):
        def build(context, builder, signature, arguments):
            ranks, keys, ties, n, at = arguments
            offset, zeros = builder.mul(at, I64(4)), INTS(None)
            mine = load(builder, INTS, builder.add(keys, offset))
            my_tie = load(builder, INTS, builder.add(ties, offset)) if has_ties else None
            counted = cgutils.alloca_once_value(builder, zeros)
            with cgutils.for_range(builder, n, intp=I64) as loop:
                place = builder.mul(loop.index, I64(4))
                pointer = builder.inttoptr(builder.add(keys, place), I32.as_pointer())
                other = splat(builder, builder.load(pointer))
                is_smaller = builder.icmp_signed("<", other, mine)
                if has_ties:
                    pointer = builder.inttoptr(builder.add(ties, place), I32.as_pointer())
                    tie = splat(builder, builder.load(pointer))
                    wins = builder.icmp_signed("<", tie, my_tie)
                    wins = builder.and_(builder.icmp_signed("==", other, mine), wins)
                    is_smaller = builder.or_(is_smaller, wins)
                so_far = builder.load(counted)
                builder.store(builder.sub(so_far, builder.sext(is_smaller, INTS)), counted)
            total = builder.load(counted)
            store(builder, total, builder.add(ranks, offset))
            total = builder.select(first(builder, builder.sub(n, at)), total, zeros)
            function = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(I32, [INTS]), "llvm.vector.reduce.add.v16i32"
            )
            return builder.sext(builder.call(function, [total]), I64)

        return types.int64(*[types.int64] * 5), build

    return write_ranks


_write_ranks: Final = _ranker(has_ties=False)
_write_ranks_of_pairs: Final = _ranker(has_ties=True)


@inlined_uncounted
def write_random_keys(keys, neurons, prefix, n):
    """Write the keys of the random order, up to the next multiple of 16.

    Args:
        keys: address of i32[n], written.
        neurons: address of i32[n].
        prefix: u64, what :func:`neuroasync.core.kernels.order_keys.step_prefix` returns.
        n: number of neurons.
    """
    for at in range(0, n, LANES):
        _write_random(keys + 4 * at, neurons + 4 * at, prefix)


@inlined_uncounted
def order_by_rank(keys, neurons, n, ranks, ordered, has_ties):
    """Write neurons in the order of their keys; return False if two keys are equal.

    Equal keys have equal ranks, so that the sum of all ranks is less than n (n - 1) / 2. Nothing
    is written then.

    Args:
        keys: i32[.., at least n, rounded up to a multiple of 16].
        neurons: i32[.., as long], distinct.
        n: number of keys, at most ``MAX_RANKED``.
        ranks: i32[.., as long], for the ranks.
        ordered: i32[n], written.
        has_ties: whether equal keys are ordered by neuron.
    """
    total = 0
    for at in range(0, n, LANES):
        if has_ties:
            total += _write_ranks_of_pairs(
                ranks.ctypes.data, keys.ctypes.data, neurons.ctypes.data, n, at
            )
        else:
            total += _write_ranks(ranks.ctypes.data, keys.ctypes.data, neurons.ctypes.data, n, at)
    if total != n * (n - 1) // 2:
        return False
    for i in range(n):
        ordered[np.uint32(ranks[i])] = neurons[i]
    return True
