"""Surrogate derivatives of the spike function, selected by an integer.

x = v - threshold is the distance of the membrane potential from the threshold; a is the slope.

======== ============================== =====================================================
number   derivative                     source
======== ============================== =====================================================
0        1 / (1 + (a x)^2)              arctangent: Fang et al., ICCV 2021, arXiv 2007.05785
1        1 / (1 + a |x|)^2              fast sigmoid: Zenke and Ganguli, SuperSpike, Neural
                                        Computation 30 (2018), arXiv 1705.11146
2        a s(a x) (1 - s(a x))          logistic s: Neftci, Mostafa and Zenke, IEEE Signal
                                        Processing Magazine 36 (2019), arXiv 1901.09948
======== ============================== =====================================================
"""

from typing import Final

import numpy as np

from neuroasync.core.kernels.jit import kernel

__all__ = ["ARCTAN", "FAST_SIGMOID", "SIGMOID", "derivative"]

ARCTAN: Final = 0
FAST_SIGMOID: Final = 1
SIGMOID: Final = 2


@kernel
def derivative(kind, slope, x):
    """Return the surrogate derivative at the distance ``x`` from the threshold, in float32."""
    one = np.float32(1.0)
    if kind == ARCTAN:
        scaled = slope * x
        return one / (one + scaled * scaled)
    if kind == FAST_SIGMOID:
        scaled = one + slope * abs(x)
        return one / (scaled * scaled)
    # The derivative is an even function, so -|x| gives the same value as x and cannot overflow.
    e = np.exp(-abs(slope * x))
    return slope * e / ((one + e) * (one + e))
