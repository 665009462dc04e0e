"""Ring 0: the computation of a forward pass. Synchronous; it uses numpy and numba only."""
