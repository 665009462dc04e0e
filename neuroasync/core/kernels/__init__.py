"""Compiled kernels: every arithmetic step of a forward pass, once, for every engine.

entry      what Python calls
forward_pass  the forward pass as a state machine, which both engines and the trainer run
arrivals   the input group, and spikes in flight on delayed connections
pending    admit who fired, choose who goes next, take them
deliver    what a group adds to the current of its targets
fire       bias, integrate and fire, late firing
decay      of membrane potentials, when somebody looks
decide     votes and stop rules
order      counter-based order keys
sorting    the smallest of many, in order
vectors    the inner loops of dense connections
memory     the arrays that a context tells the addresses of
layout     the context, and which column of which array holds what
jit        the decorator of them all
"""
