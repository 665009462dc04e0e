"""Conversion between models and the plain maps in a bundle."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.formats.field_checks import (
    array_map,
    as_array,
    as_choice,
    as_list,
    as_map,
    as_text,
    located,
)
from neuroasync.core.model.checks import must_be, shown
from neuroasync.core.model.connections import Connection, Conv1d, Conv2d, Dense, Pool, Sparse
from neuroasync.core.model.model import Model, Population
from neuroasync.core.model.neurons import LI, LIF, Adaptation, Neuron
from neuroasync.errors import BundleError

__all__ = ["MODEL_KEYS", "model_map", "read_model"]

MODEL_KEYS = ("timestep_us", "input", "populations", "connections", "output")
"""Keys of a bundle's body that describe the network; all are required."""

_NEURON_KEYS = {
    "lif": (
        ("tau_mem_us", "v_threshold", "reset", "refractory"),
        ("sync_threshold", "reset_delayed", "reset_amount", "tau_syn_us", "adaptation"),
    ),
    "li": (("tau_mem_us",), ("tau_syn_us",)),
}
"""Required and optional keys of each kind of neuron, beyond its name."""

_CONNECTION_KEYS = {
    "dense": ("weight",),
    "conv1d": ("weight", "stride", "padding"),
    "conv2d": ("weight", "stride", "padding"),
    "pool": ("mode", "size", "stride", "padding"),
    "sparse": ("indptr", "indices", "weight"),
}
"""Keys of each kind of connection, beyond source, target, kind, bias and delay."""


def model_map(model: Model) -> dict[str, Any]:
    """Return ``model`` as maps, lists and scalars in the order of the format, without defaults."""
    return {
        "timestep_us": model.timestep_us,
        "input": {"shape": list(model.input_shape)},
        "populations": [_population_map(p) for p in model.populations],
        "connections": [_connection_map(c) for c in model.connections],
        "output": model.output,
    }


def read_model(body: Mapping[str, Any]) -> Model:
    """Return the model in a bundle's body.

    Args:
        body: a map that has all ``MODEL_KEYS``.

    Raises:
        BundleError: a field is missing, unknown, of the wrong type or inconsistent.
    """
    fields = as_map("input", body["input"], ("shape",))
    populations = as_list("populations", body["populations"])
    connections = as_list("connections", body["connections"])
    with located():
        return Model(
            body["timestep_us"],
            tuple(as_list("input.shape", fields["shape"])),
            tuple(_population(f"populations[{k}]", p) for k, p in enumerate(populations)),
            tuple(_connection(f"connections[{k}]", c) for k, c in enumerate(connections)),
            as_text("output", body["output"]),
        )


def _population_map(population: Population) -> dict[str, Any]:
    fields = _neuron_map(population.neuron)
    return {"name": population.name, "shape": list(population.shape), "neuron": fields}


def _neuron_map(neuron: Neuron) -> dict[str, Any]:
    fields: dict[str, Any] = {"model": "li", "tau_mem_us": _number_map(neuron.tau_mem_us)}
    if isinstance(neuron, LIF):
        fields |= {
            "model": "lif",
            "v_threshold": _number_map(neuron.v_threshold),
            "reset": neuron.reset,
            "refractory": neuron.refractory,
        }
    # Files of networks without the features that follow stay as they were before these existed.
    if neuron.sync_threshold:
        fields["sync_threshold"] = neuron.sync_threshold
    if neuron.reset_delayed:
        fields["reset_delayed"] = True
    if neuron.reset_amount is not None:
        fields["reset_amount"] = _number_map(neuron.reset_amount)
    if neuron.tau_syn_us is not None:
        fields["tau_syn_us"] = _number_map(neuron.tau_syn_us)
    if (adaptation := neuron.adaptation) is not None:
        fields["adaptation"] = {
            "tau_us": _number_map(adaptation.tau_us),
            "increment": _number_map(adaptation.increment),
        }
    return fields


def _population(path: str, value: object) -> Population:
    fields = as_map(path, value, ("name", "shape", "neuron"))
    return Population(
        as_text(f"{path}.name", fields["name"]),
        tuple(as_list(f"{path}.shape", fields["shape"])),
        _neuron(f"{path}.neuron", fields["neuron"]),
    )


