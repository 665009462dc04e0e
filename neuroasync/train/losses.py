"""Losses on spike counts: cross-entropy of the votes, and a penalty on spikes.

Let n[t, c] be the output spikes (votes) of class c in pass t of a sample with T passes, y the
sample's class, and a the vote scale. With CE(z, y) = log(sum over c of exp(z[c])) - z[y], the vote
loss of the sample is one of

- ``"accumulated"``: 1/T * sum over t of CE(a * (n[1] + ... + n[t]), y)
- ``"timestep"``:    1/T * sum over t of CE(a * n[t], y)
- ``"final"``:       CE(a * (n[1] + ... + n[T]), y)

The spike penalty of the sample is the sum over the hidden populations of max(0, r - target)**2,
where r is the population's mean number of spikes per pass. Both losses are means over the samples
of a batch.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

__all__ = ["LOSSES", "LossKind", "spike_penalty", "vote_loss"]

LossKind = Literal["accumulated", "timestep", "final"]
LOSSES: Final[tuple[LossKind, ...]] = ("accumulated", "timestep", "final")


def vote_loss(
    votes: Tensor,
    labels: Tensor | NDArray[np.int64],
    passes: Tensor | NDArray[np.int64],
    kind: LossKind = "accumulated",
    scale: float = 0.5,
) -> Tensor:
    """Return the cross-entropy of ``scale * votes``, averaged over the samples.

    Args:
        votes: f32[B, T, classes], output spikes in each pass.
        labels: i64[B], the correct classes.
        passes: i64[B], number of passes of each sample. Later passes do not count.
        kind: ``"accumulated"`` averages over the passes, using all votes up to each pass;
            ``"timestep"`` averages over the passes, using the votes of each pass alone;
            ``"final"`` uses all votes at the end of the sample.
        scale: Factor of the votes before the softmax.

    Returns:
        f32[], the loss.

    Raises:
        ValueError: The kind is unknown.
    """
    if kind not in LOSSES:
        raise ValueError(f"`loss` must be one of {list(LOSSES)}, got {kind!r:.80}")
    labels, passes = _beside(votes, labels), _beside(votes, passes)
    if kind == "final":
        return cross_entropy(scale * votes.sum(1), labels)
    if kind == "accumulated":
        votes = votes.cumsum(1)
    classes, timesteps = votes.shape[2], votes.shape[1]
    each = cross_entropy(
        scale * votes.reshape(-1, classes),
        labels.repeat_interleave(timesteps),
        reduction="none",
    ).view(len(votes), timesteps)
    return _mean_over_passes(each, passes).mean()


def spike_penalty(
    spikes: Tensor,
    passes: Tensor | NDArray[np.int64],
    hidden: Sequence[int],
    target: float = 6.0,
) -> Tensor:
    """Return the squared excess of the hidden populations' spikes, averaged over the samples.

    Args:
        spikes: f32[B, T, P], spikes of each population in each pass.
        passes: i64[B], number of passes of each sample.
        hidden: Indices of the populations to penalise.
        target: Spikes per pass up to which a population costs nothing.

    Returns:
        f32[], the penalty.
    """
    passes = _beside(spikes, passes)
    rate = spikes[:, :, list(hidden)].sum(1) / passes.clamp(min=1)[:, None]
    return torch.relu(rate - target).square().sum(1).mean()


def _beside(tensor: Tensor, values: Tensor | NDArray[Any]) -> Tensor:
    """Return values as a tensor on the device of ``tensor``."""
    if not isinstance(values, Tensor):
        # Torch warns if it shares the memory of a read-only array.
        values = torch.from_numpy(np.array(values))
    return values.to(tensor.device)


def _mean_over_passes(each: Tensor, passes: Tensor) -> Tensor:
    """Return the mean of f32[B, T] over the passes that each sample has, as f32[B]."""
    counts = torch.arange(each.shape[1], device=each.device) < passes[:, None]
    return (each * counts).sum(1) / passes.clamp(min=1)
