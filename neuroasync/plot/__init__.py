"""Figures of spikes, decision latency and cost.

This package needs matplotlib, which the extra ``viz`` installs. Figures are drawn off screen: no
window opens, and the global state of matplotlib does not change.
"""

from neuroasync.plot.canvas import save_png
from neuroasync.plot.comparison import plot_comparison
from neuroasync.plot.costs import AnytimeRun, plot_anytime, plot_density, plot_group_sizes
from neuroasync.plot.decisions import DecisionPanel, plot_decisions, rounds_of
from neuroasync.plot.latency import plot_latency
from neuroasync.plot.rasters import RasterPanel, decided_at, raster, steps_of
from neuroasync.plot.stress import plot_stress

__all__ = [
    "AnytimeRun",
    "DecisionPanel",
    "RasterPanel",
    "decided_at",
    "plot_anytime",
    "plot_comparison",
    "plot_decisions",
    "plot_density",
    "plot_group_sizes",
    "plot_latency",
    "plot_stress",
    "raster",
    "rounds_of",
    "save_png",
    "steps_of",
]
