"""The benchmarks ask what they say, check what they time, and save what they print."""

import argparse
import asyncio
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bench
from bench.c_baseline import CLoop, compiler, fits
from bench.paired_timing import Contender, quantiles, take_turns
from bench.plots import draw
from bench.questions import activity, engines, idle_neurons
from bench.reference_networks import as_bundle, conv_stack, dense_stack, frames, samples
from bench.report import add_out_option, as_json, save
from bench.result import CheckError, Scale, expect_same, lines_of
from bench.runners import recorded
from neuroasync import SpikeTrain

TINY = Scale(rounds=1, calls=2, seconds=0.01, quick=True)

needs_cc = pytest.mark.skipif(compiler() is None, reason="no C compiler")


@needs_cc
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=5),
    policy=st.sampled_from(["layer-sync", "random", "momentum", "fifo"]),
    group_size=st.sampled_from([1, 2, 8, 17, 1000]),
    reset=st.sampled_from(["zero", "subtract"]),
    seed=st.integers(0, 2**64 - 1),
    events=st.integers(0, 60),
    is_vectorised=st.booleans(),
)
def test_c_loop_fires_and_delivers_the_same_spikes_in_the_same_order(
    sizes, policy, group_size, reset, seed, events, is_vectorised
):
    rng = np.random.default_rng(seed)
    model = dense_stack(sizes, reset, seed % 1000)
    # Inputs may repeat within a timestep, which counts as multiplicity.
    t_us = np.sort(rng.integers(0, 5000, events))
    train = SpikeTrain(t_us, rng.integers(0, sizes[0], events))
    c_loop = CLoop(model, policy, group_size, vectorised=is_vectorised)
    result = c_loop.decide(train, seed)
    fired, delivered = asyncio.run(recorded(as_bundle(model, policy, group_size), train, seed))
    assert np.array_equal(c_loop.fired(), fired)
    assert np.array_equal(c_loop.delivered(), delivered)
    assert (result.spikes, sum(result.votes)) == (
        len(fired),
        int((fired[:, 2] >= model.starts[-2]).sum()),
    )


def test_c_loop_accepts_only_plain_dense_stacks():
    assert fits(dense_stack((5, 4, 3)))
    assert not fits(conv_stack())
    with pytest.raises(ValueError, match="plain stack of dense layers"):
        CLoop(conv_stack(), "random", 8)


def test_quantiles_are_values_that_occurred():
    q = quantiles(range(1, 101))
    assert (q.n, q.p50, q.p90, q.p99, q.max) == (100, 50, 90, 99, 100)
    assert quantiles([3.0]).p99 == 3.0


async def test_contenders_take_turns_and_make_every_call_in_order():
    async def awaited(k):
        return k

    seen = []
    plain = Contender("plain", lambda k: seen.append(k) or k)
    timings = await take_turns([plain, Contender("awaited", awaited)], rounds=3, calls=4)
    calls = list(range(16))  # a round to warm up, not timed
    assert seen == timings.outcomes["plain"] == timings.outcomes["awaited"] == calls
    assert timings.seconds.shape == (2, 3, 4)
    baseline, other = lines_of(timings, "plain")
    assert (baseline.ratio, baseline.values.n) == (1.0, 12)
    assert math.isclose(other.ratio, np.median(timings.ratios("awaited", "plain")))


def test_check_error_names_contenders_and_call():
    assert "3 calls" in expect_same("label", {"a": [1, 2, 3], "b": [1, 2, 3]})
    with pytest.raises(CheckError, match=r"label: call 1: a has 2, b has 5"):
        expect_same("label", {"a": [1, 2], "b": [1, 5]})


def test_frame_holds_every_event_of_its_timestep():
    train = samples(1, events=20, inputs=50)[0]
    binned = frames(train, 50)
    assert binned.shape == (10, 50)
    assert binned.sum(axis=1).tolist() == [20.0] * 10


@pytest.mark.parametrize("question", [engines, activity], ids=lambda module: module.__name__)
async def test_result_has_baseline_and_checks_and_converts_to_json(question, tmp_path):
    result = await question.measure(TINY)
    by_name = {line.name: line for line in result.lines}
    assert by_name[result.baseline].ratio == 1.0
    assert result.checks
    for line in result.lines:
        q = line.values
        assert 0 < q.p50 <= q.p90 <= q.p99 <= q.max
        assert line.figures["spikes"] >= 0
    path = save(as_json([result], {"date": "2026-01-02T03:04:05+00:00"}), tmp_path)
    saved = json.loads(path.read_text())
    assert path.name == "2026-01-02T030405.json"
    assert saved["answers"][0]["lines"][0]["values"].keys() == {"n", "p50", "p90", "p99", "max"}
    assert saved["answers"][0]["checks"] == list(result.checks)


async def test_cost_against_activity_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    result = await activity.measure(TINY)
    (path,) = draw([result], tmp_path, "run")
    assert path.name == "run-activity.svg"
    drawn = path.read_text()
    assert "input events a sample" in drawn
    assert all(line.name.partition(" events")[0] in drawn for line in result.lines)


async def test_sheets_of_any_size_have_the_same_activity(monkeypatch):
    monkeypatch.setattr(idle_neurons, "_SIDES", {"1 k": 16, "1 M": 40})  # 6,400 neurons will do
    result = await idle_neurons.measure(TINY)
    assert len(result.lines) == 8
    assert result.checks[0].startswith("(input events, spikes): same")


def test_environment_describes_the_machine():
    pytest.importorskip("pyperf")
    from bench.environment import describe

    machine = describe()
    assert machine.keys() >= {"cpu_count", "python_version", "numpy", "numba", "commit", "date"}


def test_results_are_saved_beside_the_benchmarks_by_default():
    parser = argparse.ArgumentParser()
    add_out_option(parser)
    assert parser.parse_args([]).out == Path(bench.__file__).parent / "results"