def _neuron(path: str, value: object) -> Neuron:
    kind = as_map(path, value, ("model",), None)["model"]
    as_choice(f"{path}.model", kind, tuple(_NEURON_KEYS))
    required, optional = _NEURON_KEYS[kind]
    fields = as_map(path, value, ("model", *required), optional)
    numbers = {
        key: _number(f"{path}.{key}", fields[key])
        for key in ("tau_mem_us", "v_threshold", "reset_amount", "tau_syn_us")
        if key in fields
    }
    if kind == "li":
        return LI(**numbers)
    others = {
        key: fields[key]
        for key in ("reset", "refractory", "sync_threshold", "reset_delayed")
        if key in fields
    }
    adaptation = None
    if "adaptation" in fields:
        at = f"{path}.adaptation"
        inner = as_map(at, fields["adaptation"], ("tau_us", "increment"))
        adaptation = Adaptation(
            _number(f"{at}.tau_us", inner["tau_us"]),
            _number(f"{at}.increment", inner["increment"]),
        )
    return LIF(**numbers, **others, adaptation=adaptation)


def _number_map(value: float | NDArray[np.float32]) -> Any:
    return array_map(value, "<f4") if isinstance(value, np.ndarray) else value


def _number(path: str, value: Any) -> Any:
    """Return a number, or the array in a map; ``Model`` checks its values."""
    if isinstance(value, dict):
        return as_array(path, value, "<f4")
    if not isinstance(value, int | float):
        raise BundleError(must_be(path, "a number or an array", shown(value)))
    return value


def _connection_map(c: Connection) -> dict[str, Any]:
    fields: dict[str, Any] = {"source": c.source, "target": c.target, "kind": c.kind}
    match c:
        case Conv1d():
            fields |= {"weight": array_map(c.weight, "<f4")}
            fields |= {"stride": c.stride, "padding": c.padding}
        case Pool():
            fields |= {"mode": c.mode, "size": list(c.size)}
            fields |= {"stride": list(c.stride or ()), "padding": list(c.padding or ())}
        case Conv2d():
            fields |= {"weight": array_map(c.weight, "<f4")}
            fields |= {"stride": list(c.stride), "padding": list(c.padding)}
        case Sparse():
            fields |= {"indptr": array_map(c.indptr, "<i8")}
            fields |= {"indices": array_map(c.indices, "<i8")}
            fields |= {"weight": array_map(c.weight, "<f4")}
        case Dense():
            fields |= {"weight": array_map(c.weight, "<f4")}
    if c.bias is not None:
        fields["bias"] = array_map(c.bias, "<f4")
    if c.delay_us:
        fields["delay_us"] = c.delay_us
    return fields


def _connection(path: str, value: object) -> Connection:
    kind = as_text(f"{path}.kind", as_map(path, value, ("kind",), None)["kind"])
    as_choice(f"{path}.kind", kind, tuple(_CONNECTION_KEYS))
    keys = ("source", "target", "kind", *_CONNECTION_KEYS[kind])
    optional = ("delay_us",) if kind == "pool" else ("bias", "delay_us")
    fields = as_map(path, value, keys, optional)
    source = as_text(f"{path}.source", fields["source"])
    target = as_text(f"{path}.target", fields["target"])
    delay_us = fields.get("delay_us", 0)
    if kind == "pool":
        size, stride, padding = (
            tuple(as_list(f"{path}.{key}", fields[key])) for key in ("size", "stride", "padding")
        )
        return Pool(source, target, fields["mode"], size, stride, padding, delay_us)
    weight = as_array(f"{path}.weight", fields["weight"], "<f4")
    bias = None
    if "bias" in fields:
        bias = as_array(f"{path}.bias", fields["bias"], "<f4")
    if kind == "conv1d":
        return Conv1d(source, target, weight, fields["stride"], fields["padding"], bias, delay_us)
    if kind == "dense":
        return Dense(source, target, weight, bias, delay_us)
    if kind == "sparse":
        indptr = as_array(f"{path}.indptr", fields["indptr"], "<i8")
        indices = as_array(f"{path}.indices", fields["indices"], "<i8")
        return Sparse(source, target, indptr, indices, weight, bias, delay_us)
    stride = tuple(as_list(f"{path}.stride", fields["stride"]))
    padding = tuple(as_list(f"{path}.padding", fields["padding"]))
    return Conv2d(source, target, weight, stride, padding, bias, delay_us)
