"""Provisional decisions report each new leading class, and the last one is the decision."""

import asyncio
import contextlib
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import neuroasync as na
from neuroasync.core.engine.policies import Fifo, make_policy
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.stop_rules import parse_stop_rule
from neuroasync.errors import ForwardStepLimitError
from neuroasync.metrics.trajectory import trajectories
from neuroasync.runtime.cpu_time.cpu_account import CpuAccount
from neuroasync.runtime.network_lifecycle import NetworkLifecycle
from neuroasync.runtime.option_resolver import OptionResolver
from neuroasync.runtime.session import Session
from tests.helpers.recordings import BUILT_IN, record, recordings, relay
from tests.helpers.small_networks import chain, sample
from tests.helpers.time_slices import end_after_each_step

BUNDLE = chain()
SAMPLE = sample()
RELAYED = na.SpikeTrain([0, 0, 1000], [0, 1, 1])
ENGINES = ("coroutines", "compiled")


@contextlib.asynccontextmanager
async def open_parts(bundle, **options):
    """Open the parts of a network, to run sessions with given seeds or to inspect them."""
    resolver = OptionResolver(bundle, options, {})
    lifecycle = NetworkLifecycle(bundle, {}, na.VirtualClock(), None)
    plan = resolver.plan(resolver.defaults)
    await lifecycle.open(plan)
    try:
        yield lifecycle, plan
    finally:
        await lifecycle.close()


def summary_of(decision):
    """Return the label, the counts and the finality of a decision."""
    counts = (decision.total_spikes, decision.steps, decision.rounds)
    return (-1 if decision.label is None else decision.label, *counts, decision.is_final)


async def watched(session, events, **options):
    """Return all decisions that ``watch`` yields."""
    return [decision async for decision in session.watch(events, **options)]


@pytest.mark.parametrize("engine", ENGINES)
async def test_each_new_leader_is_yielded_in_the_middle_of_a_pass(engine, no_leaks):
    # As in test_anytime: class 0 leads at step 2 after 4 spikes, class 1 at step 5 after 6.
    run = {"policy": "fifo", "group_size": 1, "engine": engine}
    async with na.Network(relay(), **run) as network, network.session() as session:
        decisions = await watched(session, RELAYED)
        assert [summary_of(d) for d in decisions] == [
            (0, 4, 2, 2, False),
            (1, 6, 5, 5, False),
            (1, 6, 6, 6, True),
        ]
        assert [d.votes.tolist() for d in decisions] == [[1, 1], [1, 2], [1, 2]]
        assert decisions[-1] == await session.decide(RELAYED)
        assert decisions[0] != replace(decisions[0], is_final=True)


@pytest.mark.parametrize("engine", ENGINES)
async def test_leader_at_which_the_stop_rule_fires_is_yielded_once(engine, no_leaks):
    run = {"policy": "fifo", "group_size": 1, "engine": engine}
    run |= {"until": "first-spike"}
    async with na.Network(relay(), **run) as network, network.session() as session:
        assert [summary_of(d) for d in await watched(session, RELAYED)] == [(0, 4, 2, 2, True)]
        assert [summary_of(d) for d in await watched(session, ([], []))] == [(-1, 0, 0, 0, True)]


async def test_custom_stop_rule_is_called_before_a_leader_is_yielded(no_leaks):
    run = {"policy": "fifo", "group_size": 1, "until": lambda progress: progress.label == 1}
    async with na.Network(relay(), **run) as network, network.session() as session:
        labels = [(d.label, d.is_final) for d in await watched(session, RELAYED)]
        assert labels == [(0, False), (1, True)]


@given(
    made=recordings(policies=BUILT_IN, rules=("quiet",)),
    rule=st.sampled_from(("quiet", "margin(2)", "margin(9,2,1)", "steps(1)")),
)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_both_engines_yield_the_leaders_of_the_recording(made, rule):
    bundle, recording = made
    info = recording.info
    known = replace(recording, target=np.zeros(len(recording), np.int64))
    policy = make_policy(info.policy, info.noise)
    run = RunSettings(policy, info.group_size, info.input, parse_stop_rule(rule), 60)
    samples = [recording.events(k) for k in range(len(recording))]
    durations = [recording.duration(k) for k in range(len(recording))]

    async def all_leaders(engine):
        options = {"policy": policy, "group_size": run.group_size, "input": run.input}
        options |= {"until": rule, "max_forward_steps": 60, "engine": engine}
        async with open_parts(bundle, **options) as (lifecycle, plan):
            found = []
            for k, (events, duration_us) in enumerate(zip(samples, durations, strict=True)):
                seed = int(recording.seed[k])
                runner = lifecycle.open_runner(plan, lambda _, seed=seed: seed, None, CpuAccount())
                async with Session(runner, na.VirtualClock(), lifecycle.loop_guard) as session:
                    decisions = await watched(session, events, duration_us=duration_us)
                    expected = await session.decide(events, duration_us=duration_us)
                    assert decisions[-1] == expected
                    found.append([summary_of(d) for d in decisions])
            return found

    told_by = [asyncio.run(all_leaders(engine)) for engine in ENGINES]
    assert told_by[0] == told_by[1]
    for t, of_sample in zip(trajectories(known), told_by[0], strict=True):
        changes = np.flatnonzero(np.diff(t.label)) + 1
        leaders = [(t.label[k], t.spikes[k], t.steps[k], t.rounds[k], False) for k in changes]
        *provisional, final = of_sample
        reached = [
            at for at in leaders if at[2] < final[2] or (at[2] == final[2] and rule == "quiet")
        ]
        assert provisional[: len(reached)] == reached
        assert leaders[: len(provisional)] == provisional


