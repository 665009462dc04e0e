"""Train time constants and thresholds along with the weights. Needs the extra ``train``."""

import numpy as np

import neuroasync as na
from neuroasync.datasets import load_dataset
from neuroasync.train import TrainConfig, export_bundle, fit

model = na.parse_topology("timestep_us=1000 decay=0.9; input 8x8; hidden d32; output d10")
config = TrainConfig(epochs=1, learn="tau_mem,threshold", learn_per="neuron", loss="final")
digits = load_dataset("digits")
fitted = fit(model, digits.train, config, validation=digits.validation)
na.write_bundle(export_bundle(fitted, digits.validation), "learned.nab")
for population in fitted.model.populations:
    taus_us = np.ravel(population.neuron.tau_mem_us)
    print(f"{population.name}: time constants from {taus_us.min():.0f} to {taus_us.max():.0f} µs")
