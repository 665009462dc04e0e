"""One network under stress: runs, their agreement with other ways to run, and errors."""

import json
from dataclasses import replace

import numpy as np
import pytest

import neuroasync as na
from neuroasync.metrics import Stress, compare_modes, stress_test, summarise
from neuroasync.metrics.stress.changes import without_synapses
from neuroasync.shipped import load_bundle, load_spikes
from tests.helpers.cli_files import some_trains
from tests.helpers.small_networks import chain

NO_STRESS = "input-loss 0; synapse-loss 0; weight-noise 0"


@pytest.fixture(scope="module")
def digits():
    return load_bundle("unlayered"), load_spikes("digits")[:20]


async def test_the_first_rows_are_the_untouched_network(digits):
    bundle, samples = digits
    report = stress_test(bundle, samples, "weight-bits 2", seeds=2, seed=4, first=7)
    (stress, runs), _ = report.by_stress()
    assert stress is None
    assert [run.seed for run in runs] == [4, 5]
    async with na.Network(bundle) as network:
        for run in runs:
            decisions = await network.decide_all(samples, seed=run.seed, first=7)
            expected = summarise(decisions, samples.labels.tolist())
            assert run.summary.accuracy == expected.accuracy
            assert run.summary.rounds_per_sample == expected.rounds_per_sample
            assert run.same_labels == 1


def test_stress_without_strength_changes_nothing(digits):
    report = stress_test(*digits, NO_STRESS, seeds=2)
    rows = [run.to_json() for run in report.runs]
    for row in rows:
        del row["kind"], row["strength"]
    assert len(rows) == 8
    assert rows[0:2] == rows[2:4] == rows[4:6] == rows[6:8]


async def test_synapses_fail_for_each_sample_anew(digits):
    bundle, samples = digits
    report = stress_test(bundle, samples[:4], "synapse-loss 0.6", seeds=1, seed=9, first=3)
    spikes = []
    for k in range(4):
        model = without_synapses(bundle.model, 0.6, na.sample_seed(9, 3 + k))
        async with na.Network(replace(bundle, model=model, golden=())) as network:
            (decision,) = await network.decide_all(samples[k : k + 1], seed=9, first=3 + k)
        spikes.append(decision.total_spikes)
    assert report.runs[1].summary.spikes_per_sample == np.mean(spikes)


def test_other_orders_are_what_compare_modes_measures(digits):
    modes = "layer-sync; random F=2 queued"
    report = stress_test(*digits, f"order {modes.replace('; ', '; order ')}", seeds=3, seed=1)
    compared = compare_modes(*digits, modes, orders=3, seed=1)
    found = [run for run in report.runs if run.stress is not None]
    assert [(r.stress.strength, r.seed) for r in found] == [(r.mode, r.seed) for r in compared.runs]
    for one, other in zip(found, compared.runs, strict=True):
        assert one.summary.accuracy == other.summary.accuracy
        assert one.summary.spikes_per_sample == other.summary.spikes_per_sample


def test_a_report_is_the_same_twice(digits):
    one, two = (stress_test(*digits, seeds=2).to_json() for _ in range(2))
    assert json.dumps(one) == json.dumps(two)


def test_means_have_standard_errors_over_seeds(digits):
    report = stress_test(*digits, "input-loss 0.5", seeds=3)
    stress = Stress("input-loss", 0.5)
    values = [run.summary.accuracy for run in report.runs[3:]]
    mean = report.mean(stress, "accuracy")
    assert mean.value == pytest.approx(np.mean(values))
    assert mean.error == pytest.approx(np.std(values, ddof=1) / np.sqrt(3))
    row = report.to_json()["stresses"][1]
    assert (row["kind"], row["strength"], row["seeds"]) == ("input-loss", 0.5, 3)
    assert (row["accuracy"], row["accuracy_error"]) == (mean.value, mean.error)


def test_what_does_not_depend_on_seeds_runs_once():
    report = stress_test(
        chain(policy="fifo"), some_trains(), "weight-bits 4; delay 1ms; jitter 1ms; order random",
        seeds=3,
    )  # fmt: skip
    counts = {str(stress): len(runs) for stress, runs in report.by_stress()}
    assert counts == {
        "None": 1, "weight-bits 4": 1, "delay 1000us": 1, "jitter 1000us": 3, "order random F=1": 3,
    }  # fmt: skip
    assert report.mean(None, "accuracy").error is None


def test_a_delay_postpones_spikes_beyond_the_end_of_the_sample():
    report = stress_test(chain(), some_trains(), "delay 1s", seeds=1)
    untouched, late = (run.summary.spikes_by_population for run in report.runs)
    assert late["hidden1"] == untouched["hidden1"] > 0
    assert late["hidden2"] == late["output"] == 0 < untouched["output"]


def test_the_run_mode_and_the_samples_are_stated():
    mode = na.PolicySpec("momentum", 3, "queued")
    report = stress_test(chain(), some_trains(), "weight-bits 8", mode=mode, until="votes(1)")
    assert (report.mode, report.until, report.samples) == (mode, "votes(1)", 6)
    assert report.to_json()["mode"] == "momentum F=3 queued"
    certificate = compare_modes(chain(), some_trains(), "fifo").certificate
    assert report.samples_sha256 == certificate.samples_sha256
    assert report.network_sha256 == certificate.network_sha256


