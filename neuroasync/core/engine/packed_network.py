"""The packed network: a model as the arrays that kernels read and never write."""

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.packed_neurons import (
    can_be_above,
    decay_factors,
    describe_neuron,
    neuron_arrays,
)
from neuroasync.core.kernels.layout import (
    BLOCK,
    OWNER_BLOCK,
    ROWS_AHEAD,
    SLOTS_AHEAD,
    ConnectionKind,
    Connections,
    Context,
    Populations,
)
from neuroasync.core.large_arrays import aligned
from neuroasync.core.model.connections import INPUT, Conv2d, Dense, Sparse
from neuroasync.core.model.kernel_forms import KernelForm, kernel_form, planes_of
from neuroasync.core.model.model import Model

__all__ = ["PackedArrays", "PackedNetwork"]

_Number = TypeVar("_Number", np.int32, np.float32)

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
    links: NDArray[np.int32]
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
        contiguous: whether ``arrays`` has all weights and all links, as training needs. Otherwise,
            sparse connections and convolutions are used where the model has them, and there is
            one copy of their weights.

    Attributes:
        model: the model.
        connections: its connections in the kinds that kernels have.
        arrays: the packed arrays.
        max_delayed_fan_out: maximum number of connections with a delay that leave a population.
        blocks: number of blocks of neurons that decay together.
        context: i64[69], a context whose entries are 0 except those of the network.
    """

    def __init__(
        self, model: Model, external: Iterable[str] = (), *, contiguous: bool = False
    ) -> None:
        self.model = model
        self.connections = tuple(kernel_form(model, c) for c in model.connections)
        external = frozenset(external)
        self._rebuild = partial(type(self), model, external, contiguous=contiguous)
        self._order = {p.name: k for k, p in enumerate(model.populations)}
        self._order[INPUT] = len(model.populations)
        out = _leaving(model)
        connections = np.zeros((len(self.connections), len(Connections)), np.int64)
        links = _Packer(np.array([c for leaving in out for c in leaving], np.int32), contiguous)
        weights = _Packer(np.zeros(0, np.float32), contiguous)
        for c, row in zip(self.connections, connections, strict=True):
            self._describe_connection(c, row, links, weights)
        self.arrays = PackedArrays(
            self._population_rows(out, external),
            connections,
            links.pack(),
            weights.pack(),
            *neuron_arrays(model, [p.neuron for p in model.populations]),
            _owners(model),
        )
        self.max_delayed_fan_out = max(
            sum(model.connections[c].delay_us > 0 for c in leaving) for leaving in out
        )
        self.blocks = sum(-(-p.size // BLOCK) for p in model.populations)
        self.context = self._context()

    def __reduce__(self) -> tuple[Callable[[], object], tuple[()]]:
        """Return how to make a pickle or a copy, because addresses hold in this process only."""
        return self._rebuild, ()

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
        if model.size >= _FAR_FROM:
            most = max(len(leaving) for leaving in _leaving(model))
            context[Context.PREFETCHES] = min(SLOTS_AHEAD, max(1, ROWS_AHEAD // most))
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
            rows[k, Populations.DECAYS_IN_LANES] = (
                model.timestep_us > 0
                and rows[k, Populations.HOMOGENEOUS]
                and not rows[k, Populations.HAS_EXTRAS]
            )
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

    def _describe_connection(
        self,
        c: KernelForm,
        row: NDArray[np.int64],
        links: "_Packer[np.int32]",
        weights: "_Packer[np.float32]",
    ) -> None:
        row[Connections.SOURCE], row[Connections.TARGET] = (
            self._order[c.source],
            self._order[c.target],
        )
        row[Connections.DELAY], row[Connections.BIAS] = c.delay_us, -1
        match c:
            case Dense():
                row[Connections.KIND] = ConnectionKind.DENSE
                weights.copy(c.weight.T, row, Connections.WEIGHT)  # kernels read it by source
            case Sparse():
                row[Connections.KIND] = ConnectionKind.SPARSE
                weights.refer_to(c.weight, row, Connections.WEIGHT)
                links.refer_to(c.indptr, row, Connections.INDPTR)
                links.refer_to(c.indices, row, Connections.INDICES)
            case Conv2d():
                weights.refer_to(c.weight, row, Connections.WEIGHT)
                self._describe_conv2d(c, row)
        if c.bias is not None:
            bias = c.bias
            if isinstance(c, Conv2d):
                bias = np.repeat(bias, math.prod(self._shape(c.target)[1:]))
            weights.copy(bias, row, Connections.BIAS)

    def _describe_conv2d(self, c: Conv2d, row: NDArray[np.int64]) -> None:
        row[Connections.KIND] = ConnectionKind.CONV2D
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


class _Packer(Generic[_Number]):
    """Builder of an array from which kernels reach the values of connections by their offsets.

    Args:
        first: the values that come first.
        copies_all: whether all values are copied to the array. Otherwise, those that are referred
            to stay where they are, and their offsets lead out of the array.
    """

    def __init__(self, first: NDArray[_Number], copies_all: bool) -> None:
        self._parts: list[NDArray[_Number]] = [first]
        self._size = first.size
        self._copies_all = copies_all
        self._elsewhere: list[tuple[NDArray[Any], NDArray[np.int64], int]] = []

    def copy(self, values: NDArray[Any], row: NDArray[np.int64], column: int) -> None:
        """Copy values, and write their offset to ``row[column]``."""
        row[column] = self._size
        self._parts.append(values.ravel())
        self._size += values.size

    def refer_to(self, values: NDArray[Any], row: NDArray[np.int64], column: int) -> None:
        """Refer to a C-contiguous array of the same type, which must live as long; see `copy`."""
        if self._copies_all:
            self.copy(values, row, column)
        else:
            self._elsewhere.append((values, row, column))

    def pack(self) -> NDArray[_Number]:
        """Return the array, which ends with a 0, and write the offsets of values outside of it."""
        array = aligned(np.concatenate([*self._parts, np.zeros(1, self._parts[0].dtype)]))
        for values, row, column in self._elsewhere:
            row[column] = (values.ctypes.data - array.ctypes.data) // array.itemsize
        return array


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
