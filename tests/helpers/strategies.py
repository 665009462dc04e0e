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

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.model.connections import INPUT, Connection
from neuroasync.core.model.model import Model, Population
from neuroasync.core.model.neurons import LI, LIF, Adaptation
from tests.helpers.connection_strategies import (
    Features,
    arrays,
    first_connection,
    more_connections,
    population_shapes,
)

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
    on = Features(weights, kinds, max_neurons, skip, recurrent, delays, bias, step)
    neurons = _neurons(leak, per_neuron, refractory, reset, sync_threshold, any_reset, extended)
    input_shape = draw(population_shapes(on))
    shapes = {INPUT: input_shape}
    populations: list[Population] = []
    connections: list[Connection] = []
    for k in range(draw(st.integers(1, max_populations))):
        name = f"p{k}"
        sources = list(shapes) if skip else list(shapes)[-1:]
        connection, shape = draw(first_connection(on, name, sources, shapes))
        shapes[name] = shape
        connections.append(connection)
        populations.append(Population(name, shape, draw(neurons(shape))))
    connections += draw(more_connections(on, shapes))
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
            tau = st.one_of(tau, arrays(numbers, shape))
            threshold = st.one_of(threshold, arrays(positive_dyadic(), shape))
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
