"""Snapshots of sessions: another session continues from them; invalid ones are rejected."""

import asyncio

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroasync as na
from neuroasync.core.snapshot.session_snapshot import read_snapshot
from tests.helpers.malformed_files import sealed, unsealed
from tests.helpers.small_networks import chain, sample
from tests.helpers.strategies import models, rule_for, spike_trains

BUNDLE, SAMPLE = chain(), sample()


def parts(train, at):
    """Split a train in two before the event at position ``at``."""
    return na.SpikeTrain(train.t_us[:at], train.index[:at]), na.SpikeTrain(
        train.t_us[at:], train.index[at:]
    )


async def halves(network, at, train=SAMPLE):
    """Return the decisions of a whole, a snapshotted and a restored session."""
    first, rest = parts(train, at)
    async with network.session(seed=3) as whole:
        expected = await whole.decide(train)
    async with network.session(seed=3) as before:
        await before.send(first)
        data = before.snapshot()
        kept = await continued(before, rest)
    async with network.session(seed=3) as after:
        after.restore(data)
        assert after.snapshot() == data
        return expected, kept, await continued(after, rest)


async def continued(session, rest):
    """Send the rest of a sample and return its decision."""
    await session.send(rest)
    return await session.finish_sample()


@pytest.mark.parametrize("at", [0, 1, 20, 59, 60])
async def test_restored_session_continues_unchanged(at, no_leaks):
    async with na.Network(BUNDLE) as network:
        expected, kept, restored = await halves(network, at)
    assert expected == kept == restored


@settings(max_examples=150, deadline=None)
@given(
    data=st.data(),
    model=models(refractory=True, extended=True),
    policy=st.sampled_from(("layer-sync", "random", "momentum", "fifo")),
    mode=st.sampled_from(("prioritised", "queued")),
    until=st.sampled_from(("quiet", "votes(2)", "margin(2)")),
)
def test_any_network_continues_from_a_snapshot_spike_for_spike(data, model, policy, mode, until):
    train = data.draw(spike_trains(model))
    at = data.draw(st.integers(0, len(train)))
    bundle = na.Bundle(model, policy=na.PolicySpec(policy, 2))
    until = rule_for(model, until)

    async def run():
        async with na.Network(bundle, input=mode, until=until) as network:
            return await halves(network, at, train)

    expected, kept, restored = asyncio.run(run())
    assert expected == kept == restored


async def test_later_samples_run_with_their_own_seeds(no_leaks):
    async with na.Network(BUNDLE) as network, network.session(seed=3) as session:
        decisions = [await session.decide(SAMPLE) for _ in range(3)]
        async with network.session(seed=3) as other:
            await other.decide(SAMPLE)
            data = other.snapshot()
        async with network.session(seed=3) as other:
            other.restore(data)
            assert other.sample == 1
            assert [await other.decide(SAMPLE) for _ in range(2)] == decisions[1:]


async def test_spikes_in_flight_are_kept():
    lif = na.LIF(tau_mem_us=np.inf, v_threshold=0.5)
    one = np.ones((1, 1), np.float32)
    model = na.Model(
        1000,
        (1,),
        (na.Population("slow", (1,), lif), na.Population("output", (1,), lif)),
        (na.Dense("input", "slow", one), na.Dense("slow", "output", one, delay_us=3000)),
        "output",
    )
    async with na.Network(na.Bundle(model)) as network:
        async with network.session() as session:
            await session.send(([0], [0]))
            await session.advance(1000)
            data = session.snapshot()
        async with network.session() as session:
            session.restore(data)
            decision = await session.finish_sample(duration_us=4000)
    assert decision.spikes == {"slow": 1, "output": 1}
    assert decision.first_spike == (2, 1, 1)


async def test_busy_or_recording_session_rejects_a_snapshot():
    async with na.Network(BUNDLE) as network:
        async with network.session() as session:
            watching = session.watch(SAMPLE)
            await anext(watching)
            with pytest.raises(RuntimeError, match=r"^the session is busy with a call, a watch or"):
                session.snapshot()
            await watching.aclose()
        async with network.session(recorder=network.recorder()) as session:
            with pytest.raises(
                RuntimeError, match=r"^cannot snapshot or restore a session that is rec"
            ):
                session.snapshot()
            with pytest.raises(
                RuntimeError, match=r"^cannot snapshot or restore a session that is rec"
            ):
                session.restore(b"")


async def test_session_with_a_custom_population_has_no_snapshot():
    async def silent(inbox, fired, population):
        async for _ in inbox:
            await fired.put([])

    async with (
        na.Network(BUNDLE, populations={"hidden2": silent}) as network,
        network.session() as session,
    ):
        with pytest.raises(RuntimeError, match=r"^cannot snapshot or restore a session with custo"):
            session.snapshot()


async def test_snapshot_of_another_network_or_setting_is_rejected():
    async with na.Network(BUNDLE) as network, network.session() as session:
        data = session.snapshot()
        async with network.session(policy="fifo") as other:
            with pytest.raises(
                na.SnapshotError,
                match=r"^`run\.policy` must be 'fifo' as in this session, got 'random'; open a ses",
            ):
                other.restore(data)
    async with na.Network(chain(seed=9)) as network, network.session() as session:
        await session.send(SAMPLE)
        before = session.snapshot()
        with pytest.raises(
            na.SnapshotError,
            match=r"^`bundle` is the digest of another network than the session's$",
        ):
            session.restore(data)
        assert session.snapshot() == before


