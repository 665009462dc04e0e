"""Tables that describe a bundle."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import RenderableType

from neuroasync.cli.output import format_number
from neuroasync.cli.tables import table
from neuroasync.core.engine.stop_rules import short_rule
from neuroasync.core.formats.bundle import Bundle, Calibration, PolicySpec, dump_bundle
from neuroasync.core.model.connections import Connection, Conv2d, Dense

__all__ = [
    "bundle_facts",
    "bundle_json",
    "calibration_json",
    "calibration_table",
    "connection_table",
    "policy_text",
    "population_table",
]


def bundle_facts(bundle: Bundle) -> list[tuple[str, object]]:
    """Return names and values that describe a bundle."""
    model, policy = bundle.model, bundle.policy
    noise = f", noise {policy.noise}" if policy.noise else ""
    steps = f"{model.timestep_us:,} µs" if model.timestep_us else "one pass per timestamp"
    pairs: list[tuple[str, object]] = [
        ("size", f"{len(dump_bundle(bundle)):,} bytes"),
        ("sha256", bundle.digest.hex()),
        ("trained for", policy_text(policy) + noise),
        ("input", f"{_shape(model.input_shape)} = {model.input_size:,} indices"),
        ("timestep", steps),
        ("neurons", f"{model.size:,}"),
        ("parameters", f"{model.parameters:,} (weights and biases)"),
        ("output", model.output),
        ("golden samples", len(bundle.golden)),
    ]
    if bundle.classes is not None:
        pairs.append(("classes", ", ".join(bundle.classes)))
    return pairs


def bundle_json(bundle: Bundle) -> dict[str, Any]:
    """Return what a bundle contains, without weights."""
    model = bundle.model
    return {
        "sha256": bundle.digest.hex(),
        "bytes": len(dump_bundle(bundle)),
        "policy": asdict(bundle.policy),
        "input": list(model.input_shape),
        "timestep_us": model.timestep_us,
        "neurons": model.size,
        "parameters": model.parameters,
        "output": model.output,
        "classes": None if bundle.classes is None else list(bundle.classes),
        "golden": len(bundle.golden),
        "populations": [
            {
                "name": p.name,
                "shape": list(p.shape),
                "rank": rank,
                "tau_mem_us": _range_json(p.neuron.tau_mem_us),
                "v_threshold": _range_json(p.neuron.v_threshold),
                "reset": p.neuron.reset,
                "refractory": p.neuron.refractory,
                "sync_threshold": p.neuron.sync_threshold,
            }
            for p, rank in zip(model.populations, model.ranks, strict=True)
        ],
        "connections": [
            {
                "source": c.source,
                "target": c.target,
                "kind": _kind(c),
                "weight": list(c.weight.shape),
                "bias": c.bias is not None,
                "delay_us": c.delay_us,
            }
            for c in model.connections
        ],
        "calibration": [calibration_json(c) for c in bundle.calibration],
        "meta": dict(bundle.meta),
    }


def calibration_json(calibration: Calibration) -> dict[str, Any]:
    """Return what a calibration promises, and how that was measured."""
    return asdict(calibration) | {"until": f"confidence({calibration.accuracy})"}


def _range_json(value: float | NDArray[np.float32]) -> float | list[float] | None:
    """Return one number, or [minimum, maximum] if they differ. JSON has no infinity: null."""
    low, high = (float(x) if np.isfinite(x) else None for x in (np.min(value), np.max(value)))
    return low if low == high or low is None or high is None else [low, high]


def population_table(bundle: Bundle) -> RenderableType:
    """Return a table of the populations and their neuron parameters."""
    # Few networks have synchronizing populations, and the page is narrow.
    has_sync = any(p.neuron.sync_threshold for p in bundle.model.populations)
    rows = []
    for population, rank in zip(bundle.model.populations, bundle.model.ranks, strict=True):
        neuron = population.neuron
        row = [
                population.name, _shape(population.shape), f"{population.size:,}", rank,
                _range(neuron.tau_mem_us), _range(neuron.v_threshold), neuron.reset,
                "yes" if neuron.refractory else "no",
            ]  # fmt: skip
        rows.append([*row, neuron.sync_threshold or "-"] if has_sync else row)
    titles = [
        "population", "shape", "neurons", "rank", "tau_mem µs", "threshold", "reset", "refractory",
    ]  # fmt: skip
    return table(titles + ["sync"] * has_sync, rows, numbers=(2, 3, 4, 5, 8))


def connection_table(bundle: Bundle) -> RenderableType:
    """Return a table of the connections."""
    rows = [
        (
            f"{c.source} → {c.target}", _kind(c), _shape(c.weight.shape),
            "yes" if c.bias is not None else "no", format_number(c.delay_us),
            f"{c.weight.size + (0 if c.bias is None else c.bias.size):,}",
        )
        for c in bundle.model.connections
    ]  # fmt: skip
    titles = ("connection", "kind", "weight", "bias", "delay µs", "parameters")
    return table(titles, rows, numbers=(4, 5))


def policy_text(policy: PolicySpec) -> str:
    """Return an ordering policy with its group size and input mode."""
    return f"{policy.name}, F = {policy.group_size}, {policy.input} input"


def _kind(connection: Connection) -> str:
    if isinstance(connection, Dense):
        return "dense"
    return "conv2d" if isinstance(connection, Conv2d) else "sparse"


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _range(value: float | NDArray[np.float32]) -> str:
    """Return one number, or the minimum and the maximum if they differ."""
    low, high = float(np.min(value)), float(np.max(value))
    return f"{low:,.6g}" if low == high else f"{low:,.4g} to {high:,.4g}"


def calibration_table(calibrations: Iterable[Calibration]) -> RenderableType:
    """Return a table of what each calibration promises and how that was measured."""
    titles = ("calibrated", "error", "measured", "samples", "order", "stop rule")
    rows = [
        (
            f"confidence({c.accuracy})", f"{c.error:.3f}", f"{c.measured:.3f}", f"{c.samples:,}",
            policy_text(c.policy), short_rule(c.until),
        )
        for c in calibrations
    ]  # fmt: skip
    return table(titles, rows, numbers=(1, 2, 3))
