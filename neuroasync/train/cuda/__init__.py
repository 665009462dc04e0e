"""The CUDA engine of the trainer: the event record on a GPU, with the runtime's spikes to the bit.

One block of threads runs one sample, with all its passes and forward steps, in one kernel; another
kernel visits the record in reverse. The CUDA C++ text in ``kernels/`` is compiled at run time.
"""
