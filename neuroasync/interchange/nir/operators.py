"""The linear nodes of NIR as linear maps with a bias."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.model.connections import Pool
from neuroasync.interchange.nir.linear_map import Full, Map, convolution, diagonal
from neuroasync.interchange.nir.nodes import Node, Shape
from neuroasync.interchange.nir.shapes import pair

__all__ = ["bias_of", "is_plain_convolution", "map_of", "paddings", "pool_window"]

Pair = tuple[int, int]


def map_of(node: Node, given: Shape) -> Map | None:
    """Return the map of a linear node for an input of shape ``given``.

    None means that it changes nothing but the shape, or only the time (Flatten, Delay).

    Raises:
        InterchangeError: the map is too large.
    """
    match node.kind:
        case "Flatten" | "Delay":
            return None
        case "Scale":
            return diagonal(np.broadcast_to(node.values["scale"], given).ravel())
        case "Affine" | "Linear":
            return Full(node.values["weight"])
    with node.named_in_errors():
        return _sliding_map(node, given)


def bias_of(node: Node, elements: int) -> NDArray[np.float64] | None:
    """Return the bias of each of the elements that a linear node sends; None if it is 0.

    A bias of 0 that an exported bundle had is kept.
    """
    bias = node.values.get("bias")
    if bias is None or not (bias.any() or node.metadata.get("zero_bias")):
        return None
    return np.repeat(bias.ravel(), elements // bias.size)


def is_plain_convolution(node: Node) -> bool:
    """Return whether a node is a convolution that a connection can have as it is."""
    if node.kind not in ("Conv1d", "Conv2d"):
        return False
    before, after = zip(*paddings(node), strict=True)
    return node.sizes["groups"][0] == 1 and pair(node, "dilation") == (1, 1) and before == after


def pool_window(
    node: Node, given: Shape
) -> tuple[Literal["sum", "average"], tuple[int, ...], tuple[int, ...], tuple[int, ...]] | None:
    """Return mode, size, stride and padding of a pooling; None if a pool cannot have them.

    A pool of signals was exported as a convolution of each channel with equal weights.

    Args:
        node: the node.
        given: shape of its input.
    """
    if node.kind in ("SumPool2d", "AvgPool2d"):
        size, padding = pair(node, "kernel_size"), pair(node, "padding")
        if any(pad >= k for pad, k in zip(padding, size, strict=True)):
            return None
        mode: Literal["sum", "average"] = "sum" if node.kind == "SumPool2d" else "average"
        return mode, size, pair(node, "stride"), padding
    if node.kind != "Conv1d" or node.metadata.get("kind") != Pool.kind:
        return None
    mode = "average" if node.metadata.get("mode") == "average" else "sum"
    weight = node.values["weight"]
    entry = np.float32(1.0 if mode == "sum" else 1.0 / weight.shape[2])
    (pad, after), _ = paddings(node)
    groups, stride, dilation = node.sizes["groups"][0], pair(node, "stride"), pair(node, "dilation")
    is_pool = groups == given[0] == len(weight) and (weight == entry).all()
    if not is_pool or dilation != (1, 1) or pad != after or pad >= weight.shape[2]:
        return None
    return mode, (weight.shape[2],), stride[:1], (pad,)


def paddings(node: Node) -> tuple[Pair, Pair]:
    """Return the zeros before and after the input, for y and for x.

    Raises:
        InterchangeError: the padding "same" is used with a stride, which torch refuses as well.
    """
    if node.sizes["padding"] != "same":
        y, x = pair(node, "padding")
        return (y, y), (x, x)
    if pair(node, "stride") != (1, 1):
        raise node.error("padding 'same' requires a stride of 1")
    kernel, dilation = node.values["weight"].shape[2:], pair(node, "dilation")
    total = [dilation[axis] * (k - 1) for axis, k in enumerate(kernel)]
    around = [(n // 2, n - n // 2) for n in (*total, 0)]
    return around[0], around[1]


def _sliding_map(node: Node, given: Shape) -> Map:
    """Return the map of a convolution or pooling; a pooling is a convolution of each channel."""
    if "kernel_size" in node.sizes:
        kernel = pair(node, "kernel_size")
        entry = 1.0 if node.kind == "SumPool2d" else 1.0 / (kernel[0] * kernel[1])
        weight = np.full((given[0], 1, *kernel), entry)
        return convolution(
            weight, (given[1], given[2]), pair(node, "stride"), paddings(node), (1, 1), given[0]
        )[0]
    weight, groups = node.values["weight"], node.sizes["groups"][0]
    stride, dilation, around = pair(node, "stride"), pair(node, "dilation"), paddings(node)
    if node.kind == "Conv1d":  # one row of a picture
        weight, given = weight[:, :, None, :], (given[0], 1, given[1])
        stride, dilation = (1, stride[1]), (1, dilation[1])
        around = ((0, 0), around[0])
    return convolution(weight, (given[1], given[2]), stride, around, dilation, groups)[0]
