"""Forward passes with an event record, as a differentiable torch function of the weights."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.train.batch import Batch
from neuroasync.train.event_record import EventRecord, EventRecordRunner
from neuroasync.train.surrogate import Surrogate

__all__ = ["ForwardResult", "check_weights", "run_event_record"]


class ForwardResult(NamedTuple):
    """Result of running a batch of B samples with at most T passes each.

    Attributes:
        votes: f32[B, T, classes], spikes of the output population in each pass; differentiable.
        spikes: f32[B, T, P], spikes of each of the P populations in each pass; differentiable.
        labels: i64[B], decisions; -1 where there is none.
        potentials: f32[B, T, classes], membrane potentials of the output at the end of each pass;
            differentiable. None unless the output consists of leaky integrators.
    """

    votes: Tensor
    spikes: Tensor
    labels: Tensor
    potentials: Tensor | None = None


def run_event_record(
    weights: Tensor,
    recorder: EventRecordRunner,
    batch: Batch,
    settings: RunSettings,
    surrogate: Surrogate,
    dropout: float = 0.0,
    logs: Tensor | None = None,
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
        logs: f32[..], logarithms of the runner's learned parameters; required if it has any.

    Raises:
        ValueError: The weights have another type or device, or the runner refuses the batch, the
            settings or ``dropout``.
        ForwardStepLimitError: A pass took more forward steps than the settings allow.
    """
    check_weights(weights, "cpu")
    needs_gradient = weights.requires_grad or (logs is not None and logs.requires_grad)
    if torch.is_grad_enabled() and needs_gradient:
        votes, spikes, labels, potentials = _EventRecordFunction.apply(  # type: ignore[no-untyped-call]
            weights, logs, recorder, batch, settings, surrogate, dropout
        )
    else:
        values = None if logs is None else logs.detach().numpy()
        record = recorder.run(weights.detach().numpy(), batch, settings, dropout, False, values)
        votes, spikes, labels, potentials = _results(record)
    return ForwardResult(votes, spikes, labels, potentials if potentials.shape[2] else None)


def check_weights(weights: Tensor, device: str) -> None:
    """Raise ValueError unless the weights are f32 on the kind of device that runs the kernels.

    The kernels would take the bytes of another type for float32.
    """
    if weights.dtype != torch.float32 or weights.device.type != device:
        found = f"{weights.dtype} on {weights.device.type}"
        raise ValueError(
            f"the parameters of the network must be torch.float32 on {device}, got {found}; "
            "choose the device when you make a `SpikingNetwork`, and do not convert or move it"
        )


def _results(record: EventRecord) -> tuple[Tensor, ...]:
    arrays = (record.votes, record.spikes, record.labels, record.potentials)
    return tuple(torch.from_numpy(array) for array in arrays)


class _EventRecordFunction(torch.autograd.Function):
    """Forward by the runtime's kernels, backward by ``train.kernels.backward``."""

    @staticmethod
    def forward(
        ctx: Any,
        weights: Tensor,
        logs: Tensor | None,
        recorder: EventRecordRunner,
        batch: Batch,
        settings: RunSettings,
        surrogate: Surrogate,
        dropout: float,
    ) -> tuple[Tensor, ...]:
        # The record holds the weights; saving them here lets torch detect an in-place change.
        ctx.save_for_backward(weights)
        ctx.recorder, ctx.surrogate = recorder, surrogate
        values = None if logs is None else logs.detach().numpy()
        ctx.record = recorder.run(weights.detach().numpy(), batch, settings, dropout, True, values)
        results = _results(ctx.record)
        ctx.mark_non_differentiable(results[2])
        ctx.set_materialize_grads(False)  # NumPy makes zeros in less time than torch.
        return results

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any,
        grad_votes: Tensor | None,
        grad_spikes: Tensor | None,
        _: None,
        grad_potentials: Tensor | None,
    ) -> Any:
        _ = ctx.saved_tensors  # The access raises if the weights were changed in place.
        record = ctx.record
        grad, grad_logs = ctx.recorder.backward(
            record,
            _array(grad_votes, record.votes),
            _array(grad_spikes, record.spikes),
            _array(grad_potentials, record.potentials),
            ctx.surrogate.code,
        )
        of_logs = torch.from_numpy(grad_logs) if ctx.recorder.learned is not None else None
        return torch.from_numpy(grad), of_logs, None, None, None, None, None


def _array(gradient: Tensor | None, result: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the gradient of a result; zeros if the loss does not depend on it."""
    if gradient is None:
        return np.zeros(result.shape, np.float32)
    return gradient.contiguous().numpy()
