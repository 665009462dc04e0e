"""The packed network: a model as the arrays that kernels read and never write."""

import math
from collections.abc import Iterable
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.large_arrays import aligned
from neuroasync.core.engine.packed_neurons import (
    can_be_above,
    decay_factors,
    describe_neuron,
    neuron_arrays,
)
from neuroasync.core.kernels.layout import (
    BLOCK,
    OWNER_BLOCK,
    ConnectionKind,
    Connections,
    Context,
    Populations,
)
from neuroasync.core.model.connections import INPUT, Conv2d, Dense, Sparse
from neuroasync.core.model.kernel_forms import KernelForm, kernel_form, planes_of
from neuroasync.core.model.model import Model

__all__ = ["PackedArrays", "PackedNetwork"]

_SYNOPS: Final = 2**16
"""Approximate synaptic operations between two checks of the work budget."""
_FEW: Final = 8
"""Maximum number of populations by which the slots of a group are sorted."""
_FAR_FROM: Final = 2**16
"""Number of neurons whose state, 16 bytes each, fills the private cache of a core."""


class PackedArrays(NamedTuple):
    """Arrays of the packed network, which ``kernels.layout`` documents."""

    populations: NDArray[np.int64]
    connections: NDArray[np.int64]
    links: NDArray[np.int64]
    weights: NDArray[np.float32]
    thresholds: NDArray[np.float32]
    factors: NDArray[np.float32]
    taus: NDArray[np.float64]
    uniform: NDArray[np.float32]
    dynamics: NDArray[np.float64]
    owners: NDArray[np.int32]


