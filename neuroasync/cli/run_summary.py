"""The summary of ``neuroasync run``, as a table or as JSON."""

from pathlib import Path
from typing import Any, Final

from rich.console import RenderableType

from neuroasync.cli.output import format_duration, format_number
from neuroasync.cli.tables import key_value_table
from neuroasync.core.engine.policies import policy_name
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.model.model import Model
from neuroasync.metrics import Summary, Workload, connection_sparsity, footprint

__all__ = ["neurobench_json", "summary_table"]

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


def summary_table(settings: RunSettings, summary: Summary, record: Path | None) -> RenderableType:
    """Return a table of the settings and the summary of a run."""
    values = summary.to_json()
    description = (
        f"{policy_name(settings.policy)}, F = {settings.group_size}, {settings.input} input, "
        f"until {settings.until}"
    )
    pairs: list[tuple[str, object]] = [("run", description), ("samples", values["samples"])]
    pairs += [(title, format_number(values[key], unit)) for key, (title, unit) in _LINES.items()]
    latency = values["latency_ms"]
    p50, p99 = (format_duration(latency[key]) for key in ("p50", "p99"))
    pairs.append(("latency", f"{p50} median, {p99} 99th percentile (wall time per decision)"))
    if record is not None:
        pairs.append(("recorded in", record))
    return key_value_table(pairs)
