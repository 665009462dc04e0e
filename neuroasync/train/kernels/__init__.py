"""Compiled kernels of the trainer. They call the runtime's kernels, never the reverse.

============== =====================================================================
surrogate      surrogate derivatives of the spike function
forward        forward passes of a chunk of samples, with their event record
backward_turns the backward pass under layer-sync: backpropagation through time
backward       the backward pass under any other policy, by the peak rule
sites          where the neurons of a pass have their surrogate sites, by the peak rule
silences       visits of the sites of neurons that did not fire
accumulate     products of weights, spikes and adjoints for each kind of connection
runs           the deliveries of a sample in runs of one step and one origin
vectors        inner loops of the backward pass as LLVM vector code
pass_losses    the cross-entropy of the passes of a batch, and its gradient
batch_checks   the check of a batch, before kernels index memory with its values
random_draws   gathering of samples, shuffling and input dropout from counter-based keys
============== =====================================================================
"""
