"""Hypothesis strategies for networks and their input.

::

    @given(data=st.data(), model=models(weights=dyadic(), recurrent=False))
    def test_something(data, model):
        train = data.draw(spike_trains(model))

Networks are small: 1 to 5 populations of 1 to 12 neurons. Their weights are dyadic, so that sums
are exact in float32 and do not depend on their order. Each parameter of :func:`models` switches
one feature off. A network may have the other features, but need not. Smaller draws mean simpler
networks, so hypothesis shrinks towards one dense layer without delay, bias or leak.
"""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from hypothesis import strategies as st

from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.model.connections import INPUT, Connection, Conv2d, Dense, Sparse
from neuroasync.core.model.model import Model, Population
from neuroasync.core.model.neurons import LI, LIF, Adaptation

KINDS = ("dense", "sparse", "conv2d")
TAUS_US = (100.0, 1_000.0, 20_000.0)
TIMESTEPS_US = (0, 1, 100, 1_000)


def dyadic(low: int = -64, high: int = 64) -> st.SearchStrategy[float]:
    """Return values k/64, low <= k <= high. Sums of a few thousand are exact in float32."""
    return st.integers(low, high).map(lambda k: k / 64)


def positive_dyadic(high: int = 128) -> st.SearchStrategy[float]:
    """Return values k/64, 1 <= k <= high, for thresholds."""
    return dyadic(1, high)


def any_weight() -> st.SearchStrategy[float]:
    """Return any finite float32, for tests of files, in which nothing is summed."""
    return st.floats(width=32, allow_nan=False, allow_infinity=False)


@dataclass(frozen=True)
class _Features:
    """The features that :func:`models` may draw: its parameters in one object."""

    weights: st.SearchStrategy[float]
    kinds: tuple[str, ...]
    max_neurons: int
    skip: bool
    recurrent: bool
    delays: bool
    bias: bool
    timestep_us: int


@st.composite
def models(
    draw: st.DrawFn,
    weights: st.SearchStrategy[float] | None = None,
    *,
    kinds: tuple[str, ...] = KINDS,
    max_populations: int = 5,
    max_neurons: int = 12,
    skip: bool = True,
    recurrent: bool = True,
    delays: bool = True,
    bias: bool = True,
    leak: bool = True,
    per_neuron: bool = True,
    refractory: bool | None = None,
    reset: str | None = None,
    sync_threshold: bool = True,
    any_reset: bool = False,
    extended: bool = False,
    timestep_us: int | None = None,
) -> Model:
    """Return valid networks.

    Args:
        draw: Passed by hypothesis.
        weights: Strategy for weights and biases. Defaults to dyadic values.
        kinds: Kinds of connections.
        max_populations: Maximum number of populations, at least 1.
        max_neurons: Maximum number of neurons of a population, and maximum size of the input.
        skip: Whether connections may skip populations or be parallel.
        recurrent: Whether connections may lead to the same or to an earlier population.
        delays: Whether connections may have a delay of up to 3 timesteps.
        bias: Whether connections may have a bias.
        leak: Whether time constants may be finite.
        per_neuron: Whether thresholds and time constants may differ within a population.
        refractory: True or False for all populations; None draws it for each. If it
            is False and ``recurrent`` is True, a forward pass may not end.
        reset: ``"zero"`` or ``"subtract"`` for all populations; None draws it for each.
        sync_threshold: Whether neurons may need several spikes before they fire.
        any_reset: Whether neurons may have other resets than the two of ``reset``.
        extended: The same, and whether neurons may have a synaptic current or an adaptive
            threshold, and an output that nothing leaves may consist of leaky integrators.
        timestep_us: Timestep, µs. None draws one, which may be 0.
    """
    step = draw(st.sampled_from(TIMESTEPS_US)) if timestep_us is None else timestep_us
    weights = dyadic() if weights is None else weights
    on = _Features(weights, kinds, max_neurons, skip, recurrent, delays, bias, step)
    neurons = _neurons(leak, per_neuron, refractory, reset, sync_threshold, any_reset, extended)
    input_shape = draw(_shapes(on))
    shapes = {INPUT: input_shape}
    populations: list[Population] = []
    connections: list[Connection] = []
    for k in range(draw(st.integers(1, max_populations))):
        name = f"p{k}"
        sources = list(shapes) if skip else list(shapes)[-1:]
        connection, shape = draw(_first_connection(on, name, sources, shapes))
        shapes[name] = shape
        connections.append(connection)
        populations.append(Population(name, shape, draw(neurons(shape))))
    connections += draw(_more_connections(on, shapes))
    output = draw(st.sampled_from([p.name for p in reversed(populations)]))
    if extended and all(c.source != output for c in connections) and draw(st.booleans()):
        populations = [
            replace(p, neuron=LI(p.neuron.tau_mem_us, p.neuron.tau_syn_us))
            if p.name == output
            else p
            for p in populations
        ]
    return Model(step, input_shape, tuple(populations), tuple(connections), output)


