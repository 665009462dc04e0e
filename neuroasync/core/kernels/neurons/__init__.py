"""Kernels that change the state of neurons besides integration: pass starts, resets, decays."""
