"""``neuroasync inspect``: what is in a bundle."""

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from neuroasync.cli.commands.calibrate import calibrations
from neuroasync.cli.options import BundlePath
from neuroasync.cli.output import facts, say, shown, table
from neuroasync.core.formats.bundle import Bundle, read_bundle
from neuroasync.core.model.connections import Connection, Conv2d, Dense

__all__ = ["inspect"]


def inspect(bundle: BundlePath) -> None:
    """Show what is in a bundle: neurons, connections, digest, meta.

    \b
    Example:
      neuroasync inspect net.nab

    Nothing in it is executed. Reading it checks its digest and every field.
    """  # noqa: D301  # \b keeps the example's lines
    network = read_bundle(bundle)
    say(
        facts([("file", bundle), *_overview(network, bundle.stat().st_size)]),
        "",
        _populations(network),
        "",
        _connections(network),
    )
    if network.calibration:
        say("", calibrations(network.calibration))
    if network.meta:
        say("", facts([("meta", ""), *network.meta.items()]))


def _overview(bundle: Bundle, size: int) -> list[tuple[str, object]]:
    model, policy = bundle.model, bundle.policy
    noise = f", noise {policy.noise}" if policy.noise else ""
    steps = f"{model.timestep_us:,} µs" if model.timestep_us else "one pass per timestamp"
    pairs: list[tuple[str, object]] = [
        ("size", f"{size:,} bytes"),
        ("digest (sha256)", bundle.digest.hex()),
        ("trained for", f"{policy.name}, F = {policy.group_size}, {policy.input} input{noise}"),
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


def _populations(bundle: Bundle) -> Table:
    rows = []
    for population, rank in zip(bundle.model.populations, bundle.model.ranks, strict=True):
        neuron = population.neuron
        rows.append(
            (
                population.name, _shape(population.shape), f"{population.size:,}", rank,
                _range(neuron.tau_mem_us), _range(neuron.v_threshold), neuron.reset,
                "yes" if neuron.refractory else "no", neuron.sync_threshold or "-",
            )
        )  # fmt: skip
    titles = (
        "population", "shape", "neurons", "rank", "tau_mem µs", "threshold", "reset",
        "refractory", "sync",
    )  # fmt: skip
    return table(titles, rows, numbers=(2, 3, 4, 5, 8))


def _connections(bundle: Bundle) -> Table:
    rows = [
        (
            f"{c.source} → {c.target}", _kind(c), _shape(c.weight.shape),
            "yes" if c.bias is not None else "no", shown(c.delay_us),
            f"{c.weight.size + (0 if c.bias is None else c.bias.size):,}",
        )
        for c in bundle.model.connections
    ]  # fmt: skip
    titles = ("connection", "kind", "weight", "bias", "delay µs", "parameters")
    return table(titles, rows, numbers=(4, 5))


def _kind(connection: Connection) -> str:
    if isinstance(connection, Dense):
        return "dense"
    return "conv2d" if isinstance(connection, Conv2d) else "sparse"


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _range(value: float | NDArray[np.float32]) -> str:
    """One number, or the least and the largest."""
    low, high = float(np.min(value)), float(np.max(value))
    return f"{low:,.6g}" if low == high else f"{low:,.4g} to {high:,.4g}"
