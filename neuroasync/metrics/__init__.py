"""What a network is and what its runs cost: the field's numbers, with one definition each.

- :func:`summarise`: accuracy, spikes, forward steps, rounds, latency, from decisions.
- :func:`footprint`, :func:`connection_sparsity`: of a model; :func:`workload` and
  :func:`counted_workload`: activation sparsity and synaptic operations of its runs. These five are
  NeuroBench's.
- :func:`estimate_energy`: joules of a chip, from such counts.
- :func:`anytime_curve`, :func:`stop_points`, :func:`risk_coverage`: how good an earlier answer
  would have been, from a recording.
- :func:`calibrate`, :func:`boldest_lead`: how early a network may stop if it is to stay right, from
  such a recording; the former with a promise. :func:`slowest_lead`: how late, if it is to spend no
  more than a share of its rounds.
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
from neuroasync.metrics.risk_coverage import RiskCoverage, risk_coverage
from neuroasync.metrics.summary import Moment, Summary, spike_density, summarise
from neuroasync.metrics.workload import Workload, counted_workload, workload

__all__ = [
    "CMOS_45NM",
    "LOIHI",
    "TRUENORTH",
    "AnytimeCurve",
    "Chip",
    "EnergyEstimate",
    "Footprint",
    "Moment",
    "RiskCoverage",
    "StopPoint",
    "Summary",
    "Workload",
    "anytime_curve",
    "boldest_lead",
    "calibrate",
    "connection_sparsity",
    "counted_workload",
    "estimate_energy",
    "footprint",
    "risk_coverage",
    "slowest_lead",
    "spike_density",
    "stop_points",
    "summarise",
    "workload",
]