def test_samples_without_labels_have_a_share_of_same_labels():
    report = stress_test(chain(), some_trains(labels=None), "input-loss 0.9", seeds=2)
    assert report.mean(None, "accuracy") is None
    assert report.same_labels(None).value == 1
    assert report.to_json()["stresses"][1]["accuracy"] is None


def test_progress_counts_runs():
    done = []
    stress_test(chain(), some_trains(), "weight-noise 0.1", seeds=2,
                on_run=lambda *numbers: done.append(numbers))  # fmt: skip
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_stress_that_does_not_fit_is_refused_before_anything_runs():
    done, flat = [], chain(sizes=(12, 4))
    for bundle, text, message in (
        (chain(), "weight-bits; delay 1500us", "`delay` must be a multiple of the timestep"),
        (flat, "weight-bits; delay 1ms", "'delay 1000us' needs a connection between populations"),
        (flat, "synapse-loss 0.1", "'synapse-loss 0.1' needs a connection between populations"),
    ):
        if "at most" in message:
            slow = tuple(
                replace(c, delay_us=2**53 // 1000 * 1000) for c in bundle.model.connections
            )
            bundle = na.Bundle(replace(bundle.model, connections=slow))
        with pytest.raises(ValueError, match=message):
            stress_test(bundle, some_trains(), text, on_run=lambda *n: done.append(n))
    assert not done


def test_a_run_mode_without_calibration_is_refused_before_anything_runs(digits):
    bundle, samples = digits
    runs = []
    with pytest.raises(na.StopRuleError, match=r"calibrated for random, .* this call uses fifo"):
        stress_test(
            bundle, samples, "weight-bits 4; order fifo", until="confidence(0.9)",
            on_run=lambda *done: runs.append(done),
        )  # fmt: skip
    assert runs == []


def test_a_delay_that_is_too_long_is_refused():
    model = chain().model
    slow = tuple(replace(c, delay_us=1000) for c in model.connections)
    bundle = na.Bundle(replace(model, connections=slow))
    longest_us = 2**53 // 1000 * 1000
    with pytest.raises(ValueError, match=r"`delay` must be at most .* got"):
        stress_test(bundle, some_trains(), [Stress("delay", longest_us)])


def test_a_convolution_with_too_many_synapses_is_refused(monkeypatch):
    monkeypatch.setattr("neuroasync.metrics.synapse_lists._MAX_SYNAPSES", 99)
    plane = na.Population("plane", (1, 6, 6), na.LIF())
    connections = (
        na.Conv2d("input", "plane", np.ones((1, 1, 1, 1))),
        na.Conv2d("plane", "plane", np.ones((1, 1, 3, 3)), padding=(1, 1), delay_us=1),
    )
    model = na.Model(1, (1, 6, 6), (plane,), connections, "plane")
    trains = na.SpikeTrains.from_trains([na.SpikeTrain([0], [0])], (1, 6, 6))
    with pytest.raises(ValueError, match="has 256 synapses, but at most 99"):
        stress_test(na.Bundle(model), trains, "synapse-loss 0.1")


def test_bad_arguments_are_refused(digits):
    bundle, samples = digits
    for options, message in (
        ({"stresses": []}, "`stresses` must be a list of 1 to 1024 stresses"),
        ({"stresses": ["fifo"]}, r"`stresses\[0\]` must be a Stress"),
        ({"stresses": [Stress("weight-bits", 4)] * 2}, r"`stresses\[1\]` must be different"),
        ({"on_run": 3}, "`on_run` must be a function, got 3"),
        ({"seeds": 0}, "`seeds` must be an integer from 1"),
        ({"seed": 2**64 - 1}, "`seed` must be an integer of at most"),
        ({"mode": "random"}, "`mode` must be a PolicySpec or None, got 'random'"),
        ({"until": "never"}, "until"),
        ({"until": lambda *_: True}, "`until` must be the text of a stop rule, got <function"),
        ({"first": -1}, "`first` must be an integer"),
        ({"first": 1.5}, "`first` must be an integer"),
    ):
        with pytest.raises(ValueError, match=message):
            stress_test(bundle, samples, **options)
    with pytest.raises(TypeError, match=r"^`bundle` must be a Bundle, got str$"):
        stress_test("unlayered", samples)
    with pytest.raises(ValueError, match="`samples` must have at least one sample"):
        stress_test(bundle, samples[:0])
    with pytest.raises(ValueError, match=r"`samples` must be SpikeTrains, .*, got SpikeTrain$"):
        stress_test(bundle, samples[0])
    report = stress_test(bundle, samples[:2], "weight-bits 4", seeds=1)
    with pytest.raises(ValueError, match="`name` must be a number of the class Summary"):
        report.mean(None, "to_decision")
    with pytest.raises(ValueError, match="`stress` must be one that the report has"):
        report.mean(Stress("weight-bits", 5), "accuracy")
