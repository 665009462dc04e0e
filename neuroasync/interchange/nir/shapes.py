"""The shape of what each node of a NIR graph sends out."""

import math
from collections import deque
from typing import Final

import numpy as np

from neuroasync.core.model.checks import printable
from neuroasync.core.quantity import quantity
from neuroasync.interchange.nir.graph import Graph
from neuroasync.interchange.nir.nodes import NEURONS, Node, Shape

__all__ = ["infer_shapes", "pair"]

_SHAPE_FIELD: Final = {"Threshold": "threshold", "CubaLI": "v_leak", "CubaLIF": "v_threshold"}
"""Field whose shape is that of the neurons; ``r`` for other types."""


def infer_shapes(graph: Graph) -> dict[str, Shape]:
    """Return the shape of each node's output, without a batch.

    Raises:
        InterchangeError: the shape of a node does not fit that of its source, or no path from the
            input leads to it.
    """
    targets: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for name, sources in graph.sources.items():
        for source in sources:
            targets[source].append(name)
    shapes: dict[str, Shape] = {}
    for node in graph.nodes.values():
        if (shape := _own_shape(node)) is not None:
            shapes[node.name] = shape
    waiting = deque(shapes)
    while waiting:
        name = waiting.popleft()
        for target in targets[name]:
            if target not in shapes:
                shapes[target] = _output_shape(graph.nodes[target], shapes[name])
                waiting.append(target)
    for name, node in graph.nodes.items():
        if name not in shapes:
            raise node.error("no path from the input leads to it")
        for source in graph.sources[name]:
            if _output_shape(node, shapes[source]) != shapes[name]:
                raise node.error(
                    f"it gives shape {shapes[name]}, which does not fit the shape "
                    f"{shapes[source]} that node {printable(source)!r} sends"
                )
    return shapes


def pair(node: Node, key: str) -> tuple[int, int]:
    """Return a size for y and for x; one number holds for both.

    Raises:
        InterchangeError: there are more than two numbers.
    """
    sizes = node.sizes[key]
    if len(sizes) not in (1, 2):
        raise node.error(f"`{key}` must be one or two integers, got {len(sizes)}")
    return (sizes[0], sizes[-1])


def _own_shape(node: Node) -> Shape | None:
    """Return the shape that a node has by itself, whatever its source is."""
    if node.kind == "Input":
        return tuple(node.sizes["shape"])
    if node.kind in NEURONS:
        value = node.values[_SHAPE_FIELD.get(node.kind, "r")]
        return tuple(value.shape) if value.size > 1 else None
    return None


def _output_shape(node: Node, given: Shape) -> Shape:
    match node.kind:
        case "Input":
            raise node.error("an Input must not receive anything")
        case "Affine" | "Linear":
            return _dense_shape(node, given)
        case "Conv1d" | "Conv2d" | "SumPool2d" | "AvgPool2d":
            return _sliding_shape(node, given)
        case "Flatten":
            return _flat_shape(node, given)
        case "Scale" | "Delay":
            value = node.values["scale" if node.kind == "Scale" else "delay"]
            if value.size > 1 and value.shape != given:
                raise node.error(f"it has shape {value.shape}, but receives shape {given}")
            return given
        case "Output":
            return given
    own = _own_shape(node)
    if own is not None and own != given:
        raise node.error(f"it has neurons of shape {own}, but receives shape {given}")
    return given


def _dense_shape(node: Node, given: Shape) -> Shape:
    weight = node.values["weight"]
    if weight.ndim != 2:
        raise node.error(f"`weight` must have 2 dimensions, got {weight.ndim}")
    # Exporters that trace a batch of one sample leave a dimension of one element in front.
    if given[-1] != weight.shape[1] or math.prod(given) != given[-1]:
        hint = "; a Flatten node is missing" if math.prod(given) == weight.shape[1] else ""
        raise node.error(
            f"its weight has shape {weight.shape}, which does not fit an input of shape "
            f"{given}{hint}"
        )
    bias = node.values.get("bias")
    if bias is not None and bias.size != weight.shape[0]:
        raise node.error(f"`bias` must have {quantity(weight.shape[0], 'value')}, got {bias.size}")
    return (weight.shape[0],)


def _sliding_shape(node: Node, given: Shape) -> Shape:
    """Return the output shape of a convolution or pooling; leave the rest of it to linear maps."""
    dimensions = 1 if node.kind == "Conv1d" else 2
    if len(given) != dimensions + 1:
        raise node.error(f"it must receive {dimensions + 1} dimensions, got shape {given}")
    if "weight" not in node.values:
        kernel, channels = pair(node, "kernel_size"), given[0]
        dilation: tuple[int, ...] = (1, 1)
    else:
        weight = node.values["weight"]
        if weight.ndim != dimensions + 2:
            raise node.error(f"`weight` must have {dimensions + 2} dimensions, got {weight.ndim}")
        groups = node.sizes["groups"][0]
        if weight.shape[1] * groups != given[0] or weight.shape[0] % groups:
            raise node.error(
                f"its weight has shape {weight.shape} in {groups} groups, which does not fit an "
                f"input of shape {given}"
            )
        if node.values["bias"].size != weight.shape[0]:
            found = node.values["bias"].size
            raise node.error(f"`bias` must have {quantity(weight.shape[0], 'value')}, got {found}")
        kernel, channels = weight.shape[2:], weight.shape[0]
        dilation = pair(node, "dilation")[:dimensions]
    extents = []
    for axis, size in enumerate(given[1:]):
        if node.sizes["padding"] == "same":
            extents.append(size)
            continue
        span = dilation[axis] * (kernel[axis] - 1) + 1
        room = size + 2 * pair(node, "padding")[axis] - span
        if room < 0:
            raise node.error(f"its kernel {tuple(kernel)} is larger than its padded input {given}")
        extents.append(room // pair(node, "stride")[axis] + 1)
    return (channels, *extents)


def _flat_shape(node: Node, given: Shape) -> Shape:
    start, end = (node.sizes[key][0] for key in ("start_dim", "end_dim"))
    n = len(given)
    if not (-n <= start < n and -n <= end < n and start % n <= end % n):
        raise node.error(f"it flattens dimensions {start} to {end} of shape {given}")
    start, end = start % n, end % n
    middle = int(np.prod(given[start : end + 1]))
    return (*given[:start], middle, *given[end + 1 :])