def rule_for(model: Model, rule: str) -> str:
    """Return the stop rule, or ``"quiet"`` for an output of leaky integrators, which needs it."""
    return "quiet" if model.decides_by_potential else rule


@st.composite
def spike_trains(
    draw: st.DrawFn, model: Model, *, max_events: int = 16, max_bins: int = 5
) -> SpikeTrain:
    """Return the input of one sample for ``model``, of at most ``max_bins`` timesteps.

    The input may be empty, and events may have the same time and index. If ``model.timestep_us``
    is 0, there are few distinct times, so that passes have several events.
    """
    unit = model.timestep_us or 500
    times = st.integers(0, max_bins * unit - 1)
    if model.timestep_us == 0:
        times = st.integers(0, max_bins - 1).map(lambda k: k * unit)
    events = draw(
        st.lists(st.tuples(times, st.integers(0, model.input_size - 1)), max_size=max_events)
    )
    events.sort(key=lambda event: event[0])
    return SpikeTrain(
        np.array([t for t, _ in events], np.int64), np.array([i for _, i in events], np.int64)
    )


@st.composite
def streams(draw: st.DrawFn, model: Model, window: str, *, max_events: int = 20):
    """Return a window in µs and a stream for it.

    Args:
        draw: Passed by hypothesis.
        model: The network.
        window: Text of the window. Its argument is a number of timesteps, or of events.
        max_events: Maximum number of events.

    Returns:
        Text of the window in µs, and a spike train of at least one event, in which events are at
        most five timesteps apart.
    """
    unit = model.timestep_us or 500
    name, argument = window.rstrip(")").split("(")
    event = st.tuples(st.integers(0, 5 * unit), st.integers(0, model.input_size - 1))
    gaps, index = np.array(draw(st.lists(event, min_size=1, max_size=max_events))).T
    in_us = f"{name}({int(argument) * (1 if name == 'events' else unit)})"
    return in_us, SpikeTrain(np.cumsum(gaps), index)


def _neurons(leak, per_neuron, refractory, reset, sync_threshold, any_reset, extended):
    """Return a function that gives a strategy for the neuron parameters of a shape."""

    def lif(shape):
        numbers = st.sampled_from((np.inf, *TAUS_US) if leak else (np.inf,))
        tau, threshold = numbers, positive_dyadic()
        if per_neuron:
            tau = st.one_of(tau, _arrays(numbers, shape))
            threshold = st.one_of(threshold, _arrays(positive_dyadic(), shape))
        resets = st.sampled_from(("zero", "subtract")) if reset is None else st.just(reset)
        booleans = st.sampled_from((True, False))
        plain = st.builds(
            LIF,
            tau_mem_us=tau,
            v_threshold=threshold,
            reset=resets,
            refractory=booleans if refractory is None else st.just(refractory),
            sync_threshold=st.sampled_from((0, 0, 1, 2, 3)) if sync_threshold else st.just(0),
        )
        if not (any_reset or extended):
            return plain
        current, adaptation = st.none(), st.none()
        if extended:
            current, adaptation = current | tau, adaptation | st.builds(Adaptation, tau, threshold)
        return st.builds(
            _extended,
            plain,
            st.sampled_from(("zero", "subtract", "none")) if reset is None else resets,
            booleans,
            st.none() | threshold,
            current,
            adaptation,
        )

    return lif


