"""A spiking network as a torch module.

By default, all weights and biases form a single parameter, because most of the time that torch
spends per parameter does not depend on its size.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroasync.core.durations import Duration
from neuroasync.core.engine.run_settings import RunSettings, check_seed
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.model.checks import must_be
from neuroasync.core.model.connections import Conv1d, Conv2d, Dense, Pool, Sparse
from neuroasync.core.model.kernel_forms import kernel_form
from neuroasync.core.model.model import Model
from neuroasync.train.autograd_function import ForwardResult, run_event_record
from neuroasync.train.batch import Batch, make_batch
from neuroasync.train.cuda.autograd_function import run_cuda_record
from neuroasync.train.cuda.selection import Device, cuda_runner
from neuroasync.train.event_record import EventRecordRunner
from neuroasync.train.neurons.learned import (
    LearnedParameters,
    LearnPer,
    check_learn_per,
    parse_learn,
    with_neurons,
)
from neuroasync.train.parallel.exchange import Exchange
from neuroasync.train.surrogate import Surrogate

__all__ = ["Device", "SpikingNetwork"]


class SpikingNetwork(nn.Module):
    """A torch module whose forward passes are those of the runtime, and are differentiable.

    On the CPU, the runtime's kernels run the passes and keep an event record. On a GPU, the CUDA
    engine does (``neuroasync.train.cuda``), with the same spikes to the bit.

    Attributes:
        model: Populations, connections and initial weights.
        values: f32[..], the parameter, unless there is one by connection. :meth:`parts` splits it.
            It ends with the logarithms of the learned parameters of neurons.

    Args:
        model: Populations, connections and initial weights.
        surrogate: Surrogate derivative of the spike function. Defaults to ``Surrogate()``.
        device: ``"cpu"``, ``"cuda"``, or ``"auto"`` for the CUDA engine if it can be used, else the
            CPU. A network that the CUDA engine does not support runs on the CPU, which is logged.
        threads: Maximum number of threads on the CPU. None takes the number of available cores.
            The result does not depend on it.
        by_connection: Make a parameter of each weight and each bias, for optimisers with groups of
            parameters; see :meth:`parameters_by_connection`.
        learn: What is learned besides weights and biases: one or several of ``tau_mem``,
            ``tau_syn`` and ``threshold``, separated by commas. See
            ``neuroasync.train.neurons.learned``.
        learn_per: ``"population"`` multiplies a parameter of all its neurons by the same learned
            factor; with ``"neuron"``, each neuron has its own.
        exchange: Connection to other workers that run the same batches, each a share of it, on the
            CPU. Results and gradients are those of the whole batch. None runs all samples here.

    Raises:
        ValueError: The network has delays and a ``timestep_us`` of 0, it has no parameter that
            ``learn`` names, ``learn_per`` is given without ``learn``, ``threads`` is less than 1,
            or the name of the device is unknown, or ``"cuda"`` is asked for and there is no CUDA
            device or no cuda-core, or with ``exchange``.
    """

    def __init__(
        self,
        model: Model,
        surrogate: Surrogate | None = None,
        device: Device = "auto",
        threads: int | None = None,
        by_connection: bool = False,
        learn: str | None = None,
        learn_per: LearnPer = "population",
        exchange: Exchange | None = None,
    ) -> None:
        super().__init__()
        if exchange is not None and device != "cpu":
            if device != "auto":
                raise ValueError(
                    must_be("device", "'cpu' or 'auto' with `exchange`", f"{device!r}")
                )
            device = "cpu"
        self.model = model
        self._learned: LearnedParameters | None = None
        check_learn_per(learn_per, learn)
        if learn is not None:
            self._learned = LearnedParameters(model, parse_learn(learn), learn_per)
        self.surrogate = surrogate or Surrogate()
        of_recorder = model if self._learned is None else self._learned.model
        self._recorder = EventRecordRunner(of_recorder, threads, self._learned, exchange)
        self._runner = cuda_runner(device, self._recorder.packed, learn)
        self.device = self._runner.device if self._runner else torch.device("cpu")
        flat = torch.from_numpy(_flat(model))
        logs = torch.from_numpy(np.zeros(self._learned.size if self._learned else 0, np.float32))
        self._weights = flat.numel()
        self._connections: dict[str, _ConnectionParameters] = {}
        if by_connection:
            for name, part in zip(_connection_names(model), self._split(flat), strict=True):
                self._connections[name] = _ConnectionParameters(*part)
                # Torch allows no dots in the names of modules.
                self.add_module(name.replace(".", "_"), self._connections[name])
            if self._learned:
                self.neuron_logs = nn.Parameter(logs)
        else:
            self.values = nn.Parameter(torch.cat([flat, logs]))
        spread, fixed = _layout(model)
        self._is_spread = spread.numel() > 0
        self.register_buffer("_spread", spread, persistent=False)
        self.register_buffer("_fixed", fixed, persistent=False)
        self.to(self.device)

    def forward(self, batch: Batch, settings: RunSettings, dropout: float = 0.0) -> ForwardResult:
        """Run a batch.

        Args:
            batch: The samples; see :meth:`batch`.
            settings: Ordering policy, group size and input mode. The stop rule must be
                ``quiet``.
            dropout: Probability that a spike leaves its neuron non-refractory (training only).

        Raises:
            ValueError: The batch, a setting or the type of the parameters does not fit.
            ForwardStepLimitError: A pass took more forward steps than the settings allow.
        """
        if self._runner:
            return run_cuda_record(
                self.packed(), self._runner, batch, settings, self.surrogate, dropout
            )
        return run_event_record(
            self.packed(), self._recorder, batch, settings, self.surrogate, dropout, self._logs()
        )

    def batch(
        self,
        trains: SpikeTrains,
        samples: Sequence[int] | NDArray[np.int64],
        seeds: Sequence[int] | NDArray[np.uint64],
        duration_us: Duration | None = None,
        dropout: float = 0.0,
    ) -> Batch:
        """Return a batch of samples; see :func:`neuroasync.train.make_batch`."""
        return make_batch(self.model, trains, samples, seeds, duration_us, dropout)

    @property
    def engine(self) -> Literal["cpu", "cuda"]:
        """What runs the passes: the compiled kernels on the CPU, or the CUDA engine."""
        return "cuda" if self._runner else "cpu"

    @property
    def hidden(self) -> dict[int, int]:
        """Sizes of all populations except the output by index, for :func:`spike_penalty`."""
        output = self.model.output
        return {p: q.size for p, q in enumerate(self.model.populations) if q.name != output}

    def parameters_by_connection(self) -> dict[str, list[nn.Parameter]]:
        """Return the weight and the bias, if there is one, of each connection except pools.

        The keys are such as ``"input -> hidden"``; a delay in µs follows, and a number if several
        connections would have the same name. Torch's own ``named_parameters`` has the same
        names, and ``neuron_logs`` for the learned parameters of neurons.

        Raises:
            ValueError: The network was not made with ``by_connection=True``.
        """
        if "values" in self._parameters:
            raise ValueError("`by_connection` must be True to have a parameter for each connection")
        return {
            name: list(module.parameters())
            for name, module in self._connections.items()
            if module.weight.numel()
        }

    def packed(self) -> Tensor:
        """Return all weights and biases, f32[..], laid out like ``PackedArrays.weights``."""
        flat = self._joined()
        if not self._is_spread:
            return flat
        joined = torch.cat([flat, self.get_buffer("_fixed")])
        return joined.index_select(0, self.get_buffer("_spread"))

    def parts(self, flat: Tensor | None = None) -> list[tuple[Tensor, Tensor | None]]:
        """Return weight and bias of each connection, in their shapes, as views.

        Args:
            flat: f32[..], laid out like ``values``, for example its gradient. None takes the
                parameters themselves.
        """
        if flat is None and self._connections:
            return [(module.weight, module.bias) for module in self._connections.values()]
        return self._split(self.values if flat is None else flat)

    def _split(self, flat: Tensor) -> list[tuple[Tensor, Tensor | None]]:
        views, at = [], 0
        for c in self.model.connections:
            shape = c.weight.shape[::-1] if isinstance(c, Dense) else c.weight.shape
            weight = flat[at : at + c.weight.size].view(shape)
            at += c.weight.size
            biases = 0 if c.bias is None else c.bias.size
            bias = flat[at : at + biases] if biases else None
            at += biases
            views.append((weight.t() if isinstance(c, Dense) else weight, bias))
        return views

    def _joined(self) -> Tensor:
        """Return all weights and biases in the layout of ``values``."""
        if not self._connections:
            return self.values if self._learned is None else self.values[: self._weights]
        pieces = []
        for c, (weight, bias) in zip(self.model.connections, self.parts(), strict=True):
            pieces.append((weight.t() if isinstance(c, Dense) else weight).reshape(-1))
            if bias is not None:
                pieces.append(bias)
        return torch.cat([*pieces, pieces[0].new_zeros(1)])

    def _logs(self) -> Tensor | None:
        """Return the logarithms of the learned parameters of neurons, if there are any."""
        if self._learned is None:
            return None
        return self.neuron_logs if self._connections else self.values[self._weights :]

    def to_model(self) -> Model:
        """Return the network with its current weights, time constants and thresholds as a model."""
        parts = zip(self.model.connections, self.parts(), strict=True)
        connections = tuple(
            c
            if isinstance(c, Pool)
            else replace(c, weight=_array(weight), bias=None if bias is None else _array(bias))
            for c, (weight, bias) in parts
        )
        model = replace(self.model, connections=connections)
        if self._learned is None or (logs := self._logs()) is None:
            return model
        return with_neurons(model, self._learned.neurons(_array(logs)))

    @torch.no_grad()
    def reset_parameters(self, seed: int) -> None:
        """Draw new weights from Xavier's uniform distribution, and set the biases to 0.

        Learned parameters of neurons stay as they are. Weights are uniform in [-b, b] with
        b = sqrt(6 / (fan in + fan out)).

        Args:
            seed: Seed of the random generator.

        Source:
            Glorot and Bengio, Understanding the difficulty of training deep feedforward neural
            networks, AISTATS 2010, equation 16.
        """
        generator = torch.Generator("cpu").manual_seed(check_seed(seed) & (2**63 - 1))
        parts = zip(self.model.connections, self.parts(), strict=True)
        for c, (weight, bias) in parts:
            if isinstance(c, Pool):
                continue
            if bias is not None:
                bias.zero_()
            bound = math.sqrt(6 / max(sum(_fans(self.model, c)), 1e-9))
            drawn = torch.rand(weight.shape, generator=generator, dtype=torch.float32, device="cpu")
            weight.copy_((2 * drawn - 1) * bound)


class _ConnectionParameters(nn.Module):
    """The weight and the bias of a connection, as parameters of their own."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.clone())
        self.bias = None if bias is None else nn.Parameter(bias.clone())


