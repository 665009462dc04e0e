"""A network as a torch module: all its weights and biases are one parameter.

One, because most of what torch does for a parameter costs the same however small it is.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.core.model.connections import Connection, Conv2d, Dense, Sparse
from neuroasync.core.model.model import Model
from neuroasync.train.autograd_function import ForwardResult, run_event_record
from neuroasync.train.batch import Batch, make_batch
from neuroasync.train.event_record import EventRecordRunner, check_trainable
from neuroasync.train.surrogate import Surrogate

__all__ = ["Device", "SpikingNetwork"]

Device = Literal["auto", "cpu", "cuda"]
"""``"auto"`` is a GPU if torch has one, else the CPU."""


class SpikingNetwork(nn.Module):
    """A network whose forward passes are the runtime's, and differentiable.

    On the CPU they are the runtime's kernels themselves, with an event record; on a GPU a plain
    torch formulation (``train.dense``).

    Attributes:
        values: f32[..], the parameter; :meth:`parts` has each connection's.

    Args:
        model: populations, connections and the weights to begin with.
        surrogate: derivative in place of the spike's.
        device: where to run.
        threads: how many may run at once on the CPU; None for as many as there are cores. The
            result is the same whatever it is.

    Raises:
        ValueError: ``timestep_us`` is 0 and there are delays, or torch has no such device.
    """

    def __init__(
        self,
        model: Model,
        surrogate: Surrogate | None = None,
        device: Device = "auto",
        threads: int | None = None,
    ) -> None:
        super().__init__()
        check_trainable(model)
        self.model = model
        self.surrogate = surrogate or Surrogate()
        self.device = _device(device)
        self.values = nn.Parameter(torch.from_numpy(_flat(model)))
        self.register_buffer("_spread", _spread(model), persistent=False)
        self._recorder = EventRecordRunner(model, threads)
        self.to(self.device)

    def forward(self, batch: Batch, settings: RunSettings, dropout: float = 0.0) -> ForwardResult:
        """Run a batch.

        Args:
            batch: the samples; see :meth:`batch`.
            settings: order, group size, input; the stop rule must be ``quiet``.
            dropout: probability that a spike leaves its neuron non-refractory (training only).

        Raises:
            ForwardStepLimitError: a pass took more steps than the settings allow.
        """
        if self.device.type == "cpu":
            return run_event_record(
                self.packed(), self._recorder, batch, settings, self.surrogate, dropout
            )
        from neuroasync.train.torch_engine.forward import run_torch_engine

        return run_torch_engine(
            self.packed(), self._recorder.packed, batch, settings, self.surrogate, dropout
        )

    def batch(
        self,
        trains: SpikeTrains,
        samples: Sequence[int] | NDArray[np.int64],
        seeds: Sequence[int],
        duration_us: int | None = None,
        dropout: float = 0.0,
    ) -> Batch:
        """Samples ``samples`` of ``trains``, each with its seed; see ``train.batch.make_batch``."""
        return make_batch(self.model, trains, samples, seeds, duration_us, dropout)

    def packed(self) -> Tensor:
        """All weights and biases, f32[..], as the kernels have them (``PackedArrays.weights``)."""
        spread = self.get_buffer("_spread")
        return self.values.index_select(0, spread) if spread.numel() else self.values

    def parts(self, flat: Tensor) -> list[tuple[Tensor, Tensor | None]]:
        """Weight and bias of each connection, in their shapes, as views of ``flat``.

        Args:
            flat: laid out as ``values``: these, detached, or their gradient.
        """
        found, at = [], 0
        for c in self.model.connections:
            shape = c.weight.shape[::-1] if isinstance(c, Dense) else c.weight.shape
            weight = flat[at : at + c.weight.size].view(shape)
            at += c.weight.size
            biases = 0 if c.bias is None else c.bias.size
            bias = flat[at : at + biases] if biases else None
            at += biases
            found.append((weight.t() if isinstance(c, Dense) else weight, bias))
        return found

    def to_model(self) -> Model:
        """The network as it is now."""
        parts = zip(self.model.connections, self.parts(self.values), strict=True)
        connections = tuple(
            replace(c, weight=_array(weight), bias=None if bias is None else _array(bias))
            for c, (weight, bias) in parts
        )
        return replace(self.model, connections=connections)

    @torch.no_grad()
    def reset_parameters(self, seed: int) -> None:
        """Draw new weights, Xavier uniform: within sqrt(6 / (fan in + fan out)); biases become 0.

        Args:
            seed: of the generator.

        Source:
            Glorot and Bengio, Understanding the difficulty of training deep feedforward neural
            networks, AISTATS 2010, equation 16.
        """
        generator = torch.Generator().manual_seed(seed & (2**63 - 1))
        self.values.zero_()
        parts = zip(self.model.connections, self.parts(self.values), strict=True)
        for c, (weight, _) in parts:
            bound = math.sqrt(6 / max(sum(_fans(self.model, c)), 1e-9))
            drawn = torch.rand(weight.shape, generator=generator)
            weight.copy_((2 * drawn - 1) * bound)


def _flat(model: Model) -> NDArray[np.float32]:
    """Weights and biases as the kernels have them, but one bias for a channel, and 0 at the end."""
    parts = []
    for c in model.connections:
        parts.append((c.weight.T if isinstance(c, Dense) else c.weight).ravel())
        if c.bias is not None:
            parts.append(c.bias)
    return np.concatenate([*parts, np.zeros(1, np.float32)])


def _spread(model: Model) -> Tensor:
    """Where the kernels' values stand among the flat ones; empty if these are the same."""
    if not any(isinstance(c, Conv2d) and c.bias is not None for c in model.connections):
        return torch.zeros(0, dtype=torch.int64)
    parts, at = [], 0
    for c in model.connections:
        parts.append(np.arange(at, at + c.weight.size))
        at += c.weight.size
        if c.bias is not None:
            target = model.populations[model.index(c.target)]
            times = target.size // c.bias.size
            parts.append(np.repeat(np.arange(at, at + c.bias.size), times))
            at += c.bias.size
    return torch.from_numpy(np.concatenate([*parts, [at]]))


def _fans(model: Model, c: Connection) -> tuple[float, float]:
    """Mean number of synapses into a target, and out of a source."""
    if isinstance(c, Sparse):
        targets = model.populations[model.index(c.target)].size
        return c.weight.size / targets, c.weight.size / (c.indptr.size - 1)
    out, into, *kernel = c.weight.shape
    return into * math.prod(kernel), out * math.prod(kernel)


def _device(name: Device) -> torch.device:
    has_cuda = torch.cuda.is_available()
    if name not in ("auto", "cpu", "cuda") or (name == "cuda" and not has_cuda):
        raise ValueError(f"device: {name!r:.80}, expected 'auto' or 'cpu', or 'cuda' if torch has")
    return torch.device("cuda" if has_cuda and name != "cpu" else "cpu")


def _array(parameter: Tensor) -> NDArray[np.float32]:
    return parameter.detach().cpu().numpy().copy()
