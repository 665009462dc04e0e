"""Kernels that deliver spike events: input, spikes whose delay ends, and groups over synapses."""
