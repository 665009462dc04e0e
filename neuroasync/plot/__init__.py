"""Pictures: who fires when under which order, how soon samples are decided, at what cost.

Needs matplotlib, the extra ``viz``. Figures are drawn off screen; no window is
opened and no global state of matplotlib is touched.
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
