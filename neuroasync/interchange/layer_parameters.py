"""Parameters of a spiking layer of torch as those of a population."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neuroasync.errors import InterchangeError
from neuroasync.interchange.time_constants import time_constants

__all__ = ["number_or_array", "spread", "time_constant"]


def spread(value: Any, shape: tuple[int, ...], place: str, name: str) -> NDArray[np.float32]:
    """Return a parameter of a layer for each of its neurons, f32 of the layer's shape.

    Args:
        value: A number, or a tensor that broadcasts to the layer.
        shape: Shape of the layer.
        place: The layer, for the error.
        name: Name of the parameter.

    Raises:
        InterchangeError: The parameter has another shape.
    """
    array = torch.as_tensor(value).detach().cpu().float().numpy()
    try:
        return np.ascontiguousarray(np.broadcast_to(array, (1, *shape))[0])
    except ValueError:
        raise InterchangeError(
            f"{place} has {name} of shape {array.shape}, but its neurons have the shape {shape}"
        ) from None


def number_or_array(
    value: Any, shape: tuple[int, ...], place: str, name: str
) -> float | NDArray[np.float32]:
    """Return a positive parameter: one number if it is the same for all neurons, else f32.

    Raises:
        InterchangeError: The parameter is not above 0, or has another shape.
    """
    array = spread(value, shape, place, name)
    if not (array > 0).all():
        raise InterchangeError(f"{place} must have {name} above 0, got {float(array.min())}")
    return float(array.flat[0]) if (array == array.flat[0]).all() else array


def time_constant(
    factor: Any, shape: tuple[int, ...], timestep_us: int, place: str, name: str
) -> tuple[float | NDArray[np.float32], list[str]]:
    """Return the time constant for a decay factor, and notes on where it is not exact.

    Raises:
        InterchangeError: The factor is not from 0 to 1, or has another shape.
    """
    array = spread(factor, shape, place, name)
    if not ((array >= 0) & (array <= 1)).all():
        worst = array.min() if array.min() < 0 else array.max()
        raise InterchangeError(f"{place} must have {name} from 0 to 1, got {float(worst)}")
    tau, misses = time_constants(array, timestep_us)
    if not misses:
        return tau, []
    return tau, [
        f"{place}: for {misses} neurons, the decay differs from {name} in its last bit, because "
        "time constants are float32"
    ]
