"""Metrics of models and runs, with one definition each.

- :func:`summarise` computes accuracy, spikes, forward steps, rounds and latency from decisions.
- :func:`compare_modes` runs a network in many orders: the accuracy in the worst of them, its mean
  and its spread.
- :func:`order_dependence` computes from a recording how much of the delivered charge can make the
  order matter: inhibition, and what refractory neurons lose.
- :func:`stress_test` runs a network with lost spikes, inexact weights, other orders, delays and
  jitter: what each of them does to accuracy and cost.
- :func:`footprint` and :func:`connection_sparsity` describe a model; :func:`workload` and
  :func:`counted_workload` compute activation sparsity and synaptic operations of its runs. These
  five metrics follow NeuroBench.
- :func:`estimate_energy` estimates the energy that a chip would need for such counts.
- :func:`anytime_curve`, :func:`stop_points` and :func:`risk_coverage` compute from a recording how
  accurate earlier answers would have been.
- :func:`calibrate` and :func:`boldest_lead` compute from such a recording how early a network may
  stop and still be accurate; :func:`calibrate` also states a coverage guarantee.
  :func:`slowest_lead` finds the latest stop that stays within a share of the rounds.
- :func:`summarise_over_time` computes accuracy, confusion, latency and :func:`reliability` from
  decisions over time; :func:`calibrate_over_time` fits their confidence to validation samples.
"""

from neuroasync.metrics.anytime import AnytimeCurve, StopPoint, anytime_curve, stop_points
from neuroasync.metrics.calibration import boldest_lead, calibrate, slowest_lead
from neuroasync.metrics.energy import (
    CMOS_45NM,
    LOIHI,
    TRUENORTH,
    Chip,
    EnergyEstimate,
    estimate_energy,
)
from neuroasync.metrics.footprint import Footprint, connection_sparsity, footprint
from neuroasync.metrics.mean import Mean
from neuroasync.metrics.orders.mode_comparison import ComparedRun, ModeComparison, compare_modes
from neuroasync.metrics.orders.order_dependence import OrderDependence, order_dependence
from neuroasync.metrics.over_time import (
    Reliability,
    SummaryOverTime,
    calibrate_over_time,
    reliability,
    summarise_over_time,
)
from neuroasync.metrics.risk_coverage import RiskCoverage, risk_coverage
from neuroasync.metrics.stress.report import StressedRun, StressReport
from neuroasync.metrics.stress.stress_test import stress_test
from neuroasync.metrics.stress.stresses import (
    Stress,
    StressKind,
    default_stresses,
    parse_stresses,
)
from neuroasync.metrics.summary import Moment, Summary, spike_density, summarise
from neuroasync.metrics.workload import Workload, counted_workload, workload

__all__ = [
    "CMOS_45NM",
    "LOIHI",
    "TRUENORTH",
    "AnytimeCurve",
    "Chip",
    "ComparedRun",
    "EnergyEstimate",
    "Footprint",
    "Mean",
    "ModeComparison",
    "Moment",
    "OrderDependence",
    "Reliability",
    "RiskCoverage",
    "StopPoint",
    "Stress",
    "StressKind",
    "StressReport",
    "StressedRun",
    "Summary",
    "SummaryOverTime",
    "Workload",
    "anytime_curve",
    "boldest_lead",
    "calibrate",
    "calibrate_over_time",
    "compare_modes",
    "connection_sparsity",
    "counted_workload",
    "default_stresses",
    "estimate_energy",
    "footprint",
    "order_dependence",
    "parse_stresses",
    "reliability",
    "risk_coverage",
    "slowest_lead",
    "spike_density",
    "stop_points",
    "stress_test",
    "summarise",
    "summarise_over_time",
    "workload",
]
