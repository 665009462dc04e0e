"""Ring 0: what a forward pass computes. Synchronous; numpy and numba only."""
