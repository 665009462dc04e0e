"""Stop rules are chosen and calibrated from a single run of the validation samples."""

from dataclasses import replace

import numpy as np
import pytest

from neuroasync.cli.decide_samples import decide_samples, run_in_loop
from neuroasync.core.recording.recorder import Recorder
from neuroasync.datasets import load_dataset
from neuroasync.errors import LimitError, PassLimitError
from neuroasync.metrics import summarise
from neuroasync.runtime.network import Network
from neuroasync.shipped import shipped_bundle
from neuroasync.train.recipes.stop_rule_search import CANDIDATES, with_stop_rules

SAMPLES = load_dataset("digits").validation[:80]
LABELS = SAMPLES.labels.tolist()


def run(bundle, until):
    """Return the summary of all samples under a stop rule."""
    network = Network(bundle, until=until)
    decided = decide_samples(network, SAMPLES, range(len(SAMPLES)), 0)
    return summarise(run_in_loop(decided), LABELS)


def test_the_chosen_rule_has_the_fewest_rounds_within_the_allowed_loss():
    bundle = shipped_bundle("unlayered")
    chosen = with_stop_rules(bundle, SAMPLES, seed=0, loss=0.02)
    stored = {name: chosen.meta[f"until_validation_{name}"] for name in ("accuracy", "rounds")}
    measured = run(bundle, chosen.meta["until"])
    assert (measured.accuracy, measured.rounds_per_sample) == (stored["accuracy"], stored["rounds"])
    assert measured.spikes_per_sample == chosen.meta["until_validation_spikes"]
    min_accuracy = run(bundle, "quiet").accuracy - 0.02
    assert measured.accuracy >= min_accuracy - 1e-9
    for until in CANDIDATES:
        other = run(bundle, until)
        assert other.accuracy < min_accuracy or other.rounds_per_sample >= stored["rounds"]


def test_samples_that_a_recording_cannot_hold_are_left_out_of_the_choice(monkeypatch):
    bundle = shipped_bundle("unlayered")
    half = with_stop_rules(bundle, SAMPLES[:20], seed=0, loss=0.0)
    network = Network(bundle)
    recorder = network.recorder()
    run_in_loop(decide_samples(network, SAMPLES, range(20), 0, recorder))
    # It has room for 20 of the 80 samples, but not for 40.
    room = 3 * sum(array.nbytes for _, array in recorder.finish().arrays()) // 2
    monkeypatch.setattr(Network, "recorder", lambda self: Recorder(bundle, self.settings, room))
    assert with_stop_rules(bundle, SAMPLES, seed=0, loss=0.0) == half
    monkeypatch.setattr(Network, "recorder", lambda self: Recorder(bundle, self.settings, 100))
    with pytest.raises(LimitError, match="the recording would have"):
        with_stop_rules(bundle, SAMPLES, seed=0, loss=0.0)


def test_a_sample_that_exceeds_a_limit_is_not_left_out_of_the_choice(monkeypatch):
    tried = []

    async def fail(bundle, samples, seed):
        tried.append(len(samples))
        raise PassLimitError("too many passes")

    monkeypatch.setattr("neuroasync.train.recipes.stop_rule_search._record", fail)
    with pytest.raises(PassLimitError):
        with_stop_rules(shipped_bundle("unlayered"), SAMPLES, seed=0, loss=0.0)
    assert tried == [len(SAMPLES)]


def test_choosing_a_rule_adds_calibrations_and_changes_nothing_else():
    bundle = shipped_bundle("queued")
    chosen = with_stop_rules(bundle, SAMPLES, seed=0, loss=0.0)
    assert replace(chosen, calibration=(), meta=bundle.meta) == replace(bundle, calibration=())
    for calibration in chosen.calibration:
        assert (calibration.policy, calibration.samples) == (bundle.policy, 80)
        measured = run(chosen, f"confidence({calibration.accuracy})")
        assert measured.accuracy == calibration.measured >= calibration.accuracy
    assert np.all(np.diff([c.accuracy for c in chosen.calibration]) > 0)
