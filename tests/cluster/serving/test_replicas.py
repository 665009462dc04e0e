"""Replicas keep no sample longer than needed, and a session continues one that they forgot."""

import asyncio
import contextlib
import itertools

import pytest

import neuroasync as na
from neuroasync import Network, SpikeTrain
from neuroasync.cluster.serving import journal, replica, replica_calls
from neuroasync.cluster.tasks import ClusterError
from neuroasync.messages import EventMessage, format_events
from neuroasync.serve import create_app
from tests.cancellation.suspensions import Cut
from tests.helpers.asgi_client import connect, http_client, split, wait_until
from tests.helpers.replica_pool import ReplicaPool
from tests.helpers.small_networks import chain, sample

BUNDLE = chain()


def chunks(seed=1):
    """Return a sample in three chunks."""
    return split(sample(seed=seed), (20, 40))


@contextlib.asynccontextmanager
async def serving(**options):
    """Yield replicas, and the network that runs on them."""
    async with ReplicaPool(Network(BUNDLE), **options) as pool, pool.network() as network:
        yield pool, network


async def decision_on(train, number=0):
    async with Network(BUNDLE) as network:
        return (await network.decide_all([train], seed=0, first=number))[0]


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


async def test_sample_that_waits_too_long_is_forgotten_and_continued(monkeypatch, no_leaks):
    monkeypatch.setattr(replica, "_MAX_IDLE_S", -1.0)
    async with serving() as (pool, network), network.session() as session:
        for chunk in chunks()[:2]:
            await session.send(chunk)
            assert pool.samples == 1
            for each in pool.replicas:
                await each.check_health()
            assert pool.samples == 0
        assert await session.decide(chunks()[2]) == await decision_on(sample(seed=1))


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


async def test_sample_that_ends_each_replica_is_reported(monkeypatch, no_leaks):
    monkeypatch.setattr(replica_calls, "_PAUSE_S", 0.0)
    faults = dict.fromkeys(range(10), "before")
    async with serving(faults=faults) as (_pool, network), network.session() as session:
        with pytest.raises(ClusterError, match="sent to 10 replicas, which were all lost"):
            await session.decide(sample())
        assert await session.decide(sample()) == await decision_on(sample())


async def test_requests_are_retried_and_in_the_end_refused(monkeypatch, no_leaks):
    monkeypatch.setattr(replica_calls, "_PAUSE_S", 0.0)
    faults = {0: "after"} | dict.fromkeys(range(2, 12), "before")
    body = format_events(EventMessage(sample(), True))
    async with ReplicaPool(Network(BUNDLE), faults=faults) as pool:
        app = create_app(pool.network())
        async with app.router.lifespan_context(app), http_client(app) as http:
            assert (await http.post("/decide", content=body)).status_code == 200
            refused = await http.post("/decide", content=body)
            assert refused.status_code == 503
            assert refused.headers["retry-after"] == "1"
            assert (await http.post("/decide", content=body)).status_code == 200


async def test_error_of_a_custom_rule_stays_in_the_log(no_leaks):
    async with ReplicaPool(Network(BUNDLE, until=_secret)) as pool:
        app = create_app(pool.network())
        async with app.router.lifespan_context(app), connect(app) as socket:
            socket.send_sample(sample())
            assert (await socket.receive())["error"] == (
                "the decision failed; see the log of the server"
            )


def _secret(progress):
    raise KeyError("secret")


async def _watched(session):
    async def arriving():
        for chunk in chunks():
            yield chunk

    async with contextlib.aclosing(session.watch(arriving())) as decisions:
        return [decision async for decision in decisions]


async def _in_chunks(session):
    for chunk in chunks()[:2]:
        await session.send(chunk)
    return await session.decide(chunks()[2])


@pytest.mark.parametrize("when", ["suspended", "woken"])
@pytest.mark.parametrize(
    "work", [_watched, _in_chunks, lambda session: session.decide(sample(seed=1))]
)
async def test_call_that_is_cancelled_at_any_point_leaves_nothing_behind(work, when, no_leaks):
    expected = await decision_on(sample(seed=1))
    for at in itertools.count(1):
        async with serving() as (pool, network), network.session() as session:
            cut = Cut(at, when)
            if await cut(work(session)):
                session.skip(1)
                again = await _in_chunks(session)
                assert again == await decision_on(sample(seed=1), session.sample - 1)
            await wait_until(lambda: not pool.samples)
        if cut.has_ended:
            break
    last = cut.value[-1] if isinstance(cut.value, list) else cut.value
    assert last == expected
    assert at > 1
