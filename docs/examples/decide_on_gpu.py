"""Decide a data set on a GPU, or on all cores without one. Needs the extra ``train``."""

from neuroasync import train
from neuroasync.shipped import shipped_bundle, shipped_spikes

samples = shipped_spikes("digits")
decisions = train.decide_all(shipped_bundle("unlayered"), samples, until="margin(3)")
right = sum(d.label == label for d, label in zip(decisions, samples.labels, strict=True))
print(f"{right / len(samples):.1%} right after {sum(d.rounds for d in decisions)} rounds")
