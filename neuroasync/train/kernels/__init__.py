"""Compiled kernels of the trainer; they call those of the runtime, never the other way round.

========= ================================================================
surrogate derivatives that stand in for the spike's
forward   the runtime's loop over the samples of a chunk, keeping its record
sites     where the neurons of a pass have their surrogate sites
backward  the walk over a record in reverse
draws     gathering, shuffling and input dropout, by counter-based keys
========= ================================================================
"""
