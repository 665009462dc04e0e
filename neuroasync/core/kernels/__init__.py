"""Compiled kernels: all arithmetic of a forward pass, shared by the engines and the trainer.

=================== =============================================================================
entry_points        the kernels that Python calls, given the address of a context
forward_pass        the forward pass as a state machine, which both engines and the trainer run
turns               the turns of populations under layer-sync
sample_start        the start of a sample
spontaneous_firing  neurons that fire without being reached
training            what a backward pass needs to know: peaks of potentials, and a log of turns
pending_spikes      enqueueing and counting spikes, opening the next group
delivery            moving the selected spikes to a group, and delivery to their targets
integrate_and_fire  the equations of neurons; integration and threshold
neurons             starts of passes, resets, and variables that few neurons have
decay               lazy decay of membrane potentials
voting              votes and stop rules
order_keys          counter-based order keys
selection           the ordering policies, which select the next group
smallest_keys       the k smallest of n keys, in order
messages            reading of binary messages with events
vectors             vectorised inner loops: integration, and the order of few keys
array_views         arrays from the addresses in a context
layout              the context, and the columns of all arrays
jit                 the decorator of all kernels
=================== =============================================================================
"""
