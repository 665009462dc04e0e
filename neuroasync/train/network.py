"""A network as a torch module: one parameter for each connection's weight and bias."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroasync.connections import Connection, Conv2d, Dense, Sparse
from neuroasync.model import Model
from neuroasync.settings import RunSettings
from neuroasync.spikes import SpikeTrains
from neuroasync.train.batch import Batch, make_batch
from neuroasync.train.function import Run, run_record
from neuroasync.train.record import Recorder, check_trainable
from neuroasync.train.surrogate import Surrogate

__all__ = ["Device", "SpikingNetwork"]

Device = Literal["auto", "cpu", "cuda"]
"""``"auto"`` is a GPU if torch has one, else the CPU."""


class SpikingNetwork(nn.Module):
    """A network whose forward passes are the runtime's, and differentiable.

    On the CPU they are the runtime's kernels themselves, with an event record; on a GPU a plain
    torch formulation (``train.dense``).

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
        self.weights = nn.ParameterList(nn.Parameter(_tensor(c.weight)) for c in model.connections)
        self.biases = nn.ParameterDict(
            {
                str(k): nn.Parameter(_tensor(c.bias))
                for k, c in enumerate(model.connections)
                if c.bias is not None
            }
        )
        self._recorder = Recorder(model, threads)
        self.to(self.device)

    def forward(self, batch: Batch, settings: RunSettings, dropout: float = 0.0) -> Run:
        """Run a batch.

        Args:
            batch: the samples; see :meth:`batch`.
            settings: order, group size, input; the stop rule must be ``quiet``.
            dropout: probability that a spike leaves its neuron non-refractory (training only).

        Raises:
            ForwardStepLimitError: a pass took more steps than the settings allow.
        """
        if self.device.type == "cpu":
            return run_record(
                self.packed(), self._recorder, batch, settings, self.surrogate, dropout
            )
        from neuroasync.train.dense import run_dense

        return run_dense(
            self.packed(), self._recorder.wiring, batch, settings, self.surrogate, dropout
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
        """All weights and biases, f32[..], as the kernels have them (``Wires.weights``)."""
        parts = []
        for k, (c, weight) in enumerate(zip(self.model.connections, self.weights, strict=True)):
            parts.append((weight.t() if isinstance(c, Dense) else weight).reshape(-1))
            if c.bias is not None:
                bias = self.biases[str(k)]
                if isinstance(c, Conv2d):
                    target = self.model.populations[self.model.index(c.target)]
                    bias = bias.repeat_interleave(math.prod(target.shape[1:]))
                parts.append(bias)
        return torch.cat([*parts, parts[0].new_zeros(1)])

    def to_model(self) -> Model:
        """The network as it is now."""
        connections = []
        for k, (c, weight) in enumerate(zip(self.model.connections, self.weights, strict=True)):
            bias = None if c.bias is None else _array(self.biases[str(k)])
            connections.append(replace(c, weight=_array(weight), bias=bias))
        return replace(self.model, connections=tuple(connections))

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
        for c, weight in zip(self.model.connections, self.weights, strict=True):
            bound = math.sqrt(6 / max(sum(_fans(self.model, c)), 1e-9))
            drawn = torch.rand(weight.shape, generator=generator)
            weight.copy_((2 * drawn - 1) * bound)
        for bias in self.biases.values():
            bias.zero_()


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


def _tensor(values: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.array(values, np.float32))


def _array(parameter: Tensor) -> NDArray[np.float32]:
    return parameter.detach().cpu().numpy().copy()
