"""Checks that a layer treats all timesteps and all samples alike, as a network does."""

import math
from dataclasses import replace
from typing import Final

import numpy as np
import torch
from torch import Tensor

from neuroasync.errors import InterchangeError
from neuroasync.interchange.torch_modules.expressions import (
    LinearExpression,
    Source,
    response_of,
)

__all__ = ["check_rows", "check_timesteps"]

_ROUNDING: Final = 1e-9
"""Difference that is due to rounding in float64, as a share of the largest value."""


def check_rows(expression: LinearExpression, layer: str, lead: int) -> None:
    """Check that a layer's input at a timestep depends on that of one sample alone.

    Args:
        expression: The input current.
        layer: Name of the layer, for the error.
        lead: Number of rows, which are batch elements, times timesteps if a tensor has both.

    Raises:
        InterchangeError: A row depends on others, or rows are different functions of the spikes.
    """
    error = InterchangeError(
        f"layer `{layer}` gets an input that mixes timesteps or samples, or treats them "
        "differently, so the network cannot be imported"
    )
    constant = expression.constant.reshape(lead, -1)
    if not _are_close(constant, constant[:1].expand_as(constant)):
        raise error
    rows = sorted({0, lead // 2, lead - 1})
    for source, paths in expression.by_source().items():
        values = _probe(source).reshape(lead, -1)[0]
        first = None
        for row in rows:
            spikes = torch.zeros(lead, values.numel(), dtype=torch.float64)
            spikes[row] = values
            response = response_of(spikes.reshape(source.shape), paths).reshape(lead, -1)
            first = response[row].clone() if first is None else first
            expected = torch.zeros_like(response)
            expected[row] = first
            if not _are_close(response, expected):
                raise error


def check_timesteps(
    latest: LinearExpression, earlier: LinearExpression, distance: int, layer: str
) -> None:
    """Check that a layer's input is the same function of spikes in two timesteps.

    What reaches back to before the first timestep is not compared.

    Args:
        latest: The input current in the later timestep.
        earlier: The input current in the earlier timestep.
        distance: Number of timesteps from the earlier one to the later one.
        layer: Name of the layer, for the error.

    Raises:
        InterchangeError: They are different functions.
    """
    paths, paths_before = latest.by_source(), earlier.by_source()
    same = _are_close(latest.constant, earlier.constant)
    for source in paths:
        if source.timestep >= distance:
            before = replace(source, timestep=source.timestep - distance)
            spikes = _probe(source)
            same = same and before in paths_before
            same = same and _are_close(
                response_of(spikes, paths[source]), response_of(spikes, paths_before[before])
            )
    if not same:
        raise InterchangeError(
            f"layer `{layer}` gets an input that is another function of the spikes in each "
            "timestep, so the network cannot be imported"
        )


def _probe(source: Source) -> Tensor:
    """Return spikes of a source that differ from each other; any values do."""
    count = int(np.prod(source.shape))
    return torch.cos(torch.arange(count, dtype=torch.float64)).reshape(source.shape)


def _are_close(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors are equal, up to rounding; the model checks infinite values."""
    if one.shape != other.shape:
        return False
    largest = max(float(one.abs().max()), float(other.abs().max()))
    is_finite = math.isfinite(largest)
    return not is_finite or bool(((one - other).abs() <= _ROUNDING * largest).all())
