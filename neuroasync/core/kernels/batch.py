"""Samples one after the other, with no Python in between for whose lock threads would wait."""

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
    """The processor's cycle counter; 0 where it has none that may be read."""

    def build(context, builder, signature, arguments):
        counter = builder.module.declare_intrinsic(
            "llvm.readcyclecounter", (), ir.FunctionType(ir.IntType(64), ())
        )
        return builder.call(counter, ())

    return types.int64(), build


@kernel
def run_samples(context, k, resumes, t_us, index, offsets, seeds, end_us, work, heads, cycles):
    """Run samples from ``k`` on until all are done, or something is needed.

    Args:
        context: an address.
        k: the sample to begin with.
        resumes: whether it has begun already, and goes on where it returned.
        t_us, index: i64[events] of all samples, as a workspace takes them.
        offsets: i64[S + 1], where each sample's events begin.
        seeds: i64[S].
        end_us: i64[S], passes at virtual times up to this one take place.
        work: about how many synaptic operations may be spent before returning.
        heads: i64[S, W], written: the first words of the session's memory after each sample.
        cycles: i64[S], added to: what each took.

    Returns:
        The sample to continue with, or S; what ``run_compiled`` returned; whether it has begun.
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
