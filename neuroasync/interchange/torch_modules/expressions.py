"""What a tensor of a traced module is: a sum of linear maps of spikes, plus a constant.

In a layered network, the input current of a spiking layer is

    sum over sources s of  A_s z_s  +  b

where ``z_s`` are the spikes of a layer or of the input, at this timestep or an earlier one. A
:class:`LinearExpression` holds the maps ``A_s`` as lists of linear steps in float64, and ``b``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

__all__ = [
    "Kernel",
    "LinearExpression",
    "LinearStep",
    "Path",
    "Source",
    "Unmappable",
    "response_of",
]


@dataclass(frozen=True, slots=True)
class Source:
    """The spikes of a layer, or of the input, at one timestep.

    Attributes:
        name: Name of the spiking layer, or ``"input"``.
        timestep: Number of the timestep, from 0. It is 0 if a tensor holds all timesteps.
        shape: Shape of the traced tensor, batch dimensions included.
    """

    name: str
    timestep: int
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """A 2-d convolution as torch computes it, without a bias.

    Attributes:
        weight: f64[out, in, kh, kw].
        stride: (y, x).
        padding: (y, x), filled with zeros.
        extent: Height and width of its input.
    """

    weight: Tensor
    stride: tuple[int, int]
    padding: tuple[int, int]
    extent: tuple[int, int]

    def then(self, other: "Kernel") -> "Kernel | None":
        """Return this convolution followed by another as one; None if that is not exact.

        The padding of ``other`` stands for outputs of this one that do not exist. They are 0 in
        the joint convolution if their receptive field lies in the padding entirely.
        """
        for a in (0, 1):
            size, step = self.weight.shape[2 + a], self.stride[a]
            count = (self.extent[a] + 2 * self.padding[a] - size) // step + 1
            is_covered = not self.padding[a] and size <= step and self.extent[a] <= count * step
            if other.padding[a] and not is_covered:
                return None
        (sy, sx), (ky, kx) = self.stride, self.weight.shape[2:]
        qy, qx = other.weight.shape[2:]
        shape = (
            other.weight.shape[0],
            self.weight.shape[1],
            ky + (qy - 1) * sy,
            kx + (qx - 1) * sx,
        )
        weight = torch.zeros(shape, dtype=torch.float64)
        for y in range(qy):
            for x in range(qx):
                part = torch.einsum("oc,cikl->oikl", other.weight[:, :, y, x], self.weight)
                weight[:, :, y * sy : y * sy + ky, x * sx : x * sx + kx] += part
        return Kernel(
            weight,
            (sy * other.stride[0], sx * other.stride[1]),
            (self.padding[0] + other.padding[0] * sy, self.padding[1] + other.padding[1] * sx),
            self.extent,
        )


@dataclass(frozen=True, slots=True, eq=False)
class LinearStep:
    """One linear operation of a traced module.

    Attributes:
        label: The operation and the module that runs it, for errors.
        apply: The operation without its constant part, in float64.
        is_reshape: Whether it keeps all values in their order.
        kernel: The operation as a convolution, if it is one.
        factor: Factor of each channel, f64[channels], if it multiplies by one.
        has_weights: Whether it applies weights of the module.
    """

    label: str
    apply: Callable[[Tensor], Tensor]
    is_reshape: bool = False
    kernel: Kernel | None = None
    factor: Tensor | None = None
    has_weights: bool = False


Path: TypeAlias = tuple[LinearStep, ...]
"""The steps from a source to a tensor, in order."""


@dataclass(frozen=True, slots=True, eq=False)
class LinearExpression:
    """A sum of linear maps of spikes, plus a constant.

    Attributes:
        paths: Pairs of a source and the steps that lead from it to this tensor.
        constant: f64 of the tensor's shape.
    """

    paths: tuple[tuple[Source, Path], ...]
    constant: Tensor

    def by_source(self) -> dict[Source, list[Path]]:
        """Return the paths from each source."""
        paths: dict[Source, list[Path]] = {}
        for source, path in self.paths:
            paths.setdefault(source, []).append(path)
        return paths

    def after(self, step: LinearStep, constant: Tensor | None = None) -> "LinearExpression":
        """Return the expression after one more step, which may add a constant."""
        paths = tuple((source, (*path, step)) for source, path in self.paths)
        moved = step.apply(self.constant)
        return LinearExpression(paths, moved if constant is None else moved + constant)


@dataclass(frozen=True, slots=True)
class Unmappable:
    """A tensor that is not a linear function of spikes.

    Attributes:
        reason: What made it so, as the subject of a sentence.
        is_state: Whether it is the state of a layer as the layer left it.
    """

    reason: str
    is_state: bool = False


def response_of(spikes: Tensor, paths: Iterable[Path]) -> Tensor:
    """Return what some paths from a source make of its spikes, without constants.

    Args:
        spikes: f64 of the shape of the source.
        paths: The paths.
    """
    total: Tensor | float = 0.0
    for path in paths:
        value = spikes
        for step in path:
            value = step.apply(value)
        total = total + value
    return torch.as_tensor(total)
