"""Paths between neuron nodes as connections of a bundle."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.model.connections import Connection, Conv1d, Conv2d, Dense, Pool, Sparse
from neuroasync.interchange.nir.discretisation import Discretisation
from neuroasync.interchange.nir.linear_map import (
    Full,
    Listed,
    Map,
    compose,
    diagonal,
    scaled,
    select,
)
from neuroasync.interchange.nir.nodes import Node, Shape
from neuroasync.interchange.nir.operators import (
    bias_of,
    is_plain_convolution,
    map_of,
    paddings,
    pool_window,
)
from neuroasync.interchange.nir.paths import Path
from neuroasync.interchange.nir.shapes import pair

__all__ = ["Ends", "connections_of"]

Floats = NDArray[np.float64]

_MAX_DELAYS: Final = 1024
"""Different delays on one path. Each becomes a connection."""


@dataclass(frozen=True, eq=False)
class Ends:
    """What a path connects.

    Attributes:
        source: name of the population, or ``"input"``.
        target: name of the population.
        source_shape: shape of the source.
        target_shape: shape of the target.
        gain: f64[targets], factor of all weights and biases.
        offset: f64[targets], what is added to the potential in each pass besides the bias.
        is_feedback: whether the path leads back, so that its spikes act a timestep later.
    """

    source: str
    target: str
    source_shape: Shape
    target_shape: Shape
    gain: Floats
    offset: Floats
    is_feedback: bool


@dataclass(frozen=True, eq=False)
class _Branch:
    """The part of a path that has one delay.

    Attributes:
        delay_us: the delay.
        map: the linear map so far; None is the identity.
        is_whole: whether all synapses of the path have this delay.
    """

    delay_us: int
    map: Map | None = None
    is_whole: bool = True


def connections_of(
    path: Path, ends: Ends, shapes: Mapping[str, Shape], how: Discretisation
) -> Iterator[Connection]:
    """Yield the connections of a path, one for each delay on it; the first has the bias.

    Raises:
        InterchangeError: the path cannot be mapped exactly.
    """
    inputs = [shapes[path.source], *(shapes[node.name] for node in path.chain)]
    bias = _bias(path, inputs, ends)
    branches = _branches(path, inputs, how)
    if ends.is_feedback:
        branches = [_delayed(branch, how) for branch in branches]
    for branch in branches:
        yield (
            _pool(path, branch, ends, bias)
            or _convolution(path, branch, ends, bias)
            or _matrix(path, branch, ends, bias)
        )
        bias = None


def _branches(path: Path, inputs: list[Shape], how: Discretisation) -> list[_Branch]:
    branches = [_Branch(0)]
    for node, given in zip(path.chain, inputs, strict=False):
        if node.kind == "Delay":
            delays = np.broadcast_to(node.values["delay"], given).ravel()
            branches = [part for b in branches for part in _split(b, node, delays, how)]
            if len(branches) > _MAX_DELAYS:
                raise node.error(f"a path has more than {_MAX_DELAYS} different delays")
        elif (then := map_of(node, given)) is not None:
            with node.named_in_errors():
                branches = [
                    replace(b, map=then if b.map is None else compose(b.map, then))
                    for b in branches
                ]
    return branches


def _split(branch: _Branch, node: Node, delays: Floats, how: Discretisation) -> Iterator[_Branch]:
    """Yield the parts of a branch that have the same delay."""
    different = np.unique(delays)
    if different.size > _MAX_DELAYS:
        raise node.error(f"it has more than {_MAX_DELAYS} different delays")
    for delay_s in different:
        with node.named_in_errors():
            delay_us = branch.delay_us + how.delay_us(float(delay_s))
        if different.size == 1:
            yield replace(branch, delay_us=delay_us)
        else:
            whole = diagonal(np.ones(delays.size)) if branch.map is None else branch.map
            yield _Branch(delay_us, select(whole, delays == delay_s), is_whole=False)


def _delayed(branch: _Branch, how: Discretisation) -> _Branch:
    """Return the branch with a delay of one step if it has none.

    Raises:
        InterchangeError: a step is not a whole number of µs.
    """
    if branch.delay_us:
        return branch
    return replace(branch, delay_us=how.timestep_us or how.delay_us(how.step_us / 1e6))


def _bias(path: Path, inputs: list[Shape], ends: Ends) -> Floats | None:
    """Return what is added to the targets in each pass, f64[targets]; None if it is 0."""
    total: Floats | None = None
    for node, counts, given, sent in zip(
        path.chain, path.biased, inputs[:-1], inputs[1:], strict=True
    ):
        if total is not None:
            if node.kind == "Delay" and node.values["delay"].any():
                raise node.error("a bias must not lie before a Delay, which would start it later")
            then = map_of(node, given)
            total = total if then is None else _applied(then, total)
        own = bias_of(node, int(np.prod(sent))) if counts else None
        if own is not None:
            total = own if total is None else total + own
    if total is None:
        return ends.offset if ends.offset.any() else None
    scaled_bias = total * ends.gain
    return scaled_bias + ends.offset if ends.offset.any() else scaled_bias


def _applied(given: Map, values: Floats) -> Floats:
    if isinstance(given, Full):
        return np.asarray(given.weight @ values)
    products = given.weight * values[given.source]
    return np.asarray(np.bincount(given.target, products, given.shape[0]), np.float64)


def _pool(path: Path, branch: _Branch, ends: Ends, bias: Floats | None) -> Pool | None:
    """Return the pool that the path consists of; None if it is another map."""
    nodes = [node for node in path.chain if node.kind != "Delay"]
    if len(nodes) != 1 or not branch.is_whole or bias is not None or (ends.gain != 1).any():
        return None
    if (window := pool_window(nodes[0], ends.source_shape)) is None:
        return None
    mode, size, stride, padding = window
    return Pool(ends.source, ends.target, mode, size, stride, padding, branch.delay_us)


def _convolution(
    path: Path, branch: _Branch, ends: Ends, bias: Floats | None
) -> Conv1d | Conv2d | None:
    """Return the convolution that the path consists of; None if it is another map."""
    nodes = [node for node in path.chain if node.kind != "Delay"]
    if len(nodes) != 1 or not is_plain_convolution(nodes[0]) or not branch.is_whole:
        return None
    # A convolution has one gain and one bias per channel.
    gain = _per_channel(ends.gain, ends.target_shape)
    channel_bias = None if bias is None else _per_channel(bias, ends.target_shape)
    if gain is None or (bias is not None and channel_bias is None):
        return None
    (node,) = nodes
    (top, _), (left, _) = paddings(node)
    kernel = node.values["weight"]
    weight = _f32(kernel * gain.reshape(-1, *[1] * (kernel.ndim - 1)))
    if node.kind == "Conv1d":
        rounded = None if channel_bias is None else _f32(channel_bias)
        stride = pair(node, "stride")[0]
        return Conv1d(ends.source, ends.target, weight, stride, top, rounded, branch.delay_us)
    return Conv2d(
        ends.source,
        ends.target,
        weight,
        pair(node, "stride"),
        (top, left),
        None if channel_bias is None else _f32(channel_bias),
        branch.delay_us,
    )


def _per_channel(values: Floats, shape: Shape) -> Floats | None:
    """Return the value of each channel; None if a channel has more than one."""
    by_channel = values.reshape(shape[0], -1)
    first = by_channel[:, 0]
    return first if (by_channel == first[:, None]).all() else None


def _matrix(path: Path, branch: _Branch, ends: Ends, bias: Floats | None) -> Connection:
    elements = int(np.prod(ends.source_shape))
    whole = diagonal(np.ones(elements)) if branch.map is None else branch.map
    weights = scaled(whole, ends.gain)
    rounded = None if bias is None else _f32(bias)
    stored = [node for node in path.chain if node.metadata.get("kind") == Sparse.kind]
    if isinstance(weights, Full) and not stored:
        weight = _f32(weights.weight)
        return Dense(ends.source, ends.target, weight, rounded, branch.delay_us)
    listed = _existing(weights, stored[0]) if isinstance(weights, Full) else weights
    order = np.lexsort((listed.target, listed.source))
    indptr = np.searchsorted(listed.source[order], np.arange(elements + 1))
    return Sparse(
        ends.source,
        ends.target,
        indptr.astype(np.int64),
        listed.target[order].astype(np.int64),
        _f32(listed.weight[order]),
        rounded,
        branch.delay_us,
    )


def _existing(given: Full, node: Node) -> Listed:
    """Return the entries that the sparse connection of an exported bundle had."""
    exists = given.weight != 0
    zeros = node.metadata.get("zeros", [])
    if not isinstance(zeros, list) or not all(
        type(place) is int and 0 <= place < exists.size for place in zeros
    ):
        raise node.error("its metadata of neuroasync are damaged (zeros)")
    exists.ravel()[zeros] = True
    target, source = np.nonzero(exists)
    return Listed(given.shape, target, source, given.weight[target, source])


def _f32(values: Floats) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # The model refuses infinite weights and names them.
        return values.astype(np.float32)
