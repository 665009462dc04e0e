"""Measure what lost spikes, inexact weights and delays do to a network."""

from neuroasync.metrics import stress_test
from neuroasync.shipped import shipped_bundle, shipped_spikes

bundle, samples = shipped_bundle("unlayered"), shipped_spikes()[:100]
report = stress_test(
    bundle, samples, "input-loss 0.2,0.4; weight-noise 0.4; weight-bits 4,3; jitter 2ms", seeds=3
)
for stress, _ in report.by_stress():
    accuracy = report.mean(stress, "accuracy")
    rounds = report.mean(stress, "rounds_per_sample")
    name = "no stress" if stress is None else str(stress)
    share = f"{accuracy.value:.1%} ± {accuracy.error:.1%}"
    print(f"{name:16} {share} right, {rounds.value:.1f} rounds")
