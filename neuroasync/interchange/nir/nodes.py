"""The nodes of a NIR graph as plain data, with their fields checked.

Source: the node types of https://neuroir.org/docs/primitives.html, version 1.0.8 of ``nir``.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.model.checks import as_integer, must_be, printable, shown
from neuroasync.errors import InterchangeError

__all__ = ["KINDS", "LINEAR", "NEURONS", "SPIKING", "Node", "Shape", "node_of", "values_of"]

Shape = tuple[int, ...]

SPIKING: Final = ("CubaLIF", "IF", "LIF", "Threshold")
"""Nodes whose output is spikes."""

NEURONS: Final = (*SPIKING, "CubaLI", "I", "LI")
"""Nodes that become populations."""

LINEAR: Final = (
    "Affine", "AvgPool2d", "Conv1d", "Conv2d", "Delay", "Flatten", "Linear", "Scale", "SumPool2d",
)  # fmt: skip
"""Nodes between populations, which become parts of connections."""

_FLOATS: Final = {
    "Affine": ("weight", "bias"),
    "Linear": ("weight",),
    "Scale": ("scale",),
    "Conv1d": ("weight", "bias"),
    "Conv2d": ("weight", "bias"),
    "Delay": ("delay",),
    "Threshold": ("threshold",),
    "I": ("r",),
    "IF": ("r", "v_threshold", "v_reset"),
    "LI": ("tau", "r", "v_leak"),
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "CubaLI": ("tau_mem", "tau_syn", "r", "v_leak", "w_in"),
    "CubaLIF": ("tau_mem", "tau_syn", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
}
"""Fields with numbers of each type of node."""

_OTHERS: Final = {
    "AvgPool2d": ("kernel_size", "stride", "padding"),
    "SumPool2d": ("kernel_size", "stride", "padding"),
    "Conv1d": ("stride", "padding", "dilation", "groups"),
    "Conv2d": ("stride", "padding", "dilation", "groups"),
    "Flatten": ("start_dim", "end_dim"),
    "Input": ("shape",),
    "Output": ("shape",),
}
"""Fields with integers, or with text for paddings, of each type of node."""

_DEFAULTS: Final = {"v_reset": 0.0, "w_in": 1.0}
"""Fields that older files lack."""

KINDS: Final = tuple(sorted({*_FLOATS, *_OTHERS}))
"""All types of nodes that can be imported, except for subgraphs."""


@dataclass(frozen=True, eq=False)
class Node:
    """A node of a graph.

    Attributes:
        name: name in the graph; names of nodes in subgraphs are joined by dots.
        kind: its type in NIR.
        values: f64 arrays by the name of the field.
        sizes: integers and paddings by the name of the field.
        metadata: what neuroasync wrote about the node into its metadata.
    """

    name: str
    kind: str
    values: Mapping[str, NDArray[np.float64]]
    sizes: Mapping[str, Any]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @contextmanager
    def named_in_errors(self) -> Iterator[None]:
        """Name this node in the errors raised inside the block, if they name none."""
        try:
            yield
        except InterchangeError as error:
            if str(error).startswith("node "):
                raise
            raise self.error(str(error)) from error

    def error(self, reason: str) -> InterchangeError:
        """Return an error that names this node."""
        return InterchangeError(f"node {printable(self.name)!r} ({self.kind}): {reason}")


def node_of(name: str, kind: str, fields: Mapping[str, Any], metadata: Mapping[str, Any]) -> Node:
    """Return the node with these fields.

    Raises:
        InterchangeError: the type is unknown, or a field is missing or invalid.
    """
    if kind not in KINDS:
        raise InterchangeError(
            f"node {printable(name)!r} has the type {printable(kind)!r}, which cannot be imported; "
            f"known types are {', '.join(KINDS)}"
        )
    node = Node(name, kind, {}, {}, metadata)
    values = {key: _floats(node, key, fields) for key in _FLOATS.get(kind, ())}
    sizes = {key: _sizes(node, key, fields) for key in _OTHERS.get(kind, ())}
    return Node(name, kind, values, sizes, metadata)


def values_of(node: Node, key: str, shape: Shape) -> NDArray[np.float64]:
    """Return a field of a neuron, with one value per neuron.

    A field with a single value holds for all neurons.

    Raises:
        InterchangeError: the field has another shape.
    """
    value = node.values[key]
    if value.size == 1:
        return np.full(shape, value.reshape(-1)[0])
    if value.shape != shape:
        raise node.error(must_be(key, f"of shape {shape}", f"shape {value.shape}"))
    return value


def _floats(node: Node, key: str, fields: Mapping[str, Any]) -> NDArray[np.float64]:
    given = fields.get(key)
    if given is None:
        if key not in _DEFAULTS:
            raise node.error(f"`{key}` is missing")
        return np.array(_DEFAULTS[key])
    if hasattr(given, "detach"):  # a tensor, which some exporters leave in their graphs
        given = given.detach().cpu()
    array = np.asarray(given)
    if array.dtype.kind not in "fiu" or array.size == 0:
        raise node.error(must_be(key, "numbers", f"{array.dtype!s:.80} of shape {array.shape}"))
    if array.ndim > limits.MAX_DIMENSIONS:
        raise node.error(
            f"`{key}` has {array.ndim} dimensions, the limit is {limits.MAX_DIMENSIONS}"
        )
    values = array.astype(np.float64)
    if not np.isfinite(values).all():
        bad = values[~np.isfinite(values)][0]
        hint = "; a neuron without leak is an IF node" if key in ("tau", "tau_mem") else ""
        raise node.error(must_be(key, "finite", f"{bad}{hint}"))
    return values


def _sizes(node: Node, key: str, fields: Mapping[str, Any]) -> Any:
    """Return a tuple of integers; or ``"same"``, which only a padding may be."""
    if key not in fields or fields[key] is None:
        raise node.error(f"`{key}` is missing")
    given = fields[key]
    given = given.decode("utf-8", "replace") if isinstance(given, bytes) else given
    if key == "padding" and isinstance(given, str):
        if given.lower() not in ("same", "valid"):
            raise node.error(must_be(key, "integers, 'same' or 'valid'", shown(given)))
        return "same" if given.lower() == "same" else (0,)
    array = np.asarray(given)
    low = {"padding": 0, "start_dim": -limits.MAX_DIMENSIONS, "end_dim": -limits.MAX_DIMENSIONS}
    numbers = [as_integer(n) for n in array.flat] if array.size <= limits.MAX_DIMENSIONS else []
    sizes = tuple(n for n in numbers if n is not None and low.get(key, 1) <= n <= limits.MAX_INPUTS)
    if not sizes or len(sizes) != len(numbers):
        requirement = f"integers from {low.get(key, 1)} to {limits.MAX_INPUTS}"
        raise node.error(must_be(key, requirement, shown(given)))
    if key == "shape" and math.prod(sizes) > limits.MAX_INPUTS:
        raise node.error(must_be(key, f"a shape of 1 to {limits.MAX_INPUTS} elements", f"{sizes}"))
    return sizes
