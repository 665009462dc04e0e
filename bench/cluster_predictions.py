"""What the models of a cluster predict, beside measurements and for more machines."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from bench.capacity import Floats, fleet, sampled
from bench.cluster_model import Costs, data_set_s
from bench.result import Line, Result

__all__ = ["Decided", "model_capacity", "model_data_sets"]

_STREAMS: Final = 1_000_000
_CORES: Final = 16
_P99_MS: Final = 5.0
_RATES_HZ: Final = (1.0, 10.0, 50.0)
_MORE_WORKERS: Final = (4, 8, 16)
_MESSAGE_S: Final = 294e-6
"""CPU time that the server adds to a decision, s: ``bench.server_cost`` has measured 319 µs with
512 connections, of which the kernels take 25 µs."""


@dataclass(frozen=True, slots=True)
class Decided:
    """The measured times of a data set.

    Attributes:
        result: the table.
        samples: number of samples.
        service_s: f64[distinct samples], time of a sample on one core, s.
        costs: what the cluster adds to it.
        cores: number of cores that the machine had for the program and its workers.
    """

    result: Result
    samples: int
    service_s: Floats
    costs: Costs
    cores: float


def model_data_sets(measured: Sequence[Decided]) -> Result:
    """Return what the model says about the measured data sets, and about more workers."""
    lines = []
    for workers, decided in enumerate(measured, 1):
        services = sampled(decided.service_s, decided.samples, 0).tolist()
        predicted = data_set_s(services, decided.costs, workers, decided.cores)
        least = decided.result.lines[-1].figures["min"]
        figures = {"model s": predicted, "measured s": least, "measured/model": least / predicted}
        name = f"{workers} workers, {decided.cores:.2g} cores"
        lines.append(Line(name, figures=figures))
    for workers in _MORE_WORKERS:
        predicted = data_set_s(services, decided.costs, workers, workers + 1)
        name = f"{workers} workers, {workers + 1} cores"
        lines.append(Line(name, figures={"model s": predicted}))
    costs = "; ".join(
        f"{name.removesuffix('_s')} {1e6 * value:.3g} µs"
        for name, value in asdict(decided.costs).items()
    )
    return Result(
        "data sets",
        "the model of the program's queue and the workers' queue, beside the measurements",
        f"{decided.samples} samples; costs: {costs}",
        "none",
        tuple(lines),
        ("the model agrees with calculations by hand in tests/bench/test_cluster_model.py",),
        ("start is for a data set, task for a chunk, send and receive for a sample",),
    )


def model_capacity(service_s: Floats) -> Result:
    """Return fleets for many streams.

    Args:
        service_s: f64[distinct samples], times of samples on one core, s.
    """
    lines = [
        Line(
            f"{rate_hz:g}/s, {where}",
            figures=asdict(fleet(_STREAMS, rate_hz, service_s + added_s, _CORES, _P99_MS)),
        )
        for where, added_s in (("in place", 0.0), ("by a server", _MESSAGE_S))
        for rate_hz in _RATES_HZ
    ]
    return Result(
        "capacity",
        f"machines of {_CORES} cores for {_STREAMS:,} streams, 99 of 100 decisions within "
        f"{_P99_MS:g} ms",
        f"a decision takes {1e6 * service_s.mean():.0f} µs on average, "
        f"{1e6 * np.quantile(service_s, 0.99):.0f} µs at the 99th percentile; a server adds "
        f"{1e6 * _MESSAGE_S:.0f} µs",
        "none",
        tuple(lines),
        ("the model of the queue agrees with M/M/c and M/D/1 in tests/bench/test_capacity.py",),
    )
