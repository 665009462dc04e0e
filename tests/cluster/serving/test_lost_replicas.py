"""A client gets each answer once, and the same one, whichever call a replica is lost in."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroasync import Network
from neuroasync.serve import create_app
from tests.helpers.asgi_client import connect
from tests.helpers.mixed_samples import collect_answers, mixed_messages
from tests.helpers.time_slices import end_after_each_step

pytest.importorskip("ray", reason="needs ray: pip install 'neuroasync[ray]'")

from neuroasync.cluster.serving import journal
from tests.helpers.replica_pool import BUNDLE, ReplicaPool

QUERY = "seed=5&policy=momentum&group_size=3"


async def answers(app):
    """Return all answers to the messages."""
    async with app.router.lifespan_context(app), connect(app, QUERY) as socket:
        for message in mixed_messages():
            socket.send(message)
        return await collect_answers(socket.receive)


async def answers_of_replicas(faults):
    """Return the answers, and the number of calls of replicas."""
    async with ReplicaPool(Network(BUNDLE), faults=faults) as pool:
        found = await answers(create_app(pool.network()))
        for _ in range(20):  # calls that nothing waits for
            await asyncio.sleep(0)
        assert not pool.samples
    return found, len(pool.calls)


async def test_answers_are_those_of_one_process(no_leaks):
    found, calls = await answers_of_replicas({})
    assert found == await answers(create_app(BUNDLE))
    assert len(found) > 10
    assert calls == 17


@pytest.mark.parametrize("snapshot_bytes", [0, 2**16])
@pytest.mark.parametrize("fault", ["before", "amid", "after"])
async def test_losing_a_replica_in_any_call_changes_no_answer(
    fault, snapshot_bytes, monkeypatch, no_leaks
):
    monkeypatch.setattr(journal, "_MIN_SNAPSHOT_BYTES", snapshot_bytes)
    expected, calls = await answers_of_replicas({})
    for k in range(calls):
        found, more_calls = await answers_of_replicas({k: fault})
        assert found == expected
        assert more_calls > calls


@pytest.mark.parametrize("size", [1, 2])
async def test_replicas_that_get_other_networks_change_no_answer(size, no_leaks):
    expected, calls = await answers_of_replicas({})
    for k in range(calls):
        async with ReplicaPool(Network(BUNDLE), size=size, faults={k: "replaced"}) as pool:
            assert await answers(create_app(pool.network())) == expected
            for _ in range(20):  # calls that nothing waits for
                await asyncio.sleep(0)
            assert not pool.samples
            assert not pool.local.samples


async def test_call_that_runs_while_it_is_repeated_changes_no_answer(monkeypatch, no_leaks):
    end_after_each_step(monkeypatch)
    expected, calls = await answers_of_replicas({})
    for k in range(calls):
        found, more_calls = await answers_of_replicas({k: "unavailable"})
        assert found == expected
        assert more_calls > calls


def test_losing_replicas_again_and_again_changes_no_answer():
    expected = asyncio.run(answers(create_app(BUNDLE)))

    @settings(max_examples=30, deadline=None)
    @given(
        faults=st.dictionaries(
            st.integers(0, 40),
            st.sampled_from(["before", "amid", "after", "unavailable"]),
            max_size=8,
        )
    )
    def check(faults):
        found, _ = asyncio.run(answers_of_replicas(faults))
        assert found == expected

    check()
