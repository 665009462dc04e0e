"""Forward passes and gradients in plain torch, on any device, under the rules of the event record.

This is the reference that the event record and the CUDA engine are tested against. No training uses
it, because it is many times slower; but it is short enough to read, and it can compute in float64.
All samples of a batch are processed at once. Sums are not in slot order here, so the spikes are the
event record's wherever sums are exact.

Shapes: B samples, N neurons, P populations, I inputs, E queued input events, T passes.
"""

import numpy as np
import torch
from torch import Tensor

from bench.torch_engine.policy_run import PolicyRun
from bench.torch_engine.tables import Tables
from bench.torch_engine.turns_run import TurnsRun
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import LayerSync
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.train.autograd_function import ForwardResult
from neuroasync.train.batch import Batch
from neuroasync.train.neurons.learned import LearnedParameters
from neuroasync.train.surrogate import Surrogate

__all__ = ["run_torch_engine"]


def run_torch_engine(
    weights: Tensor,
    packed: PackedNetwork,
    batch: Batch,
    settings: RunSettings,
    surrogate: Surrogate,
    dropout: float = 0.0,
    learned: LearnedParameters | None = None,
    logs: Tensor | None = None,
) -> ForwardResult:
    """Run a batch in plain torch.

    The arguments are those of :func:`neuroasync.train.autograd_function.run_event_record`, but
    ``weights`` and ``logs`` may be on any device, and of type float64. Membrane potentials are then
    still rounded to float32 where the runtime rounds them. This keeps the spikes the same, while
    the gradients are computed in float64.

    Raises:
        ValueError: The batch was made for another network, or has events with values.
        ForwardStepLimitError: A pass took more forward steps than the settings allow.
    """
    batch.check_fits(packed.model)
    if batch.value is not None:
        raise ValueError(
            "the torch engine does not support input events with values; train on "
            "the CPU in float32, which uses the runtime's kernels"
        )
    neurons, by_neuron = [p.neuron for p in packed.model.populations], None
    if learned is not None and logs is not None:
        neurons = learned.neurons(logs.detach().cpu().numpy().astype(np.float32))
        index = torch.from_numpy(learned.index).to(logs.device)
        by_neuron = torch.cat([logs, logs.new_zeros(1)])[index]
    tables = Tables(packed, batch, neurons, by_neuron, weights.device, weights.dtype)
    arguments = (weights, tables, settings, surrogate, dropout)
    needs_gradient = weights.requires_grad or (logs is not None and logs.requires_grad)
    has_gradient = torch.is_grad_enabled() and needs_gradient
    with torch.backends.cudnn.flags(allow_tf32=False):
        if isinstance(settings.policy, LayerSync):
            result = TurnsRun(*arguments).run()
        else:
            with torch.no_grad():
                first = PolicyRun(*arguments, None)
                result = first.run()
            if has_gradient:
                result = PolicyRun(*arguments, first.sites).run()
    if not has_gradient:
        return result
    # Where nothing can fire, the result depends on no weight, but a loss must be differentiable.
    zero = weights[:0].sum() + (0 if logs is None else logs[:0].sum())
    potentials = None if result.potentials is None else result.potentials + zero
    return ForwardResult(result.votes + zero, result.spikes + zero, result.labels, potentials)
