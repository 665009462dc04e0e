"""Measure one network in many orders, and keep the result in its bundle."""

from dataclasses import replace

import neuroasync as na
from neuroasync.metrics import compare_modes
from neuroasync.shipped import shipped_bundle, shipped_spikes

bundle, samples = shipped_bundle("unlayered"), shipped_spikes()[:100]
compared = compare_modes(
    bundle, samples, "layer-sync; random F=1,8 prioritised,queued; fifo F=8", orders=5
)
for mode, runs in compared.by_mode():
    accuracies = [run.summary.accuracy for run in runs]
    lowest, highest = min(accuracies), max(accuracies)
    print(f"{mode.name:10} F={mode.group_size} {mode.input:11} {lowest:.0%} to {highest:.0%} right")
certificate = compared.certificate
print(f"{certificate.orders} orders: worst {certificate.worst:.0%}, mean {certificate.mean:.1%}")
print(f"right in every order: {certificate.always:.0%}")
na.write_bundle(replace(bundle, certificate=certificate), "certified.nab")
