"""Tables that describe a bundle."""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
from rich.console import RenderableType

from neuroasync.cli.output import format_number
from neuroasync.cli.tables import table
from neuroasync.core.engine.stop_rules import short_rule
from neuroasync.core.formats.bundle import (
    Bundle,
    Calibration,
    OrderCertificate,
    PolicySpec,
    dump_bundle,
)
from neuroasync.core.formats.orders.run_modes import mode_text
from neuroasync.core.model.connections import Connection, Pool
from neuroasync.core.model.neurons import LIF, Neuron, Parameter
from neuroasync.core.quantity import quantity

__all__ = [
    "bundle_facts",
    "bundle_json",
    "calibration_json",
    "calibration_table",
    "certificate_json",
    "certificate_pairs",
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
        ("input", _input(bundle)),
        ("timestep", steps),
        ("samples last", _duration(bundle)),
        ("neurons", f"{model.size:,}"),
        ("parameters", f"{model.parameters:,} (weights and biases)"),
        ("output", model.output),
        ("golden samples", len(bundle.golden)),
    ]
    if (window := bundle.vote_window) is not None:
        text = f"{window.duration_us:,} µs, scale {window.scale:.4g} (decisions over time)"
        pairs.append(("vote window", text))
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
        "duration_us": bundle.duration_us,
        "vote_window": None if bundle.vote_window is None else asdict(bundle.vote_window),
        "neurons": model.size,
        "parameters": model.parameters,
        "output": model.output,
        "classes": None if bundle.classes is None else list(bundle.classes),
        "golden": len(bundle.golden),
        "populations": [
            {"name": p.name, "shape": list(p.shape), "rank": rank} | _neuron_json(p.neuron)
            for p, rank in zip(model.populations, model.ranks, strict=True)
        ],
        "connections": [
            {
                "source": c.source,
                "target": c.target,
                "kind": c.kind,
                "weight": None if isinstance(c, Pool) else list(c.weight.shape),
                "bias": c.bias is not None,
                "delay_us": c.delay_us,
            }
            for c in model.connections
        ],
        "calibration": [calibration_json(c) for c in bundle.calibration],
        "certificate": None if bundle.certificate is None else certificate_json(bundle.certificate),
        "meta": dict(bundle.meta),
    }


def calibration_json(calibration: Calibration) -> dict[str, Any]:
    """Return what a calibration promises, and how that was measured."""
    return asdict(calibration) | {"until": f"confidence({calibration.accuracy})"}


def certificate_json(certificate: OrderCertificate) -> dict[str, Any]:
    """Return the accuracy in sampled orders, and what was sampled."""
    mode, seed = certificate.worst_order
    return {
        "worst": certificate.worst,
        "worst_order": {"policy": asdict(mode), "seed": seed},
        "mean": certificate.mean,
        "spread": certificate.spread,
        "always": certificate.always,
        "orders": certificate.orders,
        "samples": certificate.samples,
        "samples_sha256": certificate.samples_sha256.hex(),
        "first": certificate.first,
        "seed": certificate.seed,
        "until": certificate.until,
        "modes": [
            {"policy": asdict(entry.mode), "weight": entry.weight, "correct": list(entry.correct)}
            for entry in certificate.modes
        ],
    }


def certificate_pairs(certificate: OrderCertificate) -> list[tuple[str, object]]:
    """Return names and values of the accuracy in sampled orders, and what was sampled."""
    mode, seed = certificate.worst_order
    most = max(len(entry.correct) for entry in certificate.modes)
    seeds = f"seeds {certificate.seed} to {certificate.seed + most - 1}"
    if most == 1:
        seeds = f"seed {certificate.seed}"
    last = certificate.first + certificate.samples
    return [
        ("worst order", f"{certificate.worst:.1%} right ({mode_text(mode)}, seed {seed})"),
        ("mean", f"{certificate.mean:.1%} right"),
        ("spread", f"{100 * certificate.spread:.1f} points from the worst to the best order"),
        ("in every order", f"{certificate.always:.1%} right"),
        ("sampled", f"{quantity(certificate.orders, 'order')}: "
         f"{quantity(len(certificate.modes), 'run mode')}, {seeds}"),
        ("samples", f"{certificate.first}:{last}, until {short_rule(certificate.until)}"),
    ]  # fmt: skip


