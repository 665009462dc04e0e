"""Replicas keep no sample longer than needed, and a session continues one that they forgot."""

import asyncio
import itertools

import pytest

import neuroasync as na
from neuroasync import Network, SpikeTrain
from neuroasync.cluster.serving import journal, replica_calls, running_sample
from neuroasync.cluster.serving.replica import Replica
from neuroasync.cluster.serving.steps import Reply
from neuroasync.messages import EventMessage, format_events
from neuroasync.serve import create_app
from tests.cancellation.suspensions import Cut
from tests.helpers.asgi_client import connect, split, wait_until
from tests.helpers.replica_pool import (
    BUNDLE,
    ReplicaPool,
    chunks,
    decision_on,
    in_chunks,
    serving,
    watched,
)
from tests.helpers.small_networks import sample
from tests.helpers.time_slices import end_after_each_step


async def test_sample_whose_client_leaves_is_forgotten(no_leaks):
    async with ReplicaPool(Network(BUNDLE)) as pool:
        app = create_app(pool.network())
        async with app.router.lifespan_context(app):
            for is_watched in (False, True):
                async with connect(app) as socket:
                    socket.send(format_events(EventMessage(chunks()[0], False, is_watched)))
                    await wait_until(lambda: pool.samples == 1)
                await wait_until(lambda: not pool.samples)


async def test_sample_with_an_error_is_forgotten(no_leaks):
    async with serving() as (pool, network), network.session() as session:
        await session.send(chunks()[0])
        with pytest.raises(na.EventsError, match="99"):
            await session.send(SpikeTrain([7999], [99]))
        assert pool.samples == 0
        assert (await session.decide(sample())) == await decision_on(sample())


async def test_sample_that_moves_from_the_gateway_to_a_replica_is_forgotten_by_the_gateway(
    no_leaks,
):
    async with serving() as (pool, network), network.session() as session:
        await pool.replace("second")
        await session.send(chunks()[0])
        assert (pool.local.samples, pool.samples) == (1, 0)
        await pool.replace("first")
        await session.send(chunks()[1])
        assert (pool.local.samples, pool.samples) == (0, 1)
        assert await session.decide(chunks()[2]) == await decision_on(sample(seed=1))


async def test_session_whose_call_runs_can_be_closed(no_leaks):
    async with serving() as (pool, network):
        for call in ("decide", "send"):
            session = network.session()
            task = asyncio.create_task(getattr(session, call)(sample()))
            await asyncio.sleep(0)
            session.close()
            with pytest.raises(na.ClosedError):
                await task
            with pytest.raises(na.ClosedError):
                await session.send(sample())
        await wait_until(lambda: not pool.samples)


async def test_session_whose_call_is_cancelled_can_be_used_again(no_leaks):
    async with serving() as (_pool, network), network.session() as session:
        await session.send(chunks()[0])
        task = asyncio.create_task(session.send(chunks()[1]))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert session.sample == 0
        assert await session.decide(sample()) == await decision_on(sample())


async def test_replica_with_too_many_samples_forgets_the_oldest_one(no_leaks):
    async with serving(size=1, max_samples=1) as (pool, network):
        sessions = [network.session() for _ in range(3)]
        parts = [chunks(seed) for seed in range(3)]
        for k in range(2):
            for session, part in zip(sessions, parts, strict=True):
                await session.send(part[k])
                assert pool.samples == 1
        for seed, session in enumerate(sessions):
            decision = await session.decide(parts[seed][2])
            assert decision == await decision_on(sample(seed=seed))
            session.close()


async def test_sample_is_kept_while_another_one_waits_for_its_next_chunk(monkeypatch, no_leaks):
    end_after_each_step(monkeypatch)
    async with serving(size=1, max_samples=2) as (pool, network):
        running, waiting, new = (network.session() for _ in range(3))
        task = asyncio.create_task(running.send(sample(600)))
        await wait_until(lambda: pool.samples == 1)
        await waiting.send(chunks()[0])
        await new.send(chunks()[0])
        assert not task.done()
        assert list(pool.replicas[0]._samples) == [running._name, new._name]
        await task
        for session in (running, waiting, new):
            session.close()


async def test_samples_that_run_do_not_replace_each_other(monkeypatch, no_leaks):
    end_after_each_step(monkeypatch)
    async with serving(size=1, max_samples=1) as (pool, network):
        found = await asyncio.gather(*(watched(network.session()) for _ in range(3)))
        expected = await decision_on(sample(seed=1))
        assert [decisions[-1] for decisions in found] == [expected] * 3
        assert not pool.samples


class Clock:
    """A clock that a test advances, in place of the module ``time``."""

    def __init__(self):
        self.now_s = 0.0

    def monotonic(self):
        return self.now_s


@pytest.fixture
def clock(monkeypatch):
    """The clock of the samples of replicas."""
    clock = Clock()
    monkeypatch.setattr(running_sample, "time", clock)
    return clock


async def forget_idle(pool):
    for each in pool.replicas:
        await each.check_health()


