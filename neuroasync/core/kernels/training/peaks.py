"""The highest potential of each silent neuron in a pass, which the peak rule needs."""

import numpy as np

from neuroasync.core.kernels.array_views import (
    control_of,
    f32_at,
    fired_of,
    i32_at,
    peaks_of,
    potentials_of,
)
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import Context, Control

__all__ = ["note_peak", "note_peaks"]


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


@kernel
def note_peaks(c, start, stop, fires):
    """Note the spikes, and the peaks of the silent neurons, of a population that integrated whole.

    Args:
        c: the context.
        start, stop: its first neuron, and the one behind its last.
        fires: how many of them fired in this step; ``fired`` lists them.
    """
    control, fired, n = control_of(c), fired_of(c), stop - start
    row = 4 * (control[Control.PASS] * c[Context.NEURONS] + start)
    peaks, steps = f32_at(c[Context.PEAKS] + row, n), i32_at(c[Context.PEAK_STEPS] + row, n)
    v, now = f32_at(potentials_of(c).ctypes.data + 4 * start, n), np.int32(control[Control.STEP])
    for k in range(fires):
        steps[fired[start + k] - start] = -2
    for i in range(n):  # selections instead of branches, so that the compiler makes vector code
        x, peak, step = v[i], peaks[i], steps[i]
        is_peak = (step != -2) & ((step == -1) | (x > peak))
        peaks[i] = x if is_peak else peak
        steps[i] = now if is_peak else step
