"""Figures of spikes, decision latency and cost.

This package needs matplotlib, which the extra ``viz`` installs. Figures are drawn off screen: no
window opens, and the global state of matplotlib does not change.
"""

from neuroasync.plot.canvas import save_png
from neuroasync.plot.costs import AnytimeRun, plot_anytime, plot_density, plot_group_sizes
from neuroasync.plot.latency import LatencyCurve, decision_latency, plot_latency
from neuroasync.plot.rasters import RasterPanel, decided_at, raster, steps_of

__all__ = [
    "AnytimeRun",
    "LatencyCurve",
    "RasterPanel",
    "decided_at",
    "decision_latency",
    "plot_anytime",
    "plot_density",
    "plot_group_sizes",
    "plot_latency",
    "raster",
    "save_png",
    "steps_of",
]