class PackedNetwork:
    """A model packed into arrays, which all its sessions share.

    Args:
        model: the model.
        external: names of the custom populations, which never fire spontaneously.

    Attributes:
        model: the model.
        connections: its connections in the kinds that kernels have.
        arrays: the packed arrays.
        max_delayed_fan_out: maximum number of connections with a delay that leave a population.
        blocks: number of blocks of neurons that decay together.
        context: i64[67], a context whose entries are 0 except those of the network.
    """

    def __init__(self, model: Model, external: Iterable[str] = ()) -> None:
        self.model = model
        self.connections = tuple(kernel_form(model, c) for c in model.connections)
        self._external = external = frozenset(external)
        self._order = {p.name: k for k, p in enumerate(model.populations)}
        self._order[INPUT] = len(model.populations)
        out = _leaving(model)
        packer = _Packer([c for leaving in out for c in leaving])
        rows = [self._connection_row(c, packer) for c in self.connections]
        connections = np.array(rows, np.int64).reshape(-1, len(Connections))
        self.arrays = PackedArrays(
            self._population_rows(out, external),
            connections,
            np.concatenate(packer.links),
            aligned(np.concatenate([*packer.weights, np.zeros(1, np.float32)])),
            *neuron_arrays(model, [p.neuron for p in model.populations]),
            _owners(model),
        )
        self.max_delayed_fan_out = max(
            sum(model.connections[c].delay_us > 0 for c in leaving) for leaving in out
        )
        self.blocks = sum(-(-p.size // BLOCK) for p in model.populations)
        self.context = self._context()

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        """Return how to make a pickle or a copy, because addresses hold in this process only."""
        return type(self), (self.model, self._external)

    def decay(self, interval_us: int) -> NDArray[np.float32]:
        """Return the decay factors of the membrane potentials, f32[N], for an interval in µs."""
        taus = [p.neuron.tau_mem_us for p in self.model.populations]
        return decay_factors(self.model, taus, interval_us)

    def _context(self) -> NDArray[np.int64]:
        context = np.zeros(len(Context), np.int64)
        model, arrays = self.model, self.arrays
        for column, array in (
            (Context.POPULATIONS, arrays.populations),
            (Context.CONNECTIONS, arrays.connections),
            (Context.LINKS, arrays.links),
            (Context.WEIGHTS, arrays.weights),
            (Context.THRESHOLDS, arrays.thresholds),
            (Context.FACTORS, arrays.factors),
            (Context.TAUS, arrays.taus),
            (Context.UNIFORM, arrays.uniform),
            (Context.DYNAMICS, arrays.dynamics),
            (Context.OWNERS, arrays.owners),
        ):
            context[column] = array.ctypes.data
        output = model.populations[model.index(model.output)]
        context[Context.NEURONS], context[Context.BLOCKS] = model.size, self.blocks
        context[Context.POPULATION_COUNT] = len(model.populations)
        context[Context.CONNECTION_COUNT] = len(model.connections)
        context[Context.IS_SEPARABLE] = _is_separable(model)
        context[Context.PREFETCHES] = model.size >= _FAR_FROM
        context[Context.CLASSES], context[Context.INPUTS] = output.size, model.input_size
        return context

    def _population_rows(self, out: list[list[int]], external: frozenset[str]) -> NDArray[np.int64]:
        model = self.model
        rows = np.zeros((len(model.populations) + 1, len(Populations)), np.int64)
        biased = {c.target for c in model.connections if c.bias is not None}
        at = block = 0
        for k, leaving in enumerate(out):
            targets = {model.connections[c].target for c in leaving}
            rows[k, Populations.DISJOINT_TARGETS] = len(targets) == len(leaving)
            rows[k, Populations.OUT_START], rows[k, Populations.OUT_STOP] = at, at + len(leaving)
            fan_out = sum(self._fan_out(self.connections[c]) for c in leaving)
            rows[k, Populations.SPIKES_PER_CHECK] = max(1, _SYNOPS // max(1, fan_out))
            rows[k, Populations.HAS_DELAYS] = any(model.connections[c].delay_us for c in leaving)
            at += len(leaving)
        starts = model.starts
        by_turn = np.argsort(model.ranks, kind="stable")
        rows[by_turn, Populations.TURN] = np.arange(by_turn.size)
        rows[:-1, Populations.AT_TURN] = by_turn
        for k, population in enumerate(model.populations):
            rows[k, Populations.START], rows[k, Populations.STOP] = starts[k], starts[k + 1]
            is_biased, is_custom = population.name in biased, population.name in external
            rows[k, Populations.HAS_BIAS], rows[k, Populations.CUSTOM] = is_biased, is_custom
            describe_neuron(rows[k], population.neuron)
            rows[k, Populations.FIRES_SPONTANEOUSLY] = not is_custom and can_be_above(
                population.neuron, is_biased
            )
            rows[k, Populations.FIRST_BLOCK] = block
            block += -(-population.size // BLOCK)
        rows[-1, Populations.START] = starts[-1]
        rows[-1, Populations.STOP] = starts[-1] + model.input_size
        rows[-1, Populations.TURN] = -1
        return rows

    def _fan_out(self, c: KernelForm) -> int:
        """Return the maximum number of targets of one source neuron."""
        if isinstance(c, Sparse):
            return int(np.diff(c.indptr).max(initial=0))
        kernel = math.prod(c.weight.shape[2:]) if isinstance(c, Conv2d) else 1
        return int(c.weight.shape[0]) * kernel

    def _connection_row(self, c: KernelForm, packer: "_Packer") -> NDArray[np.int64]:
        row = np.zeros(len(Connections), np.int64)
        row[Connections.SOURCE], row[Connections.TARGET] = (
            self._order[c.source],
            self._order[c.target],
        )
        row[Connections.DELAY], row[Connections.BIAS] = c.delay_us, -1
        match c:
            case Dense():
                row[Connections.KIND] = ConnectionKind.DENSE
                row[Connections.WEIGHT] = packer.add_weights(c.weight.T)
            case Sparse():
                row[Connections.KIND] = ConnectionKind.SPARSE
                row[Connections.WEIGHT] = packer.add_weights(c.weight)
                row[Connections.INDPTR] = packer.add_links(c.indptr)
                row[Connections.INDICES] = packer.add_links(c.indices)
            case Conv2d():
                self._pack_conv2d(c, row, packer)
        if c.bias is not None:
            bias = c.bias
            if isinstance(c, Conv2d):
                bias = np.repeat(bias, math.prod(self._shape(c.target)[1:]))
            row[Connections.BIAS] = packer.add_weights(bias)
        return row

    def _pack_conv2d(self, c: Conv2d, row: NDArray[np.int64], packer: "_Packer") -> None:
        row[Connections.KIND] = ConnectionKind.CONV2D
        row[Connections.WEIGHT] = packer.add_weights(c.weight)
        channels, height, width = planes_of(self._shape(c.source))
        row[Connections.CHANNELS_IN], row[Connections.HEIGHT_IN], row[Connections.WIDTH_IN] = (
            channels,
            height,
            width,
        )
        channels, height, width = planes_of(self._shape(c.target))
        row[Connections.CHANNELS_OUT], row[Connections.HEIGHT_OUT], row[Connections.WIDTH_OUT] = (
            channels,
            height,
            width,
        )
        row[Connections.KERNEL_Y], row[Connections.KERNEL_X] = c.weight.shape[2:]
        row[Connections.STRIDE] = c.stride[0] << 20 | c.stride[1]
        row[Connections.PADDING] = c.padding[0] << 20 | c.padding[1]

    def _shape(self, name: str) -> tuple[int, ...]:
        if name == INPUT:
            return self.model.input_shape
        return self.model.populations[self._order[name]].shape


class _Packer:
    """Concatenator of arrays that returns the offset of each."""

    def __init__(self, leaving: list[int]) -> None:
        self.links: list[NDArray[np.int64]] = [np.array(leaving, np.int64)]
        self.weights: list[NDArray[np.float32]] = []
        self._links = len(leaving)
        self._weights = 0

    def add_links(self, values: NDArray[np.int64]) -> int:
        self.links.append(values)
        self._links += values.size
        return self._links - values.size

    def add_weights(self, values: NDArray[np.float32]) -> int:
        self.weights.append(values.ravel())
        self._weights += values.size
        return self._weights - values.size


def _leaving(model: Model) -> list[list[int]]:
    """Return the connections that leave each population, in declared order; the input is last."""
    names = [*(p.name for p in model.populations), INPUT]
    leaving: dict[str, list[int]] = {name: [] for name in names}
    for k, connection in enumerate(model.connections):
        leaving[connection.source].append(k)
    return list(leaving.values())


def _owners(model: Model) -> NDArray[np.int32]:
    """Return the population of the first of each ``OWNER_BLOCK`` neurons."""
    firsts = np.arange(0, model.size, OWNER_BLOCK)
    return (np.searchsorted(model.starts, firsts, side="right") - 1).astype(np.int32)


def _is_separable(model: Model) -> bool:
    """Return whether the spikes of each of a few populations can be delivered together.

    A population receives over one connection without delay at most, so that it sums in slot order.
    """
    targets = [c.target for c in model.connections if not c.delay_us]
    return len(set(targets)) == len(targets) and len(model.populations) <= _FEW
