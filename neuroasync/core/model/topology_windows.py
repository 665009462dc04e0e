"""The connections of a topology that slide a window over planes: convolutions and pools."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.model.connections import Connection, Conv1d, Conv2d, Pool
from neuroasync.core.model.topology_lexer import KERNEL_PATTERN, Item, parse_kernel

__all__ = ["WINDOW_FORMS", "Window", "by_text", "parse_window"]

WINDOW_FORMS: Final = "a kernel (k3s2p1) or a pool (sumk2, avgk2)"

_MODES: Final[Mapping[str, Literal["convolution", "sum", "average"]]] = {
    "": "convolution",
    "sum": "sum",
    "avg": "average",
}


@dataclass(frozen=True, slots=True)
class Window:
    """A window that slides over the planes of a source.

    Attributes:
        mode: what a target does with the spikes in its window: weight those of all channels
            (``"convolution"``), or sum or average those of its own channel.
        size, stride, padding: one number for each axis of the planes.
    """

    mode: Literal["convolution", "sum", "average"]
    size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]

    @property
    def is_pool(self) -> bool:
        """Whether it is a window of a pool."""
        return self.mode != "convolution"

    def extents(self, item: Item, source: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the extents of the planes that windows on ``source`` result in."""
        if min(self.size) < 1 or min(self.stride) < 1:
            item.fail("kernel size and stride must be at least 1")
        padded = tuple(n + 2 * pad for n, pad in zip(shape[1:], self.padding, strict=True))
        if any(k > n for k, n in zip(self.size, padded, strict=True)):
            item.fail(
                f"the kernel size must be at most {by_text(padded)}, the size of {source!r} with "
                f"its padding, got {by_text(self.size)}"
            )
        if self.is_pool and any(pad >= k for pad, k in zip(self.padding, self.size, strict=True)):
            item.fail("the padding of a pool must be less than its size")
        axes = zip(padded, self.size, self.stride, strict=True)
        return tuple((n - k) // s + 1 for n, k, s in axes)

    def check_fit(
        self, item: Item, source: str, target: str, shapes: Mapping[str, tuple[int, ...]]
    ) -> None:
        """Check that windows on ``source`` result in the planes of ``target``."""
        extents, expected = self.extents(item, source, shapes[source]), shapes[target]
        if extents != expected[1:]:
            what = "pool" if self.is_pool else "convolution"
            item.fail(
                f"the {what} gives planes of {by_text(extents)}, which do not fit {target!r} "
                f"({by_text(expected)}); choose another kernel, stride or padding, or write no "
                "kernel (dense)"
            )
        if self.is_pool and (channels := shapes[source][0]) != expected[0]:
            item.fail(
                f"a pool keeps the number of channels, but {source!r} has {channels} and "
                f"{target!r} has {expected[0]}"
            )

    def weight_shape(self, source: tuple[int, ...], target: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the weights of a convolution; a pool has none."""
        return (0,) if self.is_pool else (target[0], source[0], *self.size)

    def connection(
        self,
        source: str,
        target: str,
        weight: NDArray[np.float32],
        bias: NDArray[np.float32] | None,
        delay_us: int,
    ) -> Connection:
        """Return the connection. A pool has neither the weight nor the bias."""
        if self.mode != "convolution":
            return Pool(source, target, self.mode, self.size, self.stride, self.padding, delay_us)
        if len(self.size) == 1:
            (stride,), (padding,) = self.stride, self.padding
            return Conv1d(source, target, weight, stride, padding, bias, delay_us)
        stride_y, stride_x = self.stride
        y, x = self.padding
        return Conv2d(source, target, weight, (stride_y, stride_x), (y, x), bias, delay_us)


def parse_window(item: Item, form: str, source: str, shape: tuple[int, ...]) -> Window | None:
    """Return the window that ``form`` describes, or None if it describes none.

    Args:
        item: the item with the form, for errors.
        form: such as ``k3s2p1``, ``sumk2`` or ``avgk3s2p1``. The stride of a convolution defaults
            to 1, that of a pool to its size.
        source: name of the source.
        shape: its shape.
    """
    match = re.fullmatch(f"(sum|avg)?{KERNEL_PATTERN}", form)
    if match is None:
        return None
    if len(shape) not in (2, 3):
        item.fail(
            "the source of a convolution or pool must have shape channels x height x width, as in "
            f"'input 2x34x34', or channels x length, but {source!r} has shape {by_text(shape)}"
        )
    prefix, size, stride, padding = match.groups()
    kernel = parse_kernel((size, size if prefix and stride is None else stride, padding))
    numbers = (kernel.size, kernel.stride, kernel.padding)
    if len(shape) == 2 and any(y != x for y, x in numbers):
        item.fail(f"{source!r} has channels x length, so size, stride and padding are one number")
    size_of, stride_of, padding_of = (n[3 - len(shape) :] for n in numbers)
    return Window(_MODES[prefix or ""], size_of, stride_of, padding_of)


def by_text(shape: tuple[int, ...]) -> str:
    """Return a shape as it is written in a topology, such as ``2x34x34``."""
    return "x".join(map(str, shape))
