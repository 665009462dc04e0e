"""Errors of replicas and of Ray reach a client once, without what only the log may contain."""

import pytest

from neuroasync import Network
from neuroasync.cluster.serving import replica_calls
from neuroasync.cluster.tasks import ClusterError
from neuroasync.messages import EventMessage, format_events
from neuroasync.serve import create_app
from tests.helpers.asgi_client import connect, http_client
from tests.helpers.replica_pool import BUNDLE, ReplicaPool, decision_on, serving
from tests.helpers.small_networks import sample


async def test_sample_that_ends_each_replica_is_reported(monkeypatch, no_leaks):
    monkeypatch.setattr(replica_calls, "_PAUSE_S", 0.0)
    faults = dict.fromkeys(range(10), "before")
    async with serving(faults=faults) as (_pool, network), network.session() as session:
        with pytest.raises(ClusterError, match="lost in each of 10 attempts"):
            await session.decide(sample())
        assert await session.decide(sample()) == await decision_on(sample())


async def test_error_of_ray_is_not_repeated_and_stays_in_the_log(caplog, no_leaks):
    faults = {0: "unreadable", 1: "unreadable"}
    async with serving(faults=faults) as (pool, network), network.session() as session:
        for call in (session.decide, session.send):
            with pytest.raises(ClusterError, match=r"^a replica failed; see the log"):
                await call(sample())
        assert len(pool.calls) == 2
        assert "10.0.0.1" in caplog.text


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


async def test_error_of_a_custom_rule_that_cannot_be_pickled_is_sent_as_its_base(no_leaks):
    async with (
        ReplicaPool(Network(BUNDLE, until=_refuse)) as pool,
        pool.network() as network,
        network.session() as session,
    ):
        with pytest.raises(ValueError, match="no spikes here") as raised:
            await session.decide(sample())
        assert raised.type is ValueError
        assert raised.value.__notes__ == ["a note"]
        assert len(pool.calls) == 1


def _refuse(progress):
    class LocalError(ValueError):
        pass

    error = LocalError("no spikes here")
    error.add_note("a note")
    raise error
