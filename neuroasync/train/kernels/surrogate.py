"""Derivatives that stand in for the spike's, by number; a is the slope, x = v - threshold.

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
    """Surrogate derivative at ``x`` above threshold; all float32."""
    one = np.float32(1.0)
    if kind == ARCTAN:
        scaled = slope * x
        return one / (one + scaled * scaled)
    if kind == FAST_SIGMOID:
        scaled = one + slope * abs(x)
        return one / (scaled * scaled)
    # exp of what is not positive cannot overflow; the derivative is even.
    e = np.exp(-abs(slope * x))
    return slope * e / ((one + e) * (one + e))