async def test_sample_that_waits_too_long_is_forgotten_and_continued(clock, no_leaks):
    async with serving() as (pool, network), network.session() as session:
        for chunk in chunks()[:2]:
            await session.send(chunk)
            for waited_s, samples in ((60.0, 1), (1.0, 0)):
                clock.now_s += waited_s
                await forget_idle(pool)
                assert pool.samples == samples
        assert await session.decide(chunks()[2]) == await decision_on(sample(seed=1))


@pytest.mark.parametrize("is_watched", [False, True])
async def test_sample_that_runs_for_long_is_not_forgotten(is_watched, clock, monkeypatch, no_leaks):
    end_after_each_step(monkeypatch)
    async with serving() as (pool, network), network.session() as session:
        work = watched(session) if is_watched else in_chunks(session)
        task = asyncio.create_task(work)
        health_checks = 0
        while not task.done():
            clock.now_s += 61.0 * any(
                each.is_running for one in pool.replicas for each in one._samples.values()
            )
            await forget_idle(pool)
            health_checks += pool.samples
            await asyncio.sleep(0)
        assert health_checks > 10
        assert len(pool.calls) == 3 + is_watched  # none was repeated
        last = task.result()[-1] if is_watched else task.result()
        assert last == await decision_on(sample(seed=1))


async def test_last_reply_without_a_decision_begins_the_sample_again(monkeypatch, no_leaks):
    run, empty = Replica.run, [Reply((), False, 0, None)]

    async def run_once_in_vain(self, step):
        return empty.pop() if step.is_last and empty else await run(self, step)

    monkeypatch.setattr(Replica, "run", run_once_in_vain)
    async with serving() as (_pool, network), network.session() as session:
        assert (await watched(session))[-1] == await decision_on(sample(seed=1))
        assert not empty


async def test_snapshot_replaces_the_chunks_that_a_replica_would_run_again(monkeypatch, no_leaks):
    monkeypatch.setattr(journal, "_MIN_SNAPSHOT_BYTES", 300)
    async with serving() as (pool, network), network.session() as session:
        train, sizes = sample(600, seed=4), []
        for chunk in split(train, tuple(range(10, 600, 10))):
            await session.send(chunk)
            sizes.append(len(session._journal.start(None, False).chunks))
        snapshot = session._journal.start(None, False).snapshot
        assert 0 < max(sizes) < 30
        assert len(snapshot) > 300
        for each in list(pool.replicas):
            await pool.lose(each)
        assert await session.finish_sample() == await decision_on(train)


async def test_watched_sample_with_too_many_events_is_refused(monkeypatch, no_leaks):
    monkeypatch.setattr(journal, "_MAX_BYTES", 1000)
    async with ReplicaPool(Network(BUNDLE)) as pool:
        app = create_app(pool.network())
        async with app.router.lifespan_context(app), connect(app) as socket:
            for is_watched, error in ((False, None), (True, "more than 62 events")):
                for chunk in split(sample(100), (33, 66)):
                    socket.send(format_events(EventMessage(chunk, False, is_watched)))
                socket.send(format_events(EventMessage(SpikeTrain([], []), True)))
                while not (answer := await socket.receive()).get("final", True):
                    pass
                assert error is None or error in answer["error"]
                assert error is not None or "error" not in answer


async def test_watched_sample_that_is_decided_needs_no_room_in_the_journal(monkeypatch, no_leaks):
    monkeypatch.setattr(journal, "_MAX_BYTES", 1)
    async with (
        ReplicaPool(Network(BUNDLE, until="first-spike")) as pool,
        pool.network() as network,
        network.session() as session,
    ):
        assert (await watched(session, [sample()]))[-1].is_final
        assert len(pool.calls) == 1


async def test_few_releases_wait_for_a_replica(monkeypatch, no_leaks):
    monkeypatch.setattr(replica_calls, "_MAX_RELEASES", 1)
    async with serving() as (pool, network):
        sessions = [network.session() for _ in range(3)]
        for session in sessions:
            await session.send(chunks()[0])
        for session in sessions:
            session.close()
        await wait_until(lambda: pool.samples == 2)


async def test_network_is_closed_even_if_that_is_cancelled(no_leaks):
    async with ReplicaPool(Network(BUNDLE)) as pool:
        network = await pool.network().__aenter__()
        session = network.session()
        await session.send(chunks()[0])
        session.close()  # tells a replica, without waiting for that
        assert await Cut(1, "suspended")(network.__aexit__())
        with pytest.raises(na.ClosedError):
            network.session()


@pytest.mark.parametrize("when", ["suspended", "woken"])
@pytest.mark.parametrize(
    "work", [watched, in_chunks, lambda session: session.decide(sample(seed=1))]
)
async def test_call_that_is_cancelled_at_any_point_leaves_nothing_behind(work, when, no_leaks):
    expected = await decision_on(sample(seed=1))
    for at in itertools.count(1):
        async with serving() as (pool, network), network.session() as session:
            cut = Cut(at, when)
            if await cut(work(session)):
                session.skip(1)
                again = await in_chunks(session)
                assert again == await decision_on(sample(seed=1), session.sample - 1)
            await wait_until(lambda: not pool.samples)
        if cut.has_ended:
            break
    last = cut.value[-1] if isinstance(cut.value, list) else cut.value
    assert last == expected
    assert at > 1
