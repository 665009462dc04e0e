"""Linear expressions of spikes as the connections of a network."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroasync.core.model.connections import Connection, Conv1d, Conv2d, Dense, Pool, Sparse
from neuroasync.interchange.torch_modules.expressions import (
    Kernel,
    LinearExpression,
    Path,
    Source,
    response_of,
)

__all__ = ["connections_of", "convolved_shape"]

_DENSE_FROM: Final = 0.5
"""Share of synapses from which a connection is stored as dense."""


def convolved_shape(expression: LinearExpression, size: int) -> tuple[int, ...] | None:
    """Return the shape [channels, height, width] that a convolution gives a layer of ``size``.

    None if no path to the layer is a convolution.
    """
    for _, path in expression.paths:
        joint = _convolution(path)
        if joint is not None:
            shape = _output_shape(joint[0])
            if np.prod(shape) == size:
                return shape
    return None


def connections_of(
    expression: LinearExpression,
    target: str,
    shapes: Mapping[str, tuple[int, ...]],
    lead: int,
    gain: NDArray[np.float64],
    delays_us: Mapping[Source, int],
) -> list[Connection]:
    """Return connections with the input current of a population.

    Weights are composed and scaled in float64, and rounded to float32 once.

    Args:
        expression: The input current.
        target: Name of the population.
        shapes: Shape of each population and of the input, by name.
        lead: Number of batch elements, times timesteps if a tensor has both, in traced tensors.
        gain: f64 of the population's shape, the factor of its input current.
        delays_us: Delay of the spikes of each source, µs.
    """
    paths = expression.by_source()
    bias = expression.constant.numpy().reshape(lead, -1)[0] * gain.reshape(-1)
    connections = [
        _connection(source, alternatives, target, shapes, lead, gain, delays_us[source])
        for source, alternatives in paths.items()
    ]
    return _with_bias(connections, bias, shapes, target)


def _connection(
    source: Source,
    paths: list[Path],
    target: str,
    shapes: Mapping[str, tuple[int, ...]],
    lead: int,
    gain: NDArray[np.float64],
    delay_us: int,
) -> Connection:
    joint = _convolution(paths[0]) if len(paths) == 1 else None
    if joint is not None:
        kernel, factor = joint
        sources = (kernel.weight.shape[1], *kernel.extent)
        fits = _output_shape(kernel) == shapes[target] and shapes[source.name] == sources
        by_channel = gain.reshape(factor.numel(), -1)
        if fits and np.all(by_channel == by_channel[:, :1]):
            scale = factor.numpy() * by_channel[:, 0]
            weight = (kernel.weight.numpy() * scale[:, None, None, None]).astype(np.float32)
            return Conv2d(
                source.name, target, weight, kernel.stride, kernel.padding, delay_us=delay_us
            )
    return _matrix(source, paths, target, lead, gain.reshape(-1), delay_us)


def _matrix(
    source: Source,
    paths: list[Path],
    target: str,
    lead: int,
    gain: NDArray[np.float64],
    delay_us: int,
) -> Connection:
    """Return the matrix of the paths, computed from the response to each single spike."""
    size = int(np.prod(source.shape)) // lead
    counts: list[NDArray[np.int64]] = []
    indices: list[NDArray[np.int64]] = []
    weights: list[NDArray[np.float32]] = []
    for first in range(0, size, lead):
        spikes = torch.zeros(lead, size, dtype=torch.float64)
        chosen = range(first, min(first + lead, size))
        spikes[range(len(chosen)), chosen] = 1
        response = response_of(spikes.reshape(source.shape), paths).reshape(lead, -1)
        values = (response.numpy()[: len(chosen)] * gain).astype(np.float32)
        row, column = np.nonzero(values)
        counts.append(np.bincount(row, minlength=len(chosen)))
        indices.append(column)
        weights.append(values[row, column])
    count, index = np.concatenate(counts), np.concatenate(indices)
    weight = np.concatenate(weights)
    indptr = np.concatenate(([0], np.cumsum(count)))
    if weight.size < _DENSE_FROM * size * gain.size:
        return Sparse(source.name, target, indptr, index, weight, delay_us=delay_us)
    dense = np.zeros((gain.size, size), np.float32)
    dense[index, np.repeat(np.arange(size), count)] = weight
    return Dense(source.name, target, dense, delay_us=delay_us)


def _convolution(path: Path) -> tuple[Kernel, Tensor] | None:
    """Return a path as one convolution and a factor for each of its channels, if it is one.

    A path that only pools is none, because most of its weights would be 0.
    """
    if not any(step.kernel is not None and step.has_weights for step in path):
        return None
    kernel, factor, is_reshaped = None, None, False
    for step in path:
        if step.is_reshape:
            # Values keep their order, so a later check of the shapes is enough.
            is_reshaped = is_reshaped or kernel is not None
        elif step.kernel is not None and not is_reshaped and factor is None:
            kernel = step.kernel if kernel is None else kernel.then(step.kernel)
            if kernel is None:
                return None
        elif step.factor is not None and kernel is not None and not is_reshaped:
            factor = step.factor if factor is None else factor * step.factor
        else:
            return None
    if kernel is None:
        return None
    ones = torch.ones(kernel.weight.shape[0], dtype=torch.float64)
    return kernel, ones if factor is None else factor


def _output_shape(kernel: Kernel) -> tuple[int, ...]:
    extents = (
        (kernel.extent[a] + 2 * kernel.padding[a] - kernel.weight.shape[2 + a]) // kernel.stride[a]
        + 1
        for a in (0, 1)
    )
    return (int(kernel.weight.shape[0]), *(int(n) for n in extents))


def _with_bias(
    connections: list[Connection],
    bias: NDArray[np.float64],
    shapes: Mapping[str, tuple[int, ...]],
    target: str,
) -> list[Connection]:
    """Return the connections, the first of which that can hold the bias has it."""
    if not bias.any():
        return connections
    for k, connection in enumerate(connections):
        if isinstance(connection, Pool):
            continue
        values = bias
        if isinstance(connection, Conv1d | Conv2d):
            by_channel = bias.reshape(shapes[target][0], -1)
            if np.any(by_channel != by_channel[:, :1]):
                continue
            values = by_channel[:, 0]
        connections[k] = replace(connection, bias=values.astype(np.float32))
        return connections
    # Only convolutions, whose channels have one bias each: a connection without synapses holds it.
    source = connections[0].source
    sources = int(np.prod(shapes[source]))
    nothing = np.zeros(0, np.int64)
    empty = Sparse(
        source, target, np.zeros(sources + 1, np.int64), nothing, nothing.astype(np.float32),
        bias.astype(np.float32), connections[0].delay_us,
    )  # fmt: skip
    return [*connections, empty]
