"""The highest potential of each silent neuron in a pass, which the peak rule needs."""

from neuroasync.core.kernels.array_views import control_of, peaks_of
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import Control

__all__ = ["note_peak"]


@kernel
def note_peak(c, neuron, charge):
    """Store the potential if it is the highest of the pass at which the neuron stayed silent.

    The trainer takes the gradient of a silent neuron at that potential. A neuron that fired in
    the pass (step -2) has none.
    """
    control = control_of(c)
    peaks, steps = peaks_of(c)
    at = control[Control.PASS]
    if steps[at, neuron] != -2 and (steps[at, neuron] == -1 or charge > peaks[at, neuron]):
        peaks[at, neuron] = charge
        steps[at, neuron] = control[Control.STEP]
