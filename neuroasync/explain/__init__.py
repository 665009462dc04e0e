"""Explain a spike: which inputs, biases and resets contributed to the membrane potential."""

from neuroasync.explain.attribution import Contribution, Place, SpikeAttribution
from neuroasync.explain.explanation import Explanation, deciding_spike, explain

__all__ = ["Contribution", "Explanation", "Place", "SpikeAttribution", "deciding_spike", "explain"]
