"""The kernels that Python calls, each given the address of a context.

Numba unpacks an array argument more slowly than an integer, and it counts references to it: inside
a kernel, passing on such an array costs more than most of the work done with it. An array made
from an address inside the kernel is not reference-counted.
"""

from neuroasync.core.kernels.array_views import control_of, i64_at
from neuroasync.core.kernels.decay import catch_up_decay_of_all as _catch_up_decay_of_all
from neuroasync.core.kernels.forward_pass import run_compiled as _run_compiled
from neuroasync.core.kernels.forward_pass import run_to_delivery as _run_to_delivery
from neuroasync.core.kernels.integrate_and_fire import integrate_and_fire as _integrate_and_fire
from neuroasync.core.kernels.intrinsics import cycle_count
from neuroasync.core.kernels.jit import kernel, uncounted
from neuroasync.core.kernels.layout import Context, Control, Interrupt
from neuroasync.core.kernels.pending_spikes import begin_group
from neuroasync.core.kernels.sample_start import begin as _begin
from neuroasync.core.kernels.sample_start import carry_over as _carry_over

__all__ = [
    "begin",
    "begin_slice",
    "carry_over",
    "catch_up_decay_of_all",
    "feed",
    "integrate_and_fire",
    "run_compiled",
    "run_on",
    "take_chosen",
]


@kernel
def begin(context, seed):
    """Call :func:`neuroasync.core.kernels.sample_start.begin`."""
    _begin(i64_at(context, len(Context)), seed)


@kernel
def carry_over(context, seed, shift_us):
    """Call :func:`neuroasync.core.kernels.sample_start.carry_over`."""
    _carry_over(i64_at(context, len(Context)), seed, shift_us)


@kernel
def feed(context, t_us, index):
    """Let the context refer to input events without values: i64[events] each."""
    c = i64_at(context, len(Context))
    c[Context.T_US], c[Context.INDEX] = t_us.ctypes.data, index.ctypes.data
    c[Context.EVENTS], c[Context.VALUE] = t_us.size, 0


@kernel
def begin_slice(context, end_us, work):
    """Set how far :func:`run_on` runs, which with fewer arguments takes less time.

    Args:
        context: address of the context.
        end_us: virtual time of the last pass to run, µs.
        work: approximate number of synaptic operations of the slice.
    """
    c = i64_at(context, len(Context))
    c[Context.END_US], c[Context.LIMIT] = end_us, control_of(c)[Control.WORK] + work


@uncounted
def run_on(context, p):
    """Let population ``p`` integrate the group (-1: none does), and run to the next delivery.

    It returns what :func:`neuroasync.core.kernels.forward_pass.run_to_delivery` does. The coroutine
    engine thus needs one call for each group that reaches one population.
    """
    c = i64_at(context, len(Context))
    if p >= 0:
        _integrate_and_fire(c, p)
    return _run_to_delivery(c, c[Context.END_US], c[Context.LIMIT] - control_of(c)[Control.WORK])


@kernel
def run_compiled(context, begins, feeds, t_us, index, value, end_us, work):
    """Call :func:`neuroasync.core.kernels.forward_pass.run_compiled`.

    Args:
        context: address of the context.
        begins: whether to start a sample from rest before, with the seed in ``control``.
        feeds: whether to replace the input events before.
        t_us, index: i64[events] each, the new input events.
        value: address of their values, f32[events]; 0 if they are spikes.
        end_us, work: passed on.
    """
    c = i64_at(context, len(Context))
    if begins:
        _begin(c, control_of(c)[Control.SEED])
    if feeds:
        c[Context.T_US], c[Context.INDEX] = t_us.ctypes.data, index.ctypes.data
        c[Context.EVENTS], c[Context.VALUE] = t_us.size, value
        control_of(c)[Control.CURSOR] = 0
    return _run_compiled(c, end_us, work)


@kernel
def integrate_and_fire(context, p):
    """Call :func:`neuroasync.core.kernels.integrate_and_fire.integrate_and_fire`."""
    return _integrate_and_fire(i64_at(context, len(Context)), p)


@kernel
def take_chosen(context, n):
    """Deliver the pending spikes at the positions ``chosen[:n]`` next, after ``NEEDS_CHOICE``."""
    begin_group(i64_at(context, len(Context)), n)


@kernel
def catch_up_decay_of_all(context):
    """Call :func:`neuroasync.core.kernels.decay.catch_up_decay_of_all`."""
    _catch_up_decay_of_all(i64_at(context, len(Context)))


@kernel
def run_samples(
    context, k, resumes, t_us, index, value, offsets, seeds, end_us, work, heads, cycles
):
    """Run samples from ``k`` on until all are done, or until Python must act.

    Args:
        context: address of the context.
        k: index of the first sample to run.
        resumes: whether sample ``k`` has begun and continues where an earlier call returned.
        t_us, index: i64[events] of all samples, in the order in which they are fed to a session.
        value: f32[events], their values; f32[0] if they are spikes.
        offsets: i64[S + 1], position of each sample's first event, and the number of events.
        seeds: i64[S].
        end_us: i64[S], run the passes of each sample at virtual times up to this one, µs.
        work: approximate number of synaptic operations after which to return.
        heads: i64[S, W], written: the first words of the session's memory after each sample.
        cycles: i64[S], incremented by the processor cycles of each sample.

    Returns:
        The index of the sample to continue with, or S; an ``Interrupt``; whether that sample has
        begun.
    """
    c, reason = i64_at(context, len(Context)), Interrupt.DONE
    memory = i64_at(c[Context.SESSION], heads.shape[1])
    limit = memory[Control.WORK] + work
    while k < seeds.size:
        began = cycle_count()
        c[Context.T_US] = t_us.ctypes.data + 8 * offsets[k]
        c[Context.INDEX] = index.ctypes.data + 8 * offsets[k]
        c[Context.VALUE] = value.ctypes.data + 4 * offsets[k] if value.size else 0
        c[Context.EVENTS] = offsets[k + 1] - offsets[k]
        if not resumes:
            _begin(c, seeds[k])
        resumes = False
        reason = _run_compiled(c, end_us[k], limit - memory[Control.WORK])
        cycles[k] += cycle_count() - began
        if reason != Interrupt.DONE:
            return k, reason, True
        heads[k, :] = memory
        k += 1
        if memory[Control.WORK] > limit and k < seeds.size:
            return k, Interrupt.BUDGET_SPENT, False
    return k, reason, False
