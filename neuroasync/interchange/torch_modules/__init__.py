"""Trained torch modules as networks: tracing, linear maps, spiking layers and reference runs."""
