"""Comparison of the gradients of a loss that was computed in two ways."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

__all__ = ["check_gradients", "random_terms"]


def random_terms(results: Sequence[Tensor | None], seed: int) -> list[Tensor]:
    """Return the terms of a random loss: each element of the results times a random number."""
    rng = np.random.default_rng(seed)
    return [
        y * torch.from_numpy(rng.normal(size=y.shape)).to(y.device)
        for y in results
        if y is not None
    ]


def check_gradients(
    found: Sequence[Tensor], expected: Sequence[Tensor], terms: Sequence[Tensor]
) -> None:
    """Check that parameters have the same gradients, except for the rounding of float32.

    Args:
        found: Parameters whose gradients are checked.
        expected: The same parameters with the right gradients, which are those of the sum of
            ``terms``. The rounding error of a parameter's gradient may be as large as those of the
            parameters before it allow, because it may be computed from their gradients.
        terms: Terms of the loss, with the graph that leads to ``expected``.
    """
    right = [_flat(x.grad) for x in expected]
    for k, parameter in enumerate(found):
        assert (parameter.grad is None) == (expected[k].grad is None)
        error = np.abs(_flat(parameter.grad) - right[k]).max(initial=0)
        scale = max(np.abs(g).max(initial=0) for g in right[: k + 1])
        if error > _allowed(scale):
            # Terms may cancel out; what remains of them has the rounding error of the terms.
            scale = max(map(np.max, _sums_of_sizes(expected[: k + 1], terms)))
        assert error <= _allowed(scale)


def _allowed(scale: float) -> float:
    """Return the rounding error that gradients of a size may have in float32.

    Tiny gradients come from far below the threshold, where a surrogate is the exponential of a
    large number: its relative error grows with this number.
    """
    if not 0 < scale < 1e-6:
        return 1e-5 * scale
    return -1e-5 * scale * math.log(scale)


def _flat(gradient: Tensor | None) -> np.ndarray:
    return np.zeros(0) if gradient is None else gradient.double().cpu().numpy().ravel()


def _sums_of_sizes(parameters: Sequence[Tensor], terms: Sequence[Tensor]) -> list[np.ndarray]:
    """Return, for each parameter, the sum of the absolute gradients of the terms."""
    sums = [np.zeros(x.numel()) for x in parameters]
    for term in (x for y in terms if y.requires_grad for x in y.ravel()):
        gradients = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
        for total, gradient in zip(sums, gradients, strict=True):
            if gradient is not None:
                total += np.abs(_flat(gradient))
    return sums
