"""A client gets each answer once, and the same one, whichever call a replica is lost in."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroasync import Network, SpikeTrain
from neuroasync.messages import EventMessage, format_events
from neuroasync.serve import create_app
from tests.helpers.asgi_client import connect, split
from tests.helpers.small_networks import chain, sample

pytest.importorskip("ray", reason="needs ray: pip install 'neuroasync[ray]'")

from neuroasync.cluster.serving import journal
from tests.helpers.replica_pool import ReplicaPool

BUNDLE = chain()
QUERY = "seed=5&policy=momentum&group_size=3"


def messages():
    """Return messages of complete, split, watched, wrong and malformed samples."""
    whole, parted, watched, wrong = (sample(seed=k) for k in range(4))
    yield format_events(EventMessage(whole, True))
    for chunk in split(parted, (10, 10, 25, 40))[:-1]:
        yield format_events(EventMessage(chunk, False), binary=True)
    yield format_events(EventMessage(split(parted, (40,))[1], True), binary=True)
    first, *others = split(watched, (5, 20, 45))
    yield format_events(EventMessage(first, False, True))
    for chunk in others:
        yield format_events(EventMessage(chunk, chunk is others[-1]))
    yield format_events(EventMessage(split(wrong, (30,))[0], False))
    yield format_events(EventMessage(SpikeTrain([7999], [99]), True))
    yield "nonsense"
    yield format_events(EventMessage(sample(seed=9), True, True))
    yield format_events(EventMessage(SpikeTrain([], []), False))
    yield format_events(EventMessage(SpikeTrain([], []), True))


async def answers(app, query=QUERY):
    """Return all answers to the messages, without their times."""
    found = []
    async with app.router.lifespan_context(app), connect(app, query) as socket:
        for message in messages():
            socket.send(message)
        while len({a["sample"] for a in found if a.get("final", True)}) < 7:
            found.append(await socket.receive())
    for answer in found:
        answer.pop("latency_ms", None)
    # The reader may refuse a malformed message before the worker has answered earlier samples.
    return sorted(found, key=lambda answer: answer["sample"])


async def answers_of_replicas(faults, **options):
    """Return the answers, and the number of calls of replicas."""
    async with ReplicaPool(Network(BUNDLE), faults=faults) as pool:
        found = await answers(create_app(pool.network()), **options)
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


def test_losing_replicas_again_and_again_changes_no_answer():
    expected = asyncio.run(answers(create_app(BUNDLE)))

    @settings(max_examples=30, deadline=None)
    @given(
        faults=st.dictionaries(
            st.integers(0, 40), st.sampled_from(["before", "amid", "after"]), max_size=8
        )
    )
    def check(faults):
        found, _ = asyncio.run(answers_of_replicas(faults))
        assert found == expected

    check()