@pytest.mark.parametrize("input_mode", ["prioritised", "queued"])
async def test_chunks_from_a_source_give_the_decision_of_the_complete_sample(input_mode, no_leaks):
    async def source(parts):
        for at in range(0, len(SAMPLE), parts):
            await asyncio.sleep(0)
            yield SAMPLE.t_us[at : at + parts], SAMPLE.index[at : at + parts]

    async with na.Network(BUNDLE, input=input_mode) as network, network.session() as session:
        expected = [summary_of(d) for d in await watched(session, SAMPLE)]
        assert len(expected) >= 2
        for parts in (1, 7, 100):
            async with network.session() as other:
                assert [summary_of(d) for d in await watched(other, source(parts))] == expected


@pytest.mark.parametrize("engine", ENGINES)
async def test_source_is_not_read_after_the_stop_rule_has_fired(engine, no_leaks):
    pulled = []

    async def source():
        for part in range(len(SAMPLE)):
            pulled.append(int(SAMPLE.t_us[part]))
            yield SAMPLE.t_us[part : part + 1], SAMPLE.index[part : part + 1]
        await asyncio.Event().wait()  # a sensor that goes silent, and never ends

    run = {"engine": engine, "until": "first-spike"}
    async with na.Network(BUNDLE, **run) as network, network.session() as session:
        expected = await network.decide(SAMPLE, seed=na.sample_seed(0, 0))
        parts = source()
        *_, decision = await watched(session, parts)
        assert decision == expected
        # A pass runs once an event of a later one was sent: that one is the last.
        later = np.flatnonzero(SAMPLE.t_us >= decision.t_us + BUNDLE.model.timestep_us)
        assert len(pulled) == later[0] + 1 < len(SAMPLE)
        assert parts.ag_frame is not None  # open: it is the caller's to close
        await parts.aclose()


async def test_sample_that_has_stopped_does_not_read_the_source(no_leaks):
    async def source():
        raise AssertionError("read")
        yield SAMPLE

    async with na.Network(BUNDLE, until="first-spike") as network, network.session() as session:
        await session.send(SAMPLE)
        assert session.is_decided
        assert (await watched(session, source()))[-1].stopped


async def test_watches_that_wait_for_a_chunk_hold_no_scratch_buffers(no_leaks):
    go = asyncio.Event()

    async def source():
        await go.wait()
        yield SAMPLE

    async with na.Network(BUNDLE) as network:
        expected = summary_of(await network.decide(SAMPLE, seed=na.sample_seed(0, 0)))
    async with open_parts(BUNDLE) as (lifecycle, plan):
        seed_of = partial(na.sample_seed, 0)
        runners = [lifecycle.open_runner(plan, seed_of, None, CpuAccount()) for _ in range(20)]
        sessions = [Session(runner, na.VirtualClock(), lifecycle.loop_guard) for runner in runners]
        waiting = [asyncio.create_task(watched(session, source())) for session in sessions]
        await asyncio.sleep(0)
        states = [runner.simulator.state for runner in runners]
        assert [state.scratch for state in states] == [None] * 20
        assert len(states[0].plan.idle_scratch) == 1  # the one that all of them began in
        go.set()
        decisions = await asyncio.gather(*waiting)
        assert [summary_of(of_sample[-1]) for of_sample in decisions] == [expected] * 20
        assert all(not of_sample[0].is_final for of_sample in decisions)
        for session in sessions:
            session.close()


