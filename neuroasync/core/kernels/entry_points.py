"""What Python calls: kernels, given the address of a context.

An address costs less to pass than an array, and what is made of it here is not reference-counted:
inside, handing on an array that is costs more than most of what is done with it.
"""

from neuroasync.core.kernels import decay, integrate_and_fire
from neuroasync.core.kernels import forward_pass as machine
from neuroasync.core.kernels.array_views import i64_at
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import Context

__all__ = ["advance", "begin", "carry", "evaluate", "freshen_all", "run_to_delivery", "take_chosen"]

_advance, _begin, _proceed = machine.advance, machine.begin, machine.run_to_delivery
_carry, _take_chosen = machine.carry, machine.take_chosen
_evaluate = integrate_and_fire.evaluate
_freshen_all = decay.freshen_all


@kernel
def begin(context, seed):
    """See :func:`neuroasync.core.kernels.forward_pass.begin`."""
    _begin(i64_at(context, len(Context)), seed)


@kernel
def carry(context, seed, shift_us):
    """See :func:`neuroasync.core.kernels.forward_pass.carry`."""
    _carry(i64_at(context, len(Context)), seed, shift_us)


@kernel
def run_to_delivery(context, end_us, work):
    """See :func:`neuroasync.core.kernels.forward_pass.run_to_delivery`."""
    return _proceed(i64_at(context, len(Context)), end_us, work)


@kernel
def advance(context, end_us, work):
    """See :func:`neuroasync.core.kernels.forward_pass.advance`."""
    return _advance(i64_at(context, len(Context)), end_us, work)


@kernel
def evaluate(context, p):
    """See :func:`neuroasync.core.kernels.integrate_and_fire.evaluate`."""
    return _evaluate(i64_at(context, len(Context)), p)


@kernel
def take_chosen(context, n):
    """See :func:`neuroasync.core.kernels.forward_pass.take_chosen`."""
    _take_chosen(i64_at(context, len(Context)), n)


@kernel
def freshen_all(context):
    """See :func:`neuroasync.core.kernels.decay.freshen_all`."""
    _freshen_all(i64_at(context, len(Context)))
