"""Inner loops of the backward pass that are written as LLVM vector code.

They use the building blocks of :mod:`neuroasync.core.kernels.vectors.lanes`. Written by hand, the
order of all additions is the same on every processor. Products and sums are fused if the processor
can fuse them.
"""