def _neuron_json(neuron: Neuron) -> dict[str, Any]:
    """Return the parameters of neurons, with null for what they do not have."""
    adaptation = neuron.adaptation
    return {
        "model": "lif" if isinstance(neuron, LIF) else "li",
        "tau_mem_us": _range_json(neuron.tau_mem_us),
        "v_threshold": _range_json(neuron.v_threshold),
        "reset": neuron.reset,
        "reset_delayed": neuron.reset_delayed,
        "reset_amount": _range_json(neuron.reset_amount),
        "refractory": neuron.refractory,
        "sync_threshold": neuron.sync_threshold,
        "tau_syn_us": _range_json(neuron.tau_syn_us),
        "adaptation": None if adaptation is None else {
            "tau_us": _range_json(adaptation.tau_us),
            "increment": _range_json(adaptation.increment),
        },
    }  # fmt: skip


def _range_json(value: Parameter | None) -> float | list[float] | None:
    """Return one number, or [minimum, maximum] if they differ. JSON has no infinity: null."""
    if value is None:
        return None
    low, high = (float(x) if np.isfinite(x) else None for x in (np.min(value), np.max(value)))
    return low if low == high or low is None or high is None else [low, high]


def population_table(bundle: Bundle) -> RenderableType:
    """Return a table of the populations and their neuron parameters."""
    populations = bundle.model.populations
    # Few networks have what these columns show, and the page is narrow.
    optional: list[tuple[str, Callable[[Neuron], str | int]]] = [
        ("sync", lambda neuron: neuron.sync_threshold or "-"),
        ("tau_syn µs", lambda neuron: _range(neuron.tau_syn_us)),
        ("adaptation", _adaptation),
    ]
    optional = [
        (title, cell) for title, cell in optional if any(cell(p.neuron) != "-" for p in populations)
    ]
    rows = []
    for population, rank in zip(populations, bundle.model.ranks, strict=True):
        neuron = population.neuron
        rows.append([
            population.name, _shape(population.shape), f"{population.size:,}", rank,
            _range(neuron.tau_mem_us), *_firing(neuron), *(cell(neuron) for _, cell in optional),
        ])  # fmt: skip
    titles = [
        "population", "shape", "neurons", "rank", "tau_mem µs", "threshold", "reset", "refractory",
        *(title for title, _ in optional),
    ]  # fmt: skip
    return table(titles, rows, numbers=(2, 3, 4, 5, 8))


def _firing(neuron: Neuron) -> tuple[str, str, str]:
    """Return the threshold, the reset and the refractoriness as they appear in a table."""
    if not isinstance(neuron, LIF):
        return "never fires", "-", "-"
    reset: str = neuron.reset
    if neuron.reset_amount is not None:
        reset += f" {_range(neuron.reset_amount)}"
    if neuron.reset_delayed:
        reset += ", next pass"
    return _range(neuron.v_threshold), reset, "yes" if neuron.refractory else "no"


def _adaptation(neuron: Neuron) -> str:
    if (adaptation := neuron.adaptation) is None:
        return "-"
    return f"+{_range(adaptation.increment)}, tau {_range(adaptation.tau_us)} µs"


def connection_table(bundle: Bundle) -> RenderableType:
    """Return a table of the connections."""
    rows = [
        (
            f"{c.source} → {c.target}", c.kind, _weights(c),
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


def _weights(connection: Connection) -> str:
    if isinstance(connection, Pool):
        return f"{connection.mode} of {_shape(connection.size)}"
    return _shape(connection.weight.shape)


def _input(bundle: Bundle) -> str:
    shape, size = bundle.model.input_shape, bundle.model.input_size
    return f"{size:,} indices" if len(shape) == 1 else f"{_shape(shape)} = {size:,} indices"


def _duration(bundle: Bundle) -> str:
    if bundle.duration_us is None:
        return "until their last event"
    return f"{bundle.duration_us:,} µs"


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _range(value: Parameter | None) -> str:
    """Return one number, or the minimum and the maximum if they differ."""
    if value is None:
        return "-"
    low, high = float(np.min(value)), float(np.max(value))
    return f"{low:,.6g}" if low == high else f"{_rounded(low)} to {_rounded(high)}"


def _rounded(number: float) -> str:
    """Return a number with four digits, or as a whole number if it has more before the point."""
    return f"{number:,.4g}" if abs(number) < 9999.5 else f"{number:,.0f}"


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
