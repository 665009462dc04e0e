"""Pictures: who fires when under which order, how soon samples are decided, at what cost.

Needs matplotlib, the extra ``viz``. Figures are drawn off screen; no window is
opened and no global state of matplotlib is touched.
"""

from neuroasync.plot._canvas import save_png
from neuroasync.plot.costs import AnytimeRun, plot_anytime, plot_density
from neuroasync.plot.latency import LatencyCurve, decision_latency, plot_latency
from neuroasync.plot.rasters import RasterPanel, raster

__all__ = [
    "AnytimeRun",
    "LatencyCurve",
    "RasterPanel",
    "decision_latency",
    "plot_anytime",
    "plot_density",
    "plot_latency",
    "raster",
    "save_png",
]
