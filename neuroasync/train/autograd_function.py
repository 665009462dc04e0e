"""Forward passes with an event record, as a differentiable torch function of the weights."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.train.batch import Batch
from neuroasync.train.event_record import EventRecordRunner
from neuroasync.train.surrogate import Surrogate

__all__ = ["ForwardResult", "run_event_record"]


class ForwardResult(NamedTuple):
    """Result of running a batch of B samples with at most T passes each.

    Attributes:
        votes: f32[B, T, classes], spikes of the output population in each pass; differentiable.
        spikes: f32[B, T, P], spikes of each of the P populations in each pass; differentiable.
        labels: i64[B], decisions; -1 where there is none.
    """

    votes: Tensor
    spikes: Tensor
    labels: Tensor


def run_event_record(
    weights: Tensor,
    recorder: EventRecordRunner,
    batch: Batch,
    settings: RunSettings,
    surrogate: Surrogate,
    dropout: float = 0.0,
) -> ForwardResult:
    """Run a batch through the runtime's kernels.

    Under layer-sync, the gradient is that of backpropagation through time; see
    ``neuroasync.train.kernels.backward_turns``. Otherwise it follows the peak rule; see
    ``neuroasync.train.kernels.backward``.

    Args:
        weights: f32[..] on the CPU, laid out like ``PackedArrays.weights``.
        recorder: Runner of the network.
        batch: The samples.
        settings: Ordering policy, group size and input mode.
        surrogate: Surrogate derivative of the spike function.
        dropout: Probability that a spike leaves its neuron non-refractory.

    Raises:
        ForwardStepLimitError: A pass took more forward steps than the settings allow.
    """
    if torch.is_grad_enabled() and weights.requires_grad:
        return ForwardResult(
            *_EventRecordFunction.apply(  # type: ignore[no-untyped-call]
                weights, recorder, batch, settings, surrogate, dropout
            )
        )
    record = recorder.run(weights.detach().numpy(), batch, settings, dropout, keep=False)
    return ForwardResult(
        *(torch.from_numpy(a) for a in (record.votes, record.spikes, record.labels))
    )


class _EventRecordFunction(torch.autograd.Function):
    """Forward by the runtime's kernels, backward by ``train.kernels.backward``."""

    @staticmethod
    def forward(
        ctx: Any,
        weights: Tensor,
        recorder: EventRecordRunner,
        batch: Batch,
        settings: RunSettings,
        surrogate: Surrogate,
        dropout: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        # The record holds the weights; saving them here lets torch detect an in-place change.
        ctx.save_for_backward(weights)
        ctx.recorder, ctx.surrogate = recorder, surrogate
        ctx.record = recorder.run(weights.detach().numpy(), batch, settings, dropout)
        votes, spikes, labels = (
            torch.from_numpy(a) for a in (ctx.record.votes, ctx.record.spikes, ctx.record.labels)
        )
        ctx.mark_non_differentiable(labels)
        return votes, spikes, labels

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_votes: Tensor, grad_spikes: Tensor, _: Tensor) -> Any:
        _ = ctx.saved_tensors  # The access raises if the weights were changed in place.
        grad = ctx.recorder.backward(
            ctx.record,
            grad_votes.contiguous().numpy(),
            grad_spikes.contiguous().numpy(),
            ctx.surrogate.code,
        )
        return torch.from_numpy(grad), None, None, None, None, None
