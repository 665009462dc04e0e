"""Losses on spike counts: cross-entropy of the votes, and a penalty on spikes."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

__all__ = ["LossKind", "spike_penalty", "vote_loss"]

LossKind = Literal["accumulated", "timestep", "final"]


def vote_loss(
    votes: Tensor, labels: Tensor, passes: Tensor, kind: LossKind, scale: float
) -> Tensor:
    """Cross-entropy of ``scale * votes``, the mean over samples.

    Args:
        votes: f32[B, T, classes], output spikes in each pass.
        labels: i64[B].
        passes: i64[B], how many of the T passes each sample has; later ones do not count.
        kind: ``"accumulated"``: of the votes so far, the mean over a sample's passes;
            ``"timestep"``: of each pass's own votes, the mean; ``"final"``: of all votes at the
            end.
        scale: of the votes before the softmax.

    Returns:
        f32[].
    """
    if kind == "final":
        return cross_entropy(scale * votes.sum(1), labels)
    if kind == "accumulated":
        votes = votes.cumsum(1)
    classes, timesteps = votes.shape[2], votes.shape[1]
    each = cross_entropy(
        scale * votes.reshape(-1, classes),
        labels.repeat_interleave(timesteps),
        reduction="none",
    ).view(-1, timesteps)
    return _mean_over_passes(each, passes).mean()


def spike_penalty(spikes: Tensor, passes: Tensor, hidden: Sequence[int], target: float) -> Tensor:
    """Sum over hidden populations of max(0, r - target)², r a sample's mean spikes per pass.

    Args:
        spikes: f32[B, T, P], spikes of each population in each pass.
        passes: i64[B], how many of the T passes each sample has.
        hidden: populations that count.
        target: spikes per pass that cost nothing.

    Returns:
        f32[], the mean over samples.
    """
    rate = spikes[:, :, list(hidden)].sum(1) / passes.clamp(min=1)[:, None]
    return torch.relu(rate - target).square().sum(1).mean()


def _mean_over_passes(each: Tensor, passes: Tensor) -> Tensor:
    """Mean of f32[B, T] over the passes that a sample has: f32[B]."""
    counts = torch.arange(each.shape[1], device=each.device) < passes[:, None]
    return (each * counts).sum(1) / passes.clamp(min=1)
