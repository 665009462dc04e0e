"""Forward passes on a GPU as a differentiable torch function of the weights."""

from typing import Any

import torch
from torch import Tensor

from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.train.autograd_function import ForwardResult, check_weights
from neuroasync.train.batch import Batch
from neuroasync.train.cuda.runner import CudaRunner
from neuroasync.train.surrogate import Surrogate

__all__ = ["run_cuda_record"]


def run_cuda_record(
    weights: Tensor,
    runner: CudaRunner,
    batch: Batch,
    settings: RunSettings,
    surrogate: Surrogate,
    dropout: float = 0.0,
) -> ForwardResult:
    """Run a batch through the CUDA kernels.

    The spikes are those of :func:`neuroasync.train.autograd_function.run_event_record` to the bit.
    Its gradients have the same terms, which are added in another order, the same in every run.

    Args:
        weights: f32[..] on the device of the runner, laid out like ``PackedArrays.weights``.
        runner: Runner of the network.
        batch: The samples.
        settings: Ordering policy, group size and input mode.
        surrogate: Surrogate derivative of the spike function.
        dropout: Probability that a spike leaves its neuron non-refractory.

    Raises:
        ValueError: The batch was made for another network, or the weights have another type or
            device.
        ForwardStepLimitError: A pass took more forward steps than the settings allow.
    """
    check_weights(weights, runner.device.type)
    if torch.is_grad_enabled() and weights.requires_grad:
        return ForwardResult(
            *_CudaRecordFunction.apply(weights, runner, batch, settings, surrogate, dropout)  # type: ignore[no-untyped-call]
        )
    record = runner.run(weights.detach(), batch, settings, dropout, keep=False)
    return ForwardResult(record.votes, record.spikes, record.labels)


class _CudaRecordFunction(torch.autograd.Function):
    """Forward and backward by the kernels of ``neuroasync.train.cuda``."""

    @staticmethod
    def forward(
        ctx: Any,
        weights: Tensor,
        runner: CudaRunner,
        batch: Batch,
        settings: RunSettings,
        surrogate: Surrogate,
        dropout: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        # The record holds the weights; saving them here lets torch detect an in-place change.
        ctx.save_for_backward(weights)
        ctx.runner, ctx.surrogate = runner, surrogate
        ctx.record = runner.run(weights.detach(), batch, settings, dropout)
        ctx.mark_non_differentiable(ctx.record.labels)
        return ctx.record.votes, ctx.record.spikes, ctx.record.labels

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_votes: Tensor, grad_spikes: Tensor, _: Tensor) -> Any:
        _ = ctx.saved_tensors  # The access raises if the weights were changed in place.
        grad = ctx.runner.backward(ctx.record, grad_votes, grad_spikes, ctx.surrogate.code)
        return grad, None, None, None, None, None
