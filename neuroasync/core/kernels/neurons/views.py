"""Views of the arrays that only networks with certain neurons have.

:mod:`neuroasync.core.kernels.array_views` has those that every network has.
"""

import numpy as np
from numba import carray

from neuroasync.core.kernels.array_views import thresholds_of
from neuroasync.core.kernels.intrinsics import pointer_at
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import Context, Dynamics, ExtraState, Populations

__all__ = ["dynamics_of", "extra_state_of", "readout_of", "threshold_at"]


@kernel
def dynamics_of(c):
    """Return the table ``Dynamics``: f64[6, N].

    Exists only if a population has a feature of it.
    """
    return carray(pointer_at(c[Context.DYNAMICS]), (len(Dynamics), c[Context.NEURONS]), np.float64)


@kernel
def extra_state_of(c):
    """Return the table ``ExtraState``: f32[3, N].

    Exists only if ``context[EXTRA_STATE_AT]`` is not -1.
    """
    shape = (len(ExtraState), c[Context.NEURONS])
    return carray(pointer_at(c[Context.SESSION] + c[Context.EXTRA_STATE_AT]), shape, np.float32)


@kernel
def readout_of(c):
    """Return the potentials of the output at the end of the sample: f32[classes].

    Exists only if ``context[READOUT_AT]`` is not -1.
    """
    return carray(
        pointer_at(c[Context.SESSION] + c[Context.READOUT_AT]), c[Context.CLASSES], np.float32
    )


@kernel
def threshold_at(c, row, neuron):
    """Return the threshold of a neuron, f32, whose adaptation has decayed up to this pass.

    Args:
        c: the context.
        row: i64[26], the row of its population.
        neuron: network-wide index.
    """
    threshold = thresholds_of(c)[neuron]
    if row[Populations.ADAPTS]:
        threshold += extra_state_of(c)[ExtraState.ADAPTATION, neuron]
    return threshold
