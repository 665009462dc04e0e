"""Data-parallel training: several workers train one network, with the bits of one worker.

Every worker prepares the whole batch, so that all random numbers are drawn as on one worker, and
runs a contiguous share of its chunks. The workers then complete each other's results, compute the
loss of the whole batch, and run their shares backward. The gradients of the chunks are summed in
the order of the chunks, one worker after the other, and all workers take the same step.

Torch's ``DistributedDataParallel`` averages one gradient of each worker instead. The terms of its
sums, and with them the rounding errors, depend on the number of workers. It would also compute
means over a worker's part of the batch, where ours are over the whole batch.
"""
