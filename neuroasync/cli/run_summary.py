"""The summary of ``neuroasync run``, as a table or as JSON."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import RenderableType

from neuroasync.cli.output import format_duration, format_number
from neuroasync.cli.tables import key_value_table, table
from neuroasync.core.engine.policies import policy_name
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.formats.npz import write_arrays
from neuroasync.core.model.model import Model
from neuroasync.errors import NeuroasyncError
from neuroasync.metrics import Summary, SummaryOverTime, Workload, connection_sparsity, footprint
from neuroasync.runtime.over_time.decisions import DecisionsOverTime

__all__ = [
    "confusion_table",
    "neurobench_json",
    "over_time_json",
    "summary_table",
    "write_decisions",
]

_LINES: Final = {
    "accuracy": ("accuracy", "%"),
    "undecided": ("no label", "samples"),
    "spikes_per_sample": ("spikes", "per sample"),
    "steps_per_sample": ("forward steps", "per sample"),
    "rounds_per_sample": ("rounds of F", "per sample"),
    "spikes_to_decision": ("spikes to decision", "(samples with a label)"),
    "rounds_to_decision": ("rounds to decision", "(samples with a label)"),
    "spikes_to_first": ("spikes to 1st output", ""),
    "rounds_to_first": ("rounds to 1st output", ""),
    "synops_per_sample": ("synaptic ops", "per sample"),
}
"""The title and the unit of each line of the table, by the key of its value in JSON."""
_MAX_CLASSES: Final = 12
"""Largest number of classes whose confusion is shown as a table."""


class _DecisionsFileError(NeuroasyncError):
    """A file of decisions cannot be written."""


def neurobench_json(model: Model, work: Workload) -> dict[str, Any]:
    """Return the metrics of NeuroBench under its names.

    Some are None unless the run was recorded (``--record``).
    """
    return {
        "stopped": work.stopped,
        "neurobench": {
            "footprint": footprint(model).total,
            "parameter_count": model.parameters,
            "connection_sparsity": connection_sparsity(model),
            "activation_sparsity": work.activation_sparsity,
            "synaptic_operations": {
                "effective_macs": work.effective_macs,
                "effective_acs": work.effective_acs,
                "dense": work.dense,
            },
        },
    }


def summary_table(
    settings: RunSettings,
    summary: Summary,
    record: Path | None,
    timeline: SummaryOverTime | None = None,
) -> RenderableType:
    """Return a table of the settings and the summary of a run.

    With labels over time, the summary over time replaces the lines about the decisions on whole
    samples.
    """
    values = summary.to_json()
    description = (
        f"{policy_name(settings.policy)}, F = {settings.group_size}, {settings.input} input, "
        f"until {settings.until}"
    )
    pairs: list[tuple[str, object]] = [("run", description), ("samples", values["samples"])]
    lines = _LINES
    if timeline is not None:
        pairs += _over_time_pairs(timeline)
        lines = {key: line for key, line in _LINES.items() if key.endswith("_per_sample")}
    pairs += [(title, format_number(values[key], unit)) for key, (title, unit) in lines.items()]
    latency = values["latency_ms"]
    p50, p99 = (format_duration(latency[key]) for key in ("p50", "p99"))
    per = "decision" if timeline is None else "sample"
    pairs.append(("latency", f"{p50} median, {p99} 99th percentile (wall time per {per})"))
    if record is not None:
        pairs.append(("recorded in", record))
    return key_value_table(pairs)


def _over_time_pairs(summary: SummaryOverTime) -> list[tuple[str, object]]:
    """Return the lines of a summary over time, as titles and values."""
    ends = f"{summary.followed} of {summary.changes} followed"
    p50, p90 = (format_duration(v) for v in (summary.latency_ms_p50, summary.latency_ms_p90))
    return [
        ("labelled intervals", format_number(summary.intervals)),
        ("accuracy", f"{format_number(summary.accuracy, '%')} of the intervals"),
        ("accuracy by sample", f"{format_number(summary.sample_accuracy, '%')} (mean)"),
        ("balanced accuracy", f"{format_number(summary.balanced_accuracy, '%')} (mean of classes)"),
        ("no label", format_number(summary.undecided, "intervals")),
        ("changes of the class", ends),
        ("latency after a change", f"{p50} median, {p90} 90th percentile"),
        ("calibration error", format_number(summary.reliability.error, "%")),
    ]


def over_time_json(
    summary: SummaryOverTime, decisions: Sequence[DecisionsOverTime]
) -> dict[str, Any]:
    """Return the summary over time, and the decisions on each sample, for JSON."""
    each = [{"labels": d.labels.tolist(), "confidence": d.confidence.tolist()} for d in decisions]
    return {"accuracy": summary.accuracy, "over_time": summary.to_json() | {"decisions": each}}


def confusion_table(summary: SummaryOverTime, classes: Sequence[str] | None) -> RenderableType:
    """Return the share of the decisions on each class, in percent of its intervals.

    With many classes, only the share of right decisions is listed.
    """
    count = len(summary.confusion)
    names = list(classes or map(str, range(count)))
    rows = summary.confusion / np.maximum(summary.confusion.sum(1, keepdims=True), 1)
    if count > _MAX_CLASSES:
        right = [(name, f"{100 * rows[k, k]:.0f}") for k, name in enumerate(names)]
        return table(["class", "right, %"], right, numbers=[1])
    cells = [[name, *(f"{100 * v:.0f}" for v in rows[k])] for k, name in enumerate(names)]
    titles = ["class, decided as %", *names, "no label"]
    return table(titles, cells, numbers=range(1, count + 2))


def write_decisions(decisions: Sequence[DecisionsOverTime], path: Path) -> None:
    """Write the decisions on all samples to an ``.npz`` file, atomically.

    Its arrays are ``labels`` i64[intervals] (-1: no decision), ``confidence`` f64[intervals],
    ``offsets`` i64[samples + 1] and ``every_us`` i64[1].

    Raises:
        NeuroasyncError: The file system refuses.
    """
    arrays = {
        "labels": np.concatenate([d.labels for d in decisions]).astype("<i8"),
        "confidence": np.concatenate([d.confidence for d in decisions]).astype("<f8"),
        "offsets": np.cumsum([0, *map(len, decisions)]).astype("<i8"),
        "every_us": np.array([decisions[0].every_us], "<i8"),
    }
    write_arrays(path, arrays, _DecisionsFileError)