async def snapshot_fields():
    """Return a simulator in the middle of a sample and the fields of its snapshot."""
    async with na.Network(BUNDLE) as network, network.session() as session:
        await session.send(SAMPLE)
        return session._runner.simulator, unsealed(session.snapshot())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample": -1}, r"^`sample` must be an integer of at least 0, got -1$"),
        ({"last_us": 3}, r"^`waiting\.t_us` must be from the latest pass to the last event$"),
        ({"potential": b""}, r"^this is not a snapshot, or it is damaged: `potential` must be a m"),
        (
            {"due": {"dtype": "<i8", "shape": [4, 0], "data": b""}},
            r"^`due` must be of shape \[5, n\], got shape \[4, 0\]$",
        ),
        ({"more": 1}, r"^this is not a snapshot, or it is damaged: `more` is an unknown key; know"),
    ],
)
async def test_invalid_snapshot_is_rejected_by_path(change, message):
    simulator, fields = await snapshot_fields()
    with pytest.raises(na.SnapshotError, match=message):
        read_snapshot(sealed({**fields, **change}), simulator, BUNDLE.digest)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 1}, r"^`version` must be 2, the version that this package reads, got 1$"),
        ({"format": "x"}, r"^this is not a snapshot: a map with `format` 'neuroasync-session' is"),
        ({"sha256": bytes(32)}, r"^`sha256` is not the digest of `session`; the snapshot is damag"),
        ({"session": 3}, r"^`session` must be binary data$"),
    ],
)
async def test_invalid_envelope_of_a_snapshot_is_rejected(change, message):
    simulator, fields = await snapshot_fields()
    with pytest.raises(na.SnapshotError, match=message):
        read_snapshot(sealed(fields, change), simulator, BUNDLE.digest)


async def test_snapshot_with_a_negative_number_of_votes_is_rejected():
    simulator, fields = await snapshot_fields()
    votes = np.frombuffer(bytearray(fields["votes"]["data"]), "<i8")
    votes[0] = -1
    forged = {**fields, "votes": {**fields["votes"], "data": votes.tobytes()}}
    with pytest.raises(na.SnapshotError, match=r"^`votes` must have no negative number of votes$"):
        read_snapshot(sealed(forged), simulator, BUNDLE.digest)


async def test_any_changed_byte_is_detected():
    async with na.Network(BUNDLE) as network, network.session() as session:
        await session.send(SAMPLE)
        snapshot = session.snapshot()
        for at in range(len(snapshot)):
            damaged = bytearray(snapshot)
            damaged[at] ^= 0x10
            with pytest.raises(na.SnapshotError):
                session.restore(bytes(damaged))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_forged_snapshot_is_rejected_or_harmless(data):
    async def run():
        async with na.Network(BUNDLE) as network, network.session() as session:
            await session.send(SAMPLE)
            snapshot = bytearray(msgpack.packb(unsealed(session.snapshot())))
            for _ in range(data.draw(st.integers(1, 3))):
                at = data.draw(st.integers(0, len(snapshot) - 1))
                snapshot[at] = data.draw(st.integers(0, 255))
            try:
                session.restore(sealed(bytes(snapshot)))
            except na.SnapshotError:
                return
            try:
                await session.send(([SAMPLE.t_us[-1]], [0]))
                await session.finish_sample()
            except (na.LimitError, na.EventsError):
                return

    asyncio.run(run())


@pytest.mark.parametrize("seed", range(24))
async def test_a_session_of_any_seed_can_be_restored(seed):
    async with na.Network(BUNDLE) as network, network.session(seed=seed) as session:
        await session.send(SAMPLE)
        data = session.snapshot()
        session.restore(data)
        assert session.snapshot() == data


async def test_sample_stopped_within_a_pass_does_not_affect_a_restored_session():
    lif = na.LIF(tau_mem_us=np.inf, v_threshold=0.5, refractory=False)
    model = na.Model(
        1000,
        (1,),
        (na.Population("pair", (2,), lif), na.Population("output", (1,), lif)),
        (
            na.Dense("input", "pair", np.ones((2, 1), np.float32)),
            na.Dense("pair", "output", np.ones((1, 2), np.float32)),
        ),
        "output",
    )
    bundle = na.Bundle(model, policy=na.PolicySpec("fifo", 1))
    first, rest = ([0, 1000], [0, 0]), ([2000], [0])
    async with na.Network(bundle, until="votes(5)") as network, network.session() as session:
        await session.send(first)
        data = session.snapshot()
        expected = await continued(session, rest)
        # One of the pair's spikes is pending when the rule says stop.
        assert (await session.decide(([0, 1000, 2000], [0, 0, 0]))).stopped
        session.restore(data)
        assert await continued(session, rest) == expected


async def test_a_stopped_sample_of_leaky_integrators_keeps_its_decision():
    out = na.Population("out", (3,), na.LI())
    weight = np.array([[1], [2], [4]], np.float32)
    model = na.Model(1000, (1,), (out,), (na.Dense("input", "out", weight),), "out")
    options = {"until": lambda progress: progress.passes == 2}
    async with na.Network(na.Bundle(model), **options) as network:
        async with network.session() as before:
            await before.send(([0, 1000, 2000, 3000], [0, 0, 0, 0]))
            data = before.snapshot()
            expected = await before.finish_sample()
        async with network.session() as after:
            after.restore(data)
            assert await after.finish_sample() == expected
        assert (expected.stopped, expected.potentials.tolist()) == (True, [2, 4, 8])