def _extended(plain, reset, delayed, amount, tau_syn_us, adaptation):
    """Return the neurons with the features that :func:`models` calls extended."""
    return replace(
        plain,
        reset=reset,
        reset_delayed=delayed and reset != "none",
        reset_amount=amount if reset == "subtract" else None,
        tau_syn_us=tau_syn_us,
        adaptation=adaptation,
    )


def _arrays(values: st.SearchStrategy[float], shape: tuple[int, ...]):
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
def _shapes(draw, on: _Features) -> tuple[int, ...]:
    """Draw the shape of a population: flat, or planes of a convolution."""
    kinds = ["flat", "planes"] if "conv2d" in on.kinds else ["flat"]
    if draw(st.sampled_from(kinds)) == "flat":
        return (draw(st.integers(1, on.max_neurons)),)
    channels = draw(st.integers(1, min(2, on.max_neurons)))
    height = draw(st.integers(1, min(3, on.max_neurons // channels)))
    width = draw(st.integers(1, min(3, on.max_neurons // (channels * height))))
    return (channels, height, width)


@st.composite
def _first_connection(draw, on: _Features, target: str, sources, shapes):
    """Return a forward connection to a new population, and the shape of that population."""
    source = draw(st.sampled_from(sources[::-1]))
    kinds = [k for k in on.kinds if k != "conv2d" or len(shapes[source]) == 3]
    kind = draw(st.sampled_from(kinds or ["dense"]))
    if kind == "conv2d":
        return draw(_convolution(on, source, target, shapes[source]))
    shape = draw(_shapes(on))
    return draw(_flat_connection(on, kind, source, target, shapes[source], shape)), shape


@st.composite
def _more_connections(draw, on: _Features, shapes) -> list[Connection]:
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
def _flat_connection(draw, on: _Features, kind, source, target, source_shape, target_shape):
    """Draw a dense or sparse connection."""
    sources, targets = int(np.prod(source_shape)), int(np.prod(target_shape))
    common = {"bias": draw(_biases(on, targets)), "delay_us": draw(_delays(on))}
    if kind == "dense":
        return Dense(source, target, draw(_arrays(on.weights, (targets, sources))), **common)
    present = draw(_arrays(st.sampled_from((1.0, 0.0)), (sources, targets))) > 0
    indptr = np.concatenate([[0], np.cumsum(present.sum(axis=1))])
    indices = np.nonzero(present)[1]
    weight = draw(_arrays(on.weights, (indices.size,)))
    return Sparse(source, target, indptr, indices, weight, **common)


@st.composite
def _convolution(draw, on: _Features, source, target, source_shape):
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
def _kernel(draw, on: _Features, source, target, into, out, geometry):
    """Return a convolution from ``into`` channels to ``out`` channels."""
    kernel, stride, padding = geometry
    weight = draw(_arrays(on.weights, (out, into, *kernel)))
    bias, delay = draw(_biases(on, out)), draw(_delays(on))
    return Conv2d(source, target, weight, stride, padding, bias, delay)


def _biases(on: _Features, size: int):
    """Return a strategy for the biases of a connection, which may be None."""
    return st.one_of(st.none(), _arrays(on.weights, (size,))) if on.bias else st.none()


def _delays(on: _Features) -> st.SearchStrategy[int]:
    """Return a strategy for delays, in µs."""
    unit = on.timestep_us or 500
    return st.sampled_from((0, 0, unit, 2 * unit, 3 * unit)) if on.delays else st.just(0)
