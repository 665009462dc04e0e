"""The changes that a stress makes: to the input, to the weights, and to the delays.

All random numbers come from the seed, the kind and the place alone. So a run is repeatable, and
does not depend on which other samples run. The numbers do not depend on the strength: what is lost
with a small probability is also lost with a larger one, which makes strengths comparable.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.events.values import taken_values
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.core.model.checks import must_be
from neuroasync.core.model.connections import INPUT, Connection, Pool
from neuroasync.core.model.model import Model
from neuroasync.metrics.stress.stresses import Stress
from neuroasync.metrics.synapse_lists import check_synapses, synapse_list

__all__ = [
    "check_fits",
    "delayed",
    "jittered_input",
    "noisy_weights",
    "quantised_weights",
    "thinned_input",
    "without_synapses",
]

_STREAMS: Final = {"input-loss": 0, "synapse-loss": 1, "weight-noise": 2, "jitter": 3}
"""Number of the stream of random numbers of each kind."""


def check_fits(stress: Stress, model: Model) -> None:
    """Check that a network can be changed as a stress says.

    Raises:
        ValueError: It has no connection between populations, a delay is too long or no multiple of
            the timestep, or a convolution has too many synapses to list them.
    """
    if stress.kind not in ("synapse-loss", "delay"):
        return
    between = [c for c in model.connections if c.source != INPUT]
    if not between:
        raise ValueError(
            f"the stress '{stress}' needs a connection between populations, but the network has "
            "none"
        )
    for c in between:
        if stress.kind == "synapse-loss":
            check_synapses(model, c)
    if stress.kind == "delay":
        delay_us, step_us = cast("int", stress.strength), model.timestep_us
        longest_us = limits.MAX_TIME_US - max(c.delay_us for c in between)
        if step_us and delay_us % step_us:
            requirement = f"a multiple of the timestep of the network, {step_us} µs"
            raise ValueError(must_be("delay", requirement, f"{delay_us} µs"))
        if delay_us > longest_us:
            raise ValueError(must_be("delay", f"at most {longest_us} µs", f"{delay_us} µs"))


def thinned_input(samples: SpikeTrains, probability: float, seed: int, first: int) -> SpikeTrains:
    """Return samples in which each input event is lost with a probability.

    Args:
        samples: The samples.
        probability: The probability, 0 to 1.
        seed: Sample number i draws from ``sample_seed(seed, i)``.
        first: Number of the first sample.
    """

    def thin(train: SpikeTrain, random: np.random.Generator) -> SpikeTrain:
        is_kept = random.random(len(train)) >= probability
        value = taken_values(train.value, is_kept)
        return SpikeTrain(train.t_us[is_kept], train.index[is_kept], value)

    return _each(samples, thin, "input-loss", seed, first)


def jittered_input(
    samples: SpikeTrains, std_us: float, seed: int, first: int, duration_us: int | None
) -> SpikeTrains:
    """Return samples in which each input event is shifted by a Gaussian time.

    Events stay within their sample: times are limited to 0 and to the end.

    Args:
        samples: The samples.
        std_us: Standard deviation of the shift, µs. The shift is rounded to whole µs.
        seed: Sample number i draws from ``sample_seed(seed, i)``.
        first: Number of the first sample.
        duration_us: Length of each sample, µs. If None, it ends with its last event.
    """

    def shift(train: SpikeTrain, random: np.random.Generator) -> SpikeTrain:
        if not len(train):
            return train
        end_us = int(train.t_us[-1]) if duration_us is None else duration_us - 1
        shifts = random.standard_normal(len(train)) * std_us
        bound = float(limits.MAX_TIME_US)
        t_us = train.t_us + np.rint(np.clip(shifts, -bound, bound)).astype(np.int64)
        t_us = np.clip(t_us, 0, max(end_us, 0))
        order = np.argsort(t_us, kind="stable")
        return SpikeTrain(t_us[order], train.index[order], taken_values(train.value, order))

    return _each(samples, shift, "jitter", seed, first)


def noisy_weights(model: Model, std: float, seed: int) -> Model:
    """Return a network in which each weight w is w (1 + ``std`` z), with z from N(0, 1).

    Biases stay as they are. A kernel of a convolution keeps sharing its weights.
    """

    def change(k: int, weight: NDArray[np.float32]) -> NDArray[np.float64]:
        noise = _generator("weight-noise", seed, k).standard_normal(weight.shape)
        return weight * (1 + std * noise)

    return _with_weights(model, change)


def quantised_weights(model: Model, bits: int) -> Model:
    """Return a network whose weights are integers of ``bits`` bits, times a scale.

    The quantisation is symmetric: the integers go from -(2**(bits - 1) - 1) to 2**(bits - 1) - 1,
    and the scale of each connection maps its largest absolute weight to the largest of them. Biases
    stay as they are.

    Source:
        Krishnamoorthi, Quantizing deep convolutional networks for efficient inference: A
        whitepaper, arXiv 1806.08342 (2018), section 2.2.
    """

    def change(_: int, weight: NDArray[np.float32]) -> NDArray[np.float64]:
        exact, most = weight.astype(np.float64), 2 ** (bits - 1) - 1
        largest = float(np.abs(exact).max(initial=0))
        return np.rint(exact * most / largest) * largest / most if largest else exact

    return _with_weights(model, change)


def without_synapses(model: Model, probability: float, seed: int) -> Model:
    """Return a network in which each synapse between populations fails with a probability.

    A synapse that fails has the weight 0. The synapses of a convolution or a pool fail one by one.
    """

    def fail(k: int, connection: Connection) -> Connection:
        c = synapse_list(model, connection)
        is_kept = _generator("synapse-loss", seed, k).random(c.weight.shape) >= probability
        weight = np.where(is_kept, c.weight, np.float32(0))
        return replace(c, weight=weight)

    return _between_populations(model, fail)


def delayed(model: Model, delay_us: int) -> Model:
    """Return a network whose connections between populations take ``delay_us`` µs longer."""

    def add(_: int, connection: Connection) -> Connection:
        return replace(connection, delay_us=connection.delay_us + delay_us)

    return _between_populations(model, add)


def _between_populations(model: Model, change: Callable[[int, Connection], Connection]) -> Model:
    """Return a network with changed connections between its populations."""
    connections = (
        c if c.source == INPUT else change(k, c) for k, c in enumerate(model.connections)
    )
    return replace(model, connections=tuple(connections))


def _with_weights(
    model: Model, change: Callable[[int, NDArray[np.float32]], NDArray[np.float64]]
) -> Model:
    """Return a network with changed weights; a pool has none."""
    connections = tuple(
        c if isinstance(c, Pool) else replace(c, weight=change(k, c.weight).astype(np.float32))
        for k, c in enumerate(model.connections)
    )
    return replace(model, connections=connections)


def _each(
    samples: SpikeTrains,
    change: Callable[[SpikeTrain, np.random.Generator], SpikeTrain],
    kind: str,
    seed: int,
    first: int,
) -> SpikeTrains:
    """Return samples, each of which is changed with random numbers of its own."""
    trains = (
        change(train, _generator(kind, sample_seed(seed, first + k)))
        for k, train in enumerate(samples)
    )
    return SpikeTrains.from_trains(trains, samples.shape, samples.labels)


def _generator(kind: str, *key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([_STREAMS[kind], *key]))
