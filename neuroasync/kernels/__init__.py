"""Compiled kernels: every arithmetic step of a forward pass, once, for every engine.

The coroutine engine calls them one by one; the compiled engine and the trainer call
:func:`neuroasync.kernels.advance.advance`, which is made of the same functions.

    jit        the decorator of them all
    layout     which column of which array holds what
    order      counter-based order keys
    sorting    heaps of positions
    fire       decay, bias, integrate and fire, late firing
    pending    admit who fired, choose who goes next, take them
    arrivals   the input group, and spikes in flight on delayed connections
    decide     votes and stop rules
    advance    the whole loop of a sample
"""
