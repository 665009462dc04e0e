"""A model packed into the arrays that kernels read; shared by all sessions, never written."""

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.kernels import layout as lay
from neuroasync.core.model.connections import INPUT, Connection, Conv2d, Dense, Sparse
from neuroasync.core.model.model import Model, Population

__all__ = ["PackedArrays", "PackedNetwork"]

_SYNOPS: Final = 2**16
"""About how many synaptic operations are done before looking at the work that is left."""
_FAR_FROM: Final = 2**16
"""Neurons whose state, 16 bytes each, fills a core's own cache."""


class PackedArrays(NamedTuple):
    """The packed network. Columns: see ``kernels.layout``."""

    populations: NDArray[np.int64]
    connections: NDArray[np.int64]
    links: NDArray[np.int64]
    weights: NDArray[np.float32]
    thresholds: NDArray[np.float32]
    factors: NDArray[np.float32]
    taus: NDArray[np.float64]
    uniform: NDArray[np.float32]


class PackedNetwork:
    """A model, packed.

    Args:
        model: the network.
        external: names of populations that a coroutine of the user's stands in for; they
            never fire late.

    Attributes:
        model: the network.
        wires: the arrays; columns are documented in ``kernels.layout``.
        fan_delayed: the most connections with a delay that leave one population.
        blocks: into how many its neurons are divided.
        context: where kernels find the network; the rest of it is 0.
    """

    def __init__(self, model: Model, external: Iterable[str] = ()) -> None:
        self.model = model
        external = frozenset(external)
        self._order = {p.name: k for k, p in enumerate(model.populations)}
        self._order[INPUT] = len(model.populations)
        out = _leaving(model)
        packer = _Packer([c for leaving in out for c in leaving])
        rows = [self._connection_row(c, packer) for c in model.connections]
        connections = np.array(rows, np.int64).reshape(-1, lay.CONNECTION_COLUMNS)
        is_even = all(_is_even(p) for p in model.populations)
        factors = self.decay(model.timestep_us)
        thresholds = np.concatenate([_per_neuron(p) for p in model.populations])
        starts = np.array(model.starts[:-1])
        self.wires = PackedArrays(
            populations=self._population_rows(out, external),
            connections=connections,
            links=np.concatenate(packer.links),
            weights=np.concatenate([*packer.weights, np.zeros(1, np.float32)]),
            thresholds=thresholds,
            factors=factors[:0] if is_even else factors,
            taus=_taus(model, is_even),
            uniform=np.stack([thresholds[starts], factors[starts]], axis=1),
        )
        self.fan_delayed = max(
            sum(model.connections[c].delay_us > 0 for c in leaving) for leaving in out
        )
        self.blocks = sum(-(-p.size // lay.BLOCK) for p in model.populations)
        self.context = self._context()

    def decay(self, interval_us: int) -> NDArray[np.float32]:
        """Decay factors f32[N] for ``interval_us`` between two passes.

        Computed in float64 by ``math.exp``, once per distinct time constant, and rounded once:
        numpy's own ``exp`` gives other bits on other processors.
        """
        parts = []
        for population in self.model.populations:
            tau = population.neuron.tau_mem_us
            if isinstance(tau, float):
                factor = np.float32(math.exp(-interval_us / tau))
                parts.append(np.full(population.size, factor, np.float32))
            else:
                distinct, inverse = np.unique(tau.ravel(), return_inverse=True)
                factors = [math.exp(-interval_us / float(t)) for t in distinct]
                parts.append(np.array(factors).astype(np.float32)[inverse])
        return np.concatenate(parts)

    def _context(self) -> NDArray[np.int64]:
        context = np.zeros(lay.CONTEXT_COLUMNS, np.int64)
        model, wires = self.model, self.wires
        for column, array in (
            (lay.POPULATIONS, wires.populations),
            (lay.CONNECTIONS, wires.connections),
            (lay.LINKS, wires.links),
            (lay.WEIGHTS, wires.weights),
            (lay.THRESHOLDS, wires.thresholds),
            (lay.FACTORS, wires.factors),
            (lay.TAUS, wires.taus),
            (lay.UNIFORM, wires.uniform),
        ):
            context[column] = array.ctypes.data
        output = model.populations[model.index(model.output)]
        context[lay.NEURONS], context[lay.BLOCKS] = model.size, self.blocks
        context[lay.POPULATION_COUNT] = len(model.populations)
        context[lay.CONNECTION_COUNT] = len(model.connections)
        context[lay.IS_FAR] = model.size >= _FAR_FROM
        context[lay.CLASSES], context[lay.CELLS] = output.size, model.input_size
        return context

    def _population_rows(self, out: list[list[int]], external: frozenset[str]) -> NDArray[np.int64]:
        model = self.model
        rows = np.zeros((len(model.populations) + 1, lay.POPULATION_COLUMNS), np.int64)
        biased = {c.target for c in model.connections if c.bias is not None}
        at = block = 0
        for k, leaving in enumerate(out):
            targets = {model.connections[c].target for c in leaving}
            rows[k, lay.APART] = len(targets) == len(leaving)
            rows[k, lay.OUT_START], rows[k, lay.OUT_STOP] = at, at + len(leaving)
            fan_out = sum(self._fan_out(model.connections[c]) for c in leaving)
            rows[k, lay.AT_ONCE] = max(1, _SYNOPS // max(1, fan_out))
            rows[k, lay.DELAYED] = any(model.connections[c].delay_us for c in leaving)
            at += len(leaving)
        starts = model.starts
        for k, population in enumerate(model.populations):
            neuron, mine = population.neuron, population.name in external
            rows[k, lay.START], rows[k, lay.STOP] = starts[k], starts[k + 1]
            rows[k, lay.RANK] = model.ranks[k]
            rows[k, lay.SUBTRACT] = neuron.reset == "subtract"
            rows[k, lay.REFRACTORY] = neuron.refractory
            rows[k, lay.SYNC] = neuron.sync_threshold
            may_be_above = neuron.reset == "subtract" or population.name in biased
            rows[k, lay.LATE] = may_be_above and neuron.sync_threshold == 0 and not mine
            rows[k, lay.EXTERNAL] = mine
            rows[k, lay.EVEN], rows[k, lay.BIASED] = _is_even(population), population.name in biased
            rows[k, lay.FIRST_BLOCK] = block
            block += -(-population.size // lay.BLOCK)
        rows[-1, lay.START] = starts[-1]
        rows[-1, lay.STOP] = starts[-1] + model.input_size
        rows[-1, lay.RANK] = -1
        return rows

    def _fan_out(self, c: Connection) -> int:
        """The most targets that a source of the connection has."""
        if isinstance(c, Sparse):
            return int(np.diff(c.indptr).max(initial=0))
        kernel = math.prod(c.weight.shape[2:]) if isinstance(c, Conv2d) else 1
        return int(c.weight.shape[0]) * kernel

    def _connection_row(self, c: Connection, packer: "_Packer") -> NDArray[np.int64]:
        row = np.zeros(lay.CONNECTION_COLUMNS, np.int64)
        row[lay.SOURCE], row[lay.TARGET] = self._order[c.source], self._order[c.target]
        row[lay.DELAY], row[lay.BIAS] = c.delay_us, -1
        match c:
            case Dense():
                row[lay.KIND] = lay.DENSE
                row[lay.WEIGHT] = packer.add_weights(c.weight.T)
            case Sparse():
                row[lay.KIND] = lay.SPARSE
                row[lay.WEIGHT] = packer.add_weights(c.weight)
                row[lay.INDPTR] = packer.add_links(c.indptr)
                row[lay.INDICES] = packer.add_links(c.indices)
            case Conv2d():
                self._pack_conv2d(c, row, packer)
        if c.bias is not None:
            bias = c.bias
            if isinstance(c, Conv2d):
                bias = np.repeat(bias, math.prod(self._shape(c.target)[1:]))
            row[lay.BIAS] = packer.add_weights(bias)
        return row

    def _pack_conv2d(self, c: Conv2d, row: NDArray[np.int64], packer: "_Packer") -> None:
        row[lay.KIND] = lay.CONV2D
        row[lay.WEIGHT] = packer.add_weights(c.weight)
        channels, height, width = self._shape(c.source)
        row[lay.CHANNELS_IN], row[lay.HEIGHT_IN], row[lay.WIDTH_IN] = channels, height, width
        channels, height, width = self._shape(c.target)
        row[lay.CHANNELS_OUT], row[lay.HEIGHT_OUT], row[lay.WIDTH_OUT] = channels, height, width
        row[lay.KERNEL_Y], row[lay.KERNEL_X] = c.weight.shape[2:]
        row[lay.STRIDE] = c.stride[0] << 20 | c.stride[1]
        row[lay.PADDING] = c.padding[0] << 20 | c.padding[1]

    def _shape(self, name: str) -> tuple[int, ...]:
        if name == INPUT:
            return self.model.input_shape
        return self.model.populations[self._order[name]].shape


class _Packer:
    """Collects arrays end to end, and says where each begins."""

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
    """Connections that leave each population, in declared order; the input is last."""
    names = [*(p.name for p in model.populations), INPUT]
    return [[k for k, c in enumerate(model.connections) if c.source == name] for name in names]


def _per_neuron(population: Population) -> NDArray[np.float32]:
    threshold = population.neuron.v_threshold
    if isinstance(threshold, float):
        return np.full(population.size, threshold, np.float32)
    return threshold.ravel()


def _is_even(population: Population) -> bool:
    """Whether all neurons have the same threshold and time constant."""
    neuron = population.neuron
    return isinstance(neuron.v_threshold, float) and isinstance(neuron.tau_mem_us, float)


def _taus(model: Model, is_even: bool) -> NDArray[np.float64]:
    """Time constants: of each population, its first neuron's; then, if they differ, of all."""
    each = [
        np.broadcast_to(np.asarray(p.neuron.tau_mem_us, np.float64).ravel(), p.size)
        for p in model.populations
    ]
    return np.concatenate([[tau[0] for tau in each], *([] if is_even else each)])
