"""Deciding a data set gives the same decisions in threads and in the event loop."""

import asyncio
import contextvars
import threading

import numpy as np
import pytest

import neuroasync as na
from tests.helpers.small_networks import chain

BUNDLE = chain()
INPUTS = BUNDLE.model.input_size


def data_set(size, seed=0):
    """Return random labelled samples."""
    rng = np.random.default_rng(seed)
    trains = [
        na.SpikeTrain(np.sort(rng.integers(0, 8000, 60)), rng.integers(0, INPUTS, 60))
        for _ in range(size)
    ]
    return na.SpikeTrains.from_trains(trains, BUNDLE.model.input_shape, rng.integers(0, 4, size))


async def one_by_one(network, samples, seed=0, first=0, **options):
    """Return the decisions of single calls of ``decide``, with the seeds of a data set."""
    return [
        await network.decide(train, seed=na.sample_seed(seed, i), **options)
        for i, train in enumerate(samples, first)
    ]


@pytest.mark.parametrize("workers", [1, 2, 3, None])
@pytest.mark.parametrize("options", [{}, {"policy": "momentum", "until": "margin(2)"}])
async def test_decisions_equal_those_of_decide_for_any_number_of_workers(
    workers, options, no_leaks
):
    samples = data_set(23)
    async with na.Network(BUNDLE) as network:
        expected = await one_by_one(network, samples, 7, 5, **options)
        found = await network.decide_all(samples, seed=7, first=5, workers=workers, **options)
    assert found == expected
    assert len({d.total_spikes for d in found}) > 1


async def test_samples_that_no_kernel_can_run_are_decided_in_turn(no_leaks):
    samples = data_set(4)

    def after_ten(progress):
        return progress.spikes >= 10

    async with na.Network(BUNDLE) as network:
        for options in ({"until": after_ten}, {"engine": "coroutines"}):
            expected = await one_by_one(network, samples, **options)
            assert await network.decide_all(samples, **options) == expected


async def test_recording_of_a_data_set_equals_that_of_each_sample(no_leaks):
    samples = data_set(9)
    async with na.Network(BUNDLE) as network:
        together, apart = network.recorder(), network.recorder()
        await network.decide_all(samples, workers=3, recorder=together)
        for i, train in enumerate(samples):
            view = apart.for_sample(i, int(samples.labels[i]))
            await network.decide(train, seed=na.sample_seed(0, i), recorder=view)
    assert together.finish() == apart.finish()


async def test_progress_is_reported_in_the_event_loop(no_leaks):
    told = []
    async with na.Network(BUNDLE) as network:
        mine = threading.get_ident()
        await network.decide_all(
            data_set(6), on_decision=lambda done: told.append((done, threading.get_ident()))
        )
        await asyncio.sleep(0)
    assert told == [(done, mine) for done in range(1, 7)]


async def test_error_names_the_first_invalid_sample(no_leaks):
    good = data_set(3)
    bad = na.SpikeTrain([0], [INPUTS])
    async with na.Network(BUNDLE) as network:
        with pytest.raises(na.EventsError):
            await network.decide_all([*good, bad, *good], workers=2)
        assert len(await network.decide_all(good)) == 3


async def test_cancelled_data_set_leaves_the_network_usable(no_leaks):
    samples = data_set(40)
    async with na.Network(BUNDLE) as network:
        attempt = asyncio.create_task(network.decide_all(samples))
        await asyncio.sleep(0)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        few = data_set(3)
        assert await network.decide_all(few) == await one_by_one(network, few)


@pytest.mark.parametrize("workers", [0, -1, 1.5, True])
async def test_invalid_number_of_workers_is_rejected(workers, no_leaks):
    async with na.Network(BUNDLE) as network:
        with pytest.raises(ValueError, match=r"^`workers` must be an integer of at least 1, got "):
            await network.decide_all(data_set(1), workers=workers)


async def test_empty_data_set_has_no_decisions(no_leaks):
    async with na.Network(BUNDLE) as network:
        assert await network.decide_all([]) == []


@pytest.mark.parametrize("engine", ["auto", "coroutines"])
@pytest.mark.parametrize("duration_us", [0, -1, 5000, 10_000.0, "x"])
async def test_duration_before_the_last_event_is_rejected(engine, duration_us, no_leaks):
    train = na.SpikeTrain([0, 9000], [0, 1])
    async with na.Network(BUNDLE, engine=engine) as network:
        with pytest.raises(ValueError, match=r"^`duration_us` must be an? (integer|whole number)"):
            await network.decide_all([train], duration_us=duration_us)


