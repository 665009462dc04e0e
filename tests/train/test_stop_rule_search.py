"""Choosing stop rules: one run of the validation samples answers for all of them."""

from dataclasses import replace

import numpy as np

from neuroasync.cli.decide_samples import decide_samples, run_in_loop
from neuroasync.datasets import load_dataset
from neuroasync.metrics import summarise
from neuroasync.runtime.network import Network
from neuroasync.shipped import shipped_bundle
from neuroasync.train.stop_rule_search import CANDIDATES, with_stop_rules

SAMPLES = load_dataset("digits").validation[:80]
LABELS = SAMPLES.labels.tolist()


def run(bundle, until):
    network = Network(bundle, until=until)
    decided = decide_samples(network, SAMPLES, range(len(SAMPLES)), 0)
    return summarise(run_in_loop(decided), LABELS)


def test_the_rule_has_the_fewest_rounds_of_all_that_cost_no_more_than_they_may():
    bundle = shipped_bundle("unlayered")
    chosen = with_stop_rules(bundle, SAMPLES, seed=0, loss=0.02)
    said = {name: chosen.meta[f"until_validation_{name}"] for name in ("accuracy", "rounds")}
    found = run(bundle, chosen.meta["until"])
    assert (found.accuracy, found.rounds_per_sample) == (said["accuracy"], said["rounds"])
    assert found.spikes_per_sample == chosen.meta["until_validation_spikes"]
    least = run(bundle, "quiet").accuracy - 0.02
    assert found.accuracy >= least - 1e-9
    for until in CANDIDATES:
        other = run(bundle, until)
        assert other.accuracy < least or other.rounds_per_sample >= said["rounds"]


def test_the_bundle_is_calibrated_by_the_same_run_and_otherwise_as_it_was():
    bundle = shipped_bundle("queued")
    chosen = with_stop_rules(bundle, SAMPLES, seed=0, loss=0.0)
    assert replace(chosen, calibration=(), meta=bundle.meta) == replace(bundle, calibration=())
    for calibration in chosen.calibration:
        assert (calibration.policy, calibration.samples) == (bundle.policy, 80)
        found = run(chosen, f"confidence({calibration.accuracy})")
        assert found.accuracy == calibration.measured >= calibration.accuracy
    assert np.all(np.diff([c.accuracy for c in chosen.calibration]) > 0)