def _connection_names(model: Model) -> list[str]:
    """Return a distinct name for each connection."""
    names: list[str] = []
    for c in model.connections:
        name = f"{c.source} -> {c.target}" + (f" delay_us={c.delay_us}" if c.delay_us else "")
        same = sum(known == name or known.startswith(f"{name} #") for known in names)
        names.append(f"{name} #{same + 1}" if same else name)
    return names


def _flat(model: Model) -> NDArray[np.float32]:
    """Return weights and biases in the kernels' layout, but with one bias per channel.

    Like ``PackedArrays.weights``, the array ends with a 0.
    """
    parts = []
    for c in model.connections:
        parts.append((c.weight.T if isinstance(c, Dense) else c.weight).ravel())
        if c.bias is not None:
            parts.append(c.bias)
    return np.concatenate([*parts, np.zeros(1, np.float32)])


def _layout(model: Model) -> tuple[Tensor, Tensor]:
    """Return how the kernels' layout follows from ``values`` and from weights that are fixed.

    The two layouts differ where a convolution has biases, because the kernels need one bias per
    neuron, and where there are pools, whose weights are not trained.

    Returns:
        i64[..], the index of each entry in ``values`` followed by the fixed weights, empty if the
        layouts are equal; and f32[..], the fixed weights.
    """
    convs = (c for c in model.connections if isinstance(c, Conv1d | Conv2d))
    pools = [c for c in model.connections if isinstance(c, Pool)]
    if not pools and all(c.bias is None for c in convs):
        return torch.from_numpy(np.zeros(0, np.int64)), torch.from_numpy(np.zeros(0, np.float32))
    parts: list[NDArray[np.int64]] = []
    fixed: list[np.float32] = []
    at = 0
    first_fixed = model.parameters + 1  # `values` ends with a 0
    for c in model.connections:
        if isinstance(c, Pool):
            form = kernel_form(model, c)
            parts.append(np.full(form.weight.size, first_fixed + len(fixed)))
            fixed.append(form.weight[0])
            continue
        parts.append(np.arange(at, at + c.weight.size))
        at += c.weight.size
        if c.bias is not None:
            target = model.populations[model.index(c.target)]
            times = target.size // c.bias.size
            parts.append(np.repeat(np.arange(at, at + c.bias.size), times))
            at += c.bias.size
    spread = torch.from_numpy(np.concatenate([*parts, [at]]))
    return spread, torch.from_numpy(np.array(fixed, np.float32))


def _fans(model: Model, c: Dense | Conv1d | Conv2d | Sparse) -> tuple[float, float]:
    """Return the mean number of synapses into a target neuron, and out of a source neuron."""
    if isinstance(c, Sparse):
        targets = model.populations[model.index(c.target)].size
        return c.weight.size / targets, c.weight.size / (c.indptr.size - 1)
    out, into, *kernel = c.weight.shape
    return into * math.prod(kernel), out * math.prod(kernel)


def _array(parameter: Tensor) -> NDArray[np.float32]:
    return parameter.detach().cpu().numpy().copy()
