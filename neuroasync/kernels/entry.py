"""What Python calls: kernels, given the address of a context.

An address costs less to pass than an array, and what is made of it here is not reference-counted:
inside, handing on an array that is costs more than most of what is done with it.
"""

from neuroasync.kernels import advance as machine
from neuroasync.kernels import decay, fire
from neuroasync.kernels import layout as lay
from neuroasync.kernels.jit import kernel
from neuroasync.kernels.memory import i64_at

__all__ = ["advance", "begin", "carry", "evaluate", "freshen_all", "proceed", "take_chosen"]

_advance, _begin, _proceed = machine.advance, machine.begin, machine.proceed
_carry, _take_chosen = machine.carry, machine.take_chosen
_evaluate = fire.evaluate
_freshen_all = decay.freshen_all


@kernel
def begin(context, seed):
    """See :func:`neuroasync.kernels.advance.begin`."""
    _begin(i64_at(context, lay.CONTEXT_COLUMNS), seed)


@kernel
def carry(context, seed, shift_us):
    """See :func:`neuroasync.kernels.advance.carry`."""
    _carry(i64_at(context, lay.CONTEXT_COLUMNS), seed, shift_us)


@kernel
def proceed(context, end_us, work):
    """See :func:`neuroasync.kernels.advance.proceed`."""
    return _proceed(i64_at(context, lay.CONTEXT_COLUMNS), end_us, work)


@kernel
def advance(context, end_us, work):
    """See :func:`neuroasync.kernels.advance.advance`."""
    return _advance(i64_at(context, lay.CONTEXT_COLUMNS), end_us, work)


@kernel
def evaluate(context, p):
    """See :func:`neuroasync.kernels.fire.evaluate`."""
    return _evaluate(i64_at(context, lay.CONTEXT_COLUMNS), p)


@kernel
def take_chosen(context, n):
    """See :func:`neuroasync.kernels.advance.take_chosen`."""
    _take_chosen(i64_at(context, lay.CONTEXT_COLUMNS), n)


@kernel
def freshen_all(context):
    """See :func:`neuroasync.kernels.decay.freshen_all`."""
    _freshen_all(i64_at(context, lay.CONTEXT_COLUMNS))
