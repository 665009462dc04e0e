"""Hypothesis strategies for the shapes and connections of :func:`strategies.models`."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from hypothesis import strategies as st

from neuroasync.core.model.connections import Connection, Conv2d, Dense, Sparse


@dataclass(frozen=True)
class Features:
    """The features that :func:`models` may draw: its parameters in one object."""

    weights: st.SearchStrategy[float]
    kinds: tuple[str, ...]
    max_neurons: int
    skip: bool
    recurrent: bool
    delays: bool
    bias: bool
    timestep_us: int


def arrays(values: st.SearchStrategy[float], shape: tuple[int, ...]):
    """Return arrays f32[shape] of at most 8 distinct values, repeated in a drawn pattern.

    Hypothesis would be slow if it drew, and shrank, each of a hundred weights separately.
    """
    size = int(np.prod(shape))
    if size <= 8:
        return st.lists(values, min_size=size, max_size=size).map(
            lambda drawn: np.array(drawn, np.float32).reshape(shape)
        )

    def spread(palette_and_seed):
        palette, seed = palette_and_seed
        picks = np.random.default_rng(seed).integers(0, len(palette), size)
        return np.array(palette, np.float32)[picks].reshape(shape)

    palettes = st.lists(values, min_size=1, max_size=8)
    return st.tuples(palettes, st.integers(0, 2**16)).map(spread)


@st.composite
def population_shapes(draw, on: Features) -> tuple[int, ...]:
    """Draw the shape of a population: flat, or planes of a convolution."""
    kinds = ["flat", "planes"] if "conv2d" in on.kinds else ["flat"]
    if draw(st.sampled_from(kinds)) == "flat":
        return (draw(st.integers(1, on.max_neurons)),)
    channels = draw(st.integers(1, min(2, on.max_neurons)))
    height = draw(st.integers(1, min(3, on.max_neurons // channels)))
    width = draw(st.integers(1, min(3, on.max_neurons // (channels * height))))
    return (channels, height, width)


@st.composite
def first_connection(draw, on: Features, target: str, sources, shapes):
    """Return a forward connection to a new population, and the shape of that population."""
    source = draw(st.sampled_from(sources[::-1]))
    kinds = [k for k in on.kinds if k != "conv2d" or len(shapes[source]) == 3]
    kind = draw(st.sampled_from(kinds or ["dense"]))
    if kind == "conv2d":
        return draw(_convolution(on, source, target, shapes[source]))
    shape = draw(population_shapes(on))
    return draw(_flat_connection(on, kind, source, target, shapes[source], shape)), shape


@st.composite
def more_connections(draw, on: Features, shapes) -> list[Connection]:
    """Return further connections between the populations: skipping, parallel and recurrent."""
    names = list(shapes)
    pairs = [
        (s, t)
        for a, s in enumerate(names)
        for b, t in enumerate(names)
        if b > 0 and ((on.skip and a < b) or (on.recurrent and a >= b))
    ]
    if not pairs:
        return []
    extra = []
    for source, target in draw(st.lists(st.sampled_from(pairs), max_size=3)):
        ends = (shapes[source], shapes[target])
        geometries = _geometries(*ends) if "conv2d" in on.kinds else []
        kinds = [k for k in on.kinds if k != "conv2d" or geometries] or ["dense"]
        kind = draw(st.sampled_from(kinds))
        if kind == "conv2d":
            geometry, channels = draw(st.sampled_from(geometries)), shapes[target][0]
            extra.append(draw(_kernel(on, source, target, shapes[source][0], channels, geometry)))
        else:
            extra.append(draw(_flat_connection(on, kind, source, target, *ends)))
    return extra


def _geometries(source: tuple[int, ...], target: tuple[int, ...]):
    """Return (kernel, stride, padding), each (y, x), of all convolutions between two shapes."""
    if len(source) != 3 or len(target) != 3:
        return []
    fits = [
        [
            (kernel, stride, padding)
            for kernel, stride, padding in product((1, 2, 3), (1, 2), (0, 1, 2))
            if kernel <= source[1 + a] + 2 * padding
            and (source[1 + a] + 2 * padding - kernel) // stride + 1 == target[1 + a]
        ]
        for a in (0, 1)
    ]
    return [tuple(zip(y, x, strict=True)) for y, x in product(*fits)]


@st.composite
def _flat_connection(draw, on: Features, kind, source, target, source_shape, target_shape):
    """Draw a dense or sparse connection."""
    sources, targets = int(np.prod(source_shape)), int(np.prod(target_shape))
    common = {"bias": draw(_biases(on, targets)), "delay_us": draw(_delays(on))}
    if kind == "dense":
        return Dense(source, target, draw(arrays(on.weights, (targets, sources))), **common)
    present = draw(arrays(st.sampled_from((1.0, 0.0)), (sources, targets))) > 0
    indptr = np.concatenate([[0], np.cumsum(present.sum(axis=1))])
    indices = np.nonzero(present)[1]
    weight = draw(arrays(on.weights, (indices.size,)))
    return Sparse(source, target, indptr, indices, weight, **common)


@st.composite
def _convolution(draw, on: Features, source, target, source_shape):
    """Draw a convolution whose output has an allowed size."""
    stride = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    padding = (draw(st.integers(0, 1)), draw(st.integers(0, 1)))
    padded = [source_shape[1 + a] + 2 * padding[a] for a in (0, 1)]
    kernel = [draw(st.integers(1, min(3, extent))) for extent in padded]
    extents = tuple((padded[a] - kernel[a]) // stride[a] + 1 for a in (0, 1))
    if extents[0] * extents[1] > on.max_neurons:  # The padding made the output too large.
        kernel, stride, padding = [1, 1], (1, 1), (0, 0)
        extents = source_shape[1:]
    channels = draw(st.integers(1, min(3, on.max_neurons // (extents[0] * extents[1]))))
    geometry = (tuple(kernel), stride, padding)
    conv = draw(_kernel(on, source, target, source_shape[0], channels, geometry))
    return conv, (channels, *extents)


@st.composite
def _kernel(draw, on: Features, source, target, into, out, geometry):
    """Return a convolution from ``into`` channels to ``out`` channels."""
    kernel, stride, padding = geometry
    weight = draw(arrays(on.weights, (out, into, *kernel)))
    bias, delay = draw(_biases(on, out)), draw(_delays(on))
    return Conv2d(source, target, weight, stride, padding, bias, delay)


def _biases(on: Features, size: int):
    """Return a strategy for the biases of a connection, which may be None."""
    return st.one_of(st.none(), arrays(on.weights, (size,))) if on.bias else st.none()


def _delays(on: Features) -> st.SearchStrategy[int]:
    """Return a strategy for delays, in µs."""
    unit = on.timestep_us or 500
    return st.sampled_from((0, 0, unit, 2 * unit, 3 * unit)) if on.delays else st.just(0)