@pytest.mark.parametrize("engine", ["auto", "coroutines"])
async def test_samples_may_be_pairs_from_an_iterator(engine, no_leaks):
    pairs = [([0, 10], [0, 1]), ([5], [1])]
    async with na.Network(BUNDLE, engine=engine) as network:
        expected = await one_by_one(network, pairs)
        assert await network.decide_all(pair for pair in pairs) == expected
        for nonsense in (na.SpikeTrain([0], [0]), "abc", [1, 2], 5):
            with pytest.raises(na.EventsError):
                await network.decide_all(nonsense)


async def test_closing_the_network_stops_the_threads(no_leaks):
    samples = [train for _ in range(200) for train in data_set(40)]
    async with na.Network(BUNDLE) as network:
        attempt = asyncio.create_task(network.decide_all(samples))
        await asyncio.sleep(0)
    with pytest.raises(na.ClosedError):
        await attempt


@pytest.mark.parametrize("first", [-1, 1.5, True, "a"])
async def test_invalid_first_number_is_rejected(first, no_leaks):
    async with na.Network(BUNDLE) as network:
        with pytest.raises(ValueError, match=r"^`first` must be an integer of at least 0, got "):
            await network.decide_all([], first=first)


class MineError(BaseException):
    """An exception that ``except Exception`` does not catch."""


@pytest.mark.parametrize("engine", ["auto", "coroutines"])
@pytest.mark.parametrize("error", [ZeroDivisionError, MineError, asyncio.CancelledError])
async def test_an_exception_of_on_decision_ends_the_call_in_every_engine(engine, error, no_leaks):
    told, raised = [], error("told")

    def fail(done):
        told.append(done)
        if done == 2:
            raise raised

    async with na.Network(BUNDLE, engine=engine) as network:
        with pytest.raises(error) as caught:
            await network.decide_all(data_set(40), on_decision=fail)
        few = data_set(3)
        assert await network.decide_all(few) == await one_by_one(network, few)
    assert caught.value is raised
    assert not hasattr(raised, "__notes__")
    assert told == [1, 2]


@pytest.mark.parametrize("engine", ["auto", "coroutines"])
async def test_on_decision_is_called_by_the_task_that_waits(engine, no_leaks):
    variable, told = contextvars.ContextVar("variable"), []
    variable.set("mine")

    def tell(done):
        told.append((done, asyncio.current_task(), variable.get()))

    async with na.Network(BUNDLE, engine=engine) as network:
        await network.decide_all(data_set(4), on_decision=tell)
    assert told == [(done, asyncio.current_task(), "mine") for done in (1, 2, 3, 4)]


class Elsewhere:
    """A cluster that never decides."""

    async def run_job(self, job, on_decision):
        await asyncio.Event().wait()


async def test_a_cluster_takes_no_threads_no_recorder_and_no_tap(no_leaks):
    samples = data_set(2)
    async with na.Network(BUNDLE) as network:
        with pytest.raises(TypeError, match=r"`cluster` must be a neuroasync.cluster.Cluster, got"):
            await network.decide_all(samples, cluster="auto")
        with pytest.raises(ValueError, match=r"`workers` must be None with `cluster`.* got 2"):
            await network.decide_all(samples, cluster=Elsewhere(), workers=2)
        with pytest.raises(ValueError, match="`recorder` must be None with `cluster`"):
            await network.decide_all(samples, cluster=Elsewhere(), recorder=network.recorder())
        tap = network.tap(BUNDLE.model.output)
        with pytest.raises(RuntimeError, match="an open tap sees nothing"):
            await network.decide_all(samples, cluster=Elsewhere())
        tap.close()
    with pytest.raises(na.ClosedError, match="the network is not open"):
        await network.decide_all(samples, cluster=Elsewhere())


async def test_closing_the_network_ends_what_a_cluster_decides(no_leaks):
    async with na.Network(BUNDLE) as network:
        work = asyncio.create_task(network.decide_all(data_set(2), cluster=Elsewhere()))
        await asyncio.sleep(0)
    with pytest.raises(na.ClosedError, match="closed while it was deciding a data set"):
        await work


async def test_a_timeout_of_a_cluster_is_not_taken_for_a_closed_network():
    class TooSlow:
        async def run_job(self, job, on_decision):
            raise TimeoutError("too slow")

    async with na.Network(BUNDLE) as network:
        with pytest.raises(TimeoutError, match="too slow"):
            await network.decide_all(data_set(2), cluster=TooSlow())
