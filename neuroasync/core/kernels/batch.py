"""Run many samples in one call, without returning to Python, so that threads run in parallel."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from neuroasync.core.kernels.array_views import i64_at
from neuroasync.core.kernels.forward_pass import begin, run_compiled
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import Context, Control, Interrupt

__all__ = ["run_samples"]


@intrinsic
def _cycles(typing_context):
    """Return the processor's cycle counter, or 0 if the processor has none that can be read."""

    def build(context, builder, signature, arguments):
        counter = builder.module.declare_intrinsic(
            "llvm.readcyclecounter", (), ir.FunctionType(ir.IntType(64), ())
        )
        return builder.call(counter, ())

    return types.int64(), build


@kernel
def run_samples(context, k, resumes, t_us, index, offsets, seeds, end_us, work, heads, cycles):
    """Run samples from ``k`` on until all are done, or until Python must act.

    Args:
        context: address of the context.
        k: index of the first sample to run.
        resumes: whether sample ``k`` has begun and continues where an earlier call returned.
        t_us, index: i64[events] of all samples, in the order in which they are fed to a session.
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
        began = _cycles()
        c[Context.T_US] = t_us.ctypes.data + 8 * offsets[k]
        c[Context.INDEX] = index.ctypes.data + 8 * offsets[k]
        c[Context.EVENTS] = offsets[k + 1] - offsets[k]
        if not resumes:
            begin(c, seeds[k])
        resumes = False
        reason = run_compiled(c, end_us[k], limit - memory[Control.WORK])
        cycles[k] += _cycles() - began
        if reason != Interrupt.DONE:
            return k, reason, True
        heads[k, :] = memory
        k += 1
        if memory[Control.WORK] > limit and k < seeds.size:
            return k, Interrupt.BUDGET_SPENT, False
    return k, reason, False
