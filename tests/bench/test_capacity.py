"""The capacity model agrees with the formulas of queueing theory."""

import numpy as np
import pytest

from bench.capacity import (
    fleet,
    poisson_arrivals,
    sampled,
    simulate,
    wait_md1_s,
    wait_mmc_s,
)

SERVICE_S = 0.002
SIZE = 400_000


def mean_wait(rate_hz, service_s, cores=1):
    """Return the mean wait at a simulated queue with Poisson arrivals, s."""
    return simulate(poisson_arrivals(rate_hz, SIZE, 1), service_s, cores).wait_s.mean()


def exponential(size=SIZE):
    """Return exponential service times."""
    return np.random.default_rng(2).exponential(SERVICE_S, size)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_constant_service_times_wait_as_in_the_formula(load):
    rate = load / SERVICE_S
    assert wait_md1_s(rate, SERVICE_S) == pytest.approx(
        load / (2 * (1 - load)) * SERVICE_S
    )  # Pollaczek-Khinchine without variance
    found = mean_wait(rate, np.full(SIZE, SERVICE_S))
    assert found == pytest.approx(wait_md1_s(rate, SERVICE_S), rel=0.05)


@pytest.mark.parametrize(("load", "cores"), [(0.3, 1), (0.8, 1), (0.8, 2), (0.8, 16)])
def test_exponential_service_times_wait_as_in_the_formula(load, cores):
    rate = cores * load / SERVICE_S
    found = mean_wait(rate, exponential(), cores)
    assert found == pytest.approx(wait_mmc_s(rate, SERVICE_S, cores), rel=0.1)


def test_the_formula_for_several_cores_has_known_values():
    # One core: load / (1 - load) services. Two cores with load 0.5: a third of a service.
    assert wait_mmc_s(400, SERVICE_S) == pytest.approx(4 * SERVICE_S)
    assert wait_mmc_s(500, SERVICE_S, 2) == pytest.approx(SERVICE_S / 3)


def test_a_queue_of_two_cores_worked_by_hand():
    arrivals, service = np.array([0.0, 0.0, 1.0, 1.0, 9.0]), np.array([3.0, 2.0, 2.0, 1.0, 1.0])
    found = simulate(arrivals, service, 2)
    assert found.wait_s.tolist() == [0, 0, 1, 2, 0]
    assert found.latency_s.tolist() == [3, 2, 3, 3, 1]
    assert found.utilisation == 9 / 20


def test_a_full_queue_takes_the_sum_of_the_services_divided_by_the_cores():
    service = sampled(np.array([0.001, 0.003]), 10_000, 0)
    for cores in (1, 2):
        found = simulate(np.zeros(10_000), service, cores)
        assert found.latency_s.max() == pytest.approx(service.sum() / cores, rel=1e-3)
        assert found.utilisation == pytest.approx(1.0, abs=1e-3)


def test_a_fleet_is_as_small_as_its_latency_allows():
    service = exponential(10_000)
    found = fleet(100_000, 10.0, service, 4, 15.0, arrivals=100_000)
    assert found.latency_ms_p99 <= 15.0
    assert found.machines * found.streams_per_machine >= 100_000
    assert found.cores == 4 * found.machines
    busier = simulate(
        poisson_arrivals(1.1 * found.streams_per_machine * 10.0, 100_000, 1),
        sampled(service, 100_000, 0),
        4,
    )
    assert np.quantile(busier.latency_s, 0.99) > 0.015
    assert fleet(100_000, 10.0, service, 4, 60.0, arrivals=100_000).machines < found.machines


def test_a_latency_below_the_service_time_is_refused():
    with pytest.raises(ValueError, match=r"`p99_ms` must be at least .* 2 ms, got 1"):
        fleet(100, 1.0, np.full(10, SERVICE_S), 1, 1.0)