async def test_events_sent_before_a_watch_belong_to_its_sample(no_leaks):
    early, late = (SAMPLE.t_us < 5000), (SAMPLE.t_us >= 5000)
    async with na.Network(BUNDLE) as network, network.session() as session:
        expected = await watched(session, SAMPLE)
        async with network.session() as other:
            await other.send((SAMPLE.t_us[early], SAMPLE.index[early]))
            decisions = await watched(other, (SAMPLE.t_us[late], SAMPLE.index[late]))
        assert decisions[-1] == expected[-1]
        assert not decisions[0].is_final
        assert decisions[0].passes == 4  # the fifth waits for an event of a later one


@pytest.mark.parametrize("engine", ENGINES)
async def test_slow_watch_pauses_only_its_own_sample(engine, no_leaks):
    async with na.Network(BUNDLE, engine=engine) as network, network.session() as session:
        expected = await network.decide(SAMPLE, seed=na.sample_seed(0, 0))
        watch = session.watch(SAMPLE)
        first = await anext(watch)
        assert await network.decide(SAMPLE, seed=na.sample_seed(0, 0)) == expected
        assert first.steps == first.first_spike[1] < expected.steps
        rest = [decision async for decision in watch]
        assert rest[-1] == expected


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("end", ["break", "aclose"])
async def test_leaving_watch_early_abandons_the_sample(engine, end, no_leaks):
    async with na.Network(BUNDLE, engine=engine) as network, network.session() as session:
        expected = await network.decide(SAMPLE, seed=na.sample_seed(0, 0))
        watch = session.watch(SAMPLE)
        async for _ in watch:
            break
        if end == "aclose":
            await watch.aclose()
        assert (await session.decide(SAMPLE), session.sample) == (expected, 1)
        await asyncio.sleep(0)


async def test_watch_raises_after_another_call_has_evicted_it(no_leaks):
    async with na.Network(BUNDLE) as network, network.session() as session:
        watch = session.watch(SAMPLE)
        await anext(watch)
        expected = await session.decide(SAMPLE)
        with pytest.raises(RuntimeError, match="used by another call while this watch or stream"):
            await anext(watch)
        session.reset()
        assert (await watched(session, SAMPLE))[-1].passes == expected.passes


async def test_closing_the_session_ends_its_watch(no_leaks):
    async with na.Network(BUNDLE) as network, network.session() as session:
        watch = session.watch(SAMPLE)
        await anext(watch)
        session.close()
        with pytest.raises(na.ClosedError):
            await anext(watch)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("ticks", range(0, 40, 3))
async def test_cancelled_watch_leaves_the_session_usable(engine, ticks, monkeypatch, no_leaks):
    end_after_each_step(monkeypatch)
    async with na.Network(BUNDLE, engine=engine) as network, network.session() as session:
        attempt = asyncio.create_task(watched(session, SAMPLE))
        for _ in range(ticks):
            await asyncio.sleep(0)
        attempt.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await attempt
        seed = na.sample_seed(0, session.sample)
        assert await session.decide(SAMPLE) == await network.decide(SAMPLE, seed=seed)


async def test_next_sample_starts_from_rest_after_an_invalid_chunk_or_duration(no_leaks):
    async with na.Network(BUNDLE) as network, network.session() as session:
        with pytest.raises(na.EventsError):
            await watched(session, ([0], [12]))
        with pytest.raises(
            ValueError,
            match=r"^`duration_us` must be an integer above \d+, the time of the last event",
        ):
            await watched(session, SAMPLE, duration_us=5)
        expected = await network.decide(SAMPLE, seed=na.sample_seed(0, 0), duration_us=20_000)
        assert (await watched(session, SAMPLE, duration_us=20_000))[-1] == expected


async def test_number_of_chunked_events_in_one_pass_is_bounded(monkeypatch, no_leaks):
    monkeypatch.setattr(na.limits, "MAX_QUEUED_EVENTS", 2)

    async def source():
        for _ in range(4):
            yield [0], [0]

    async with na.Network(BUNDLE) as network, network.session() as session:
        message = r"^3 events wait for one pass, the limit is 2; this sample accepts no more events"
        with pytest.raises(na.LimitError, match=message):
            await watched(session, source())


async def test_error_in_a_watch_abandons_the_sample(no_leaks):
    async with na.Network(BUNDLE) as network, network.session(max_forward_steps=1) as session:
        with pytest.raises(ForwardStepLimitError):
            await watched(session, SAMPLE)
        assert session.sample == 0


async def test_watched_sample_is_recorded_like_any_other(no_leaks):
    async with na.Network(relay(), policy="fifo", group_size=1) as network:
        recorder = network.recorder()
        async with network.session(recorder=recorder) as session:
            await watched(session, RELAYED)
    recording = recorder.finish()
    expected = record(relay(), [RELAYED], RunSettings(Fifo(), 1))
    assert recording.digest == expected.digest
    assert recording.delivered_origin.tolist() == expected.delivered_origin.tolist()
