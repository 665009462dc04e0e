"""Losses: cross-entropy of votes or of membrane potentials, and a penalty on spikes.

Let n[t, c] be the output spikes (votes) of class c in pass t of a sample with T passes, y the
sample's class, and a the vote scale. With CE(z, y) = log(sum over c of exp(z[c])) - z[y], the vote
loss of the sample is one of

- ``"accumulated"``: 1/T * sum over t of CE(a * (n[1] + ... + n[t]), y)
- ``"timestep"``:    1/T * sum over t of CE(a * n[t], y)
- ``"final"``:       CE(a * (n[1] + ... + n[T]), y)

If the class changes within the sample, let y[k] be the class of interval k, K the set of intervals
that have one, and w[k, c] the votes of class c in the vote window that ends with interval k. Then
the loss of the sample is

- ``"windowed"``:    1/|K| * sum over k in K of CE(a * w[k], y[k])

An output of leaky integrators does not vote. With its potential u[t, c] at the end of pass t, the
potential loss of the sample is one of

- ``"accumulated"``: 1/T * sum over t of CE(a * u[t], y); the potential accumulates by itself
- ``"final"``:       CE(a * u[T], y), the potentials that decide
- ``"maximum"``:     CE(a * max over t of u[t], y)
- ``"windowed"``:    as above, with w[k, c] the sum of the potentials u[t, c] at the ends of the
  intervals in the vote window

Source of the last: Cramer et al., The Heidelberg spiking data sets for the systematic evaluation of
spiking neural networks, IEEE TNNLS 33 (2022), arXiv 1910.07407, as the loss over the maximum.

The spike penalty of the sample is the sum over the hidden populations of max(0, r - target)**2,
where r is the population's mean number of spikes per pass, scaled to 64 neurons if the population
has more. Both losses are means over the samples of a batch.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from neuroasync.core.model.checks import check_int, must_be
from neuroasync.train.kernels.pass_losses import pass_losses

__all__ = [
    "LOSSES",
    "LossKind",
    "check_loss",
    "potential_loss",
    "spike_penalty",
    "vote_loss",
    "window_votes",
    "windowed_vote_loss",
]

LossKind = Literal["accumulated", "timestep", "final", "maximum", "windowed"]
_OF_VOTES: Final[tuple[LossKind, ...]] = ("accumulated", "timestep", "final", "windowed")
_OF_POTENTIALS: Final[tuple[LossKind, ...]] = ("accumulated", "final", "maximum", "windowed")
LOSSES: Final[tuple[LossKind, ...]] = (
    "accumulated", "timestep", "final", "maximum", "windowed",
)  # fmt: skip

_PENALTY_SIZE: Final = 64
"""Size of a population up to which the target of the spike penalty holds as it is. Per neuron, it
would silence small populations, which need more spikes of each neuron to tell as much."""


def check_loss(kind: LossKind, *, of_potentials: bool) -> None:
    """Raise ValueError if there is no such loss of votes, or of potentials."""
    kinds = _OF_POTENTIALS if of_potentials else _OF_VOTES
    if kind not in kinds:
        output = "leaky integrators" if of_potentials else "neurons that fire"
        raise ValueError(
            f"`loss` must be one of {list(kinds)} for an output of {output}, got {kind!r:.80}"
        )


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
        passes: i64[B], number of passes of each sample, at most T. Later passes do not count.
        kind: ``"accumulated"`` averages over the passes, using all votes up to each pass;
            ``"timestep"`` averages over the passes, using the votes of each pass alone;
            ``"final"`` uses all votes at the end of the sample.
        scale: Factor of the votes before the softmax.

    Returns:
        f32[], the loss.

    Raises:
        ValueError: The kind is unknown, a shape does not fit, or labels or passes are out of range.
    """
    labels, passes = _targets(votes, labels, passes, kind, _OF_VOTES)
    if kind == "final":
        return cross_entropy(scale * votes.sum(1), labels)
    return _loss_of_passes(votes, labels, passes, scale, accumulates=kind == "accumulated")


def potential_loss(
    potentials: Tensor,
    labels: Tensor | NDArray[np.int64],
    passes: Tensor | NDArray[np.int64],
    kind: LossKind = "accumulated",
    scale: float = 0.5,
) -> Tensor:
    """Return the cross-entropy of ``scale * potentials``, averaged over the samples.

    Args:
        potentials: f32[B, T, classes], potentials of an output of leaky integrators at the end of
            each pass.
        labels: i64[B], the correct classes.
        passes: i64[B], number of passes of each sample, at most T. Later passes do not count.
        kind: ``"accumulated"`` averages over the passes; ``"final"`` uses the potentials at the end
            of the sample; ``"maximum"`` uses the highest potential of each class.
        scale: Factor of the potentials before the softmax.

    Returns:
        f32[], the loss.

    Raises:
        ValueError: The kind is unknown, a shape does not fit, or labels or passes are out of range.
    """
    labels, passes = _targets(potentials, labels, passes, kind, _OF_POTENTIALS)
    if kind == "accumulated":
        return _loss_of_passes(potentials, labels, passes, scale, accumulates=False)
    if not potentials.shape[1]:
        return cross_entropy(scale * potentials.sum(1), labels)
    if kind == "final":
        last = (passes - 1).clamp(min=0)[:, None, None].expand(-1, 1, potentials.shape[2])
        return cross_entropy(scale * potentials.gather(1, last)[:, 0], labels)
    counts = torch.arange(potentials.shape[1], device=potentials.device) < passes[:, None]
    counts[:, 0] = True  # a sample without passes stays at rest
    highest = potentials.masked_fill(~counts[:, :, None], -torch.inf).max(1).values
    return cross_entropy(scale * highest, labels)


def _loss_of_passes(
    outputs: Tensor, labels: Tensor, passes: Tensor, scale: float, *, accumulates: bool
) -> Tensor:
    """Return the mean cross-entropy over the passes of each sample, averaged over the samples."""
    if outputs.device.type == "cpu" and outputs.dtype == torch.float32:
        arguments = outputs, labels, passes, scale, accumulates
        return _PassLosses.apply(*arguments)  # type: ignore[no-any-return, no-untyped-call]
    return _loss_by_torch(outputs, labels, passes, scale, accumulates=accumulates)


def _loss_by_torch(
    outputs: Tensor, labels: Tensor, passes: Tensor, scale: float, *, accumulates: bool
) -> Tensor:
    """Compute the same with torch, on any device, with any type and any number of derivatives."""
    logits = scale * (outputs.cumsum(1) if accumulates else outputs)
    # Torch's softmax over a few classes is many times faster if they are not the last axis.
    by_class = logits.permute(2, 0, 1).contiguous().log_softmax(0)
    each = -by_class.gather(0, labels[None, :, None].expand(1, *logits.shape[:2]))[0]
    counts = torch.arange(each.shape[1], device=each.device) < passes[:, None]
    return ((each * counts).sum(1) / passes.clamp(min=1)).mean()


class _PassLosses(torch.autograd.Function):
    """Compute the same with a kernel. Torch spends most of the time on its many calls."""

    @staticmethod
    def forward(
        ctx: Any, outputs: Tensor, labels: Tensor, passes: Tensor, scale: float, accumulates: bool
    ) -> Tensor:
        values = outputs.detach().contiguous().numpy()
        gradient = np.empty(values.shape, np.float32)
        loss = pass_losses(
            values, labels.numpy(), passes.numpy(), float(scale), accumulates, gradient
        )
        ctx.save_for_backward(outputs, labels, passes)
        ctx.scale, ctx.accumulates = scale, accumulates
        ctx.gradient = torch.from_numpy(gradient)
        return torch.from_numpy(np.array(loss, np.float32))

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor) -> Any:
        gradient = grad_loss * ctx.gradient
        if torch.is_grad_enabled():  # with `create_graph`, for a second derivative
            outputs, labels, passes = ctx.saved_tensors
            loss = _loss_by_torch(outputs, labels, passes, ctx.scale, accumulates=ctx.accumulates)
            (gradient,) = torch.autograd.grad(loss, outputs, grad_loss, create_graph=True)
        return gradient, None, None, None, None


def window_votes(votes: Tensor, passes: int, intervals: int) -> Tensor:
    """Return the votes in the vote window at the end of each interval.

    Args:
        votes: f32[B, T, classes], output spikes in each pass.
        passes: Number of passes of an interval.
        intervals: Number of intervals of the window.

    Returns:
        f32[B, T // passes, classes].

    Raises:
        ValueError: ``votes`` has another shape, or ``passes`` or ``intervals`` is less than 1.
    """
    _check_outputs("votes", votes)
    for name, value in (("passes", passes), ("intervals", intervals)):
        check_int(name, value, 1, 2**53, ValueError)
    count = votes.shape[1] // passes
    whole = votes[:, : count * passes].reshape(len(votes), count, passes, votes.shape[2])
    length = min(intervals, max(count, 1))
    # A difference of two running sums would leave rounding errors in the gradients of votes that
    # do not count.
    padded = torch.nn.functional.pad(whole.sum(2), (0, 0, length - 1, 0))
    return padded.unfold(1, length, 1).sum(-1) if count else whole.sum(2)


def windowed_vote_loss(
    votes: Tensor,
    labels: Tensor | NDArray[np.int64],
    passes: int,
    intervals: int = 1,
    scale: float = 0.5,
) -> Tensor:
    """Return the cross-entropy of the votes in a window, for labels over time.

    It is the mean over the labelled intervals of a sample, averaged over the samples. A sample
    without a class counts as 0.

    Args:
        votes: f32[B, T, classes], output spikes in each pass.
        labels: i64[B, intervals], class of each interval; -1 where there is none. Intervals after
            the last pass do not count.
        passes: Number of passes of an interval.
        intervals: Number of intervals of the vote window.
        scale: Factor of the votes before the softmax.

    Returns:
        f32[], the loss.

    Raises:
        ValueError: A shape does not fit, a label is neither a class nor -1, or ``passes`` or
            ``intervals`` is less than 1.
    """
    windows = window_votes(votes, passes, intervals)
    samples, count, classes = windows.shape
    labels = _integers("labels", labels, samples, over_time=True)
    _check_range("labels", labels, -1, classes - 1)
    labels = labels.to(votes.device)[:, :count]
    windows = windows[:, : labels.shape[1]]
    each = cross_entropy(
        scale * windows.reshape(-1, classes), labels.reshape(-1), reduction="none", ignore_index=-1
    ).view(samples, labels.shape[1])
    return (each.sum(1) / (labels >= 0).sum(1).clamp(min=1)).mean()


def spike_penalty(
    spikes: Tensor,
    passes: Tensor | NDArray[np.int64],
    hidden: Mapping[int, int],
    target: float = 6.0,
) -> Tensor:
    """Return the squared excess of the hidden populations' spikes, averaged over the samples.

    A population of more than 64 neurons, such as a convolutional one, may fire more spikes, in
    proportion to its size.

    Args:
        spikes: f32[B, T, P], spikes of each population in each pass.
        passes: i64[B], number of passes of each sample.
        hidden: Number of neurons of each population to penalise, by its index.
        target: Spikes per pass up to which a population of at most 64 neurons costs nothing.

    Returns:
        f32[], the penalty.

    Raises:
        ValueError: A shape does not fit, or there is no such population.
    """
    _check_outputs("spikes", spikes, "populations")
    passes = _integers("passes", passes, len(spikes)).to(spikes.device)
    for p in hidden:
        check_int("hidden", p, 0, spikes.shape[2] - 1, ValueError)
    rate = spikes[:, :, list(hidden)].sum(1) / passes.clamp(min=1)[:, None]
    rate = rate * rate.new_tensor(
        [_PENALTY_SIZE / max(size, _PENALTY_SIZE) for size in hidden.values()]
    )
    return torch.relu(rate - target).square().sum(1).mean()


def _targets(
    outputs: Tensor,
    labels: Tensor | NDArray[np.int64],
    passes: Tensor | NDArray[np.int64],
    kind: LossKind,
    kinds: tuple[LossKind, ...],
) -> tuple[Tensor, Tensor]:
    """Return labels and passes beside ``outputs``, for a loss with one label for each sample.

    Raises:
        ValueError: The kind is unknown, a shape does not fit, or labels or passes are out of range.
    """
    allowed = [known for known in kinds if known != "windowed"]
    if kind not in allowed:
        raise ValueError(f"`loss` must be one of {allowed}, got {kind!r:.80}")
    _check_outputs("votes" if kinds is _OF_VOTES else "potentials", outputs)
    samples, longest, classes = outputs.shape
    # They are checked where they are: on a GPU, each check would wait for it.
    labels = _integers("labels", labels, samples)
    passes = _integers("passes", passes, samples)
    _check_range("labels", labels, 0, classes - 1)
    _check_range("passes", passes, 0, longest)
    return labels.to(outputs.device), passes.to(outputs.device)


def _check_outputs(name: str, outputs: Tensor, last: str = "classes") -> None:
    """Raise ValueError unless outputs have an axis of samples, one of passes, and another one."""
    if outputs.ndim != 3:
        requirement = f"of the shape [samples, passes, {last}]"
        raise ValueError(must_be(name, requirement, f"{tuple(outputs.shape)}"))


def _integers(
    name: str, values: Tensor | NDArray[Any], samples: int, *, over_time: bool = False
) -> Tensor:
    """Return integers as a tensor i64[samples], or i64[samples, intervals], where they are.

    Raises:
        ValueError: They are no integers, or have another shape.
    """
    # Torch warns if it shares the memory of a read-only array.
    tensor = values if isinstance(values, Tensor) else torch.from_numpy(np.array(values))
    if tensor.ndim != 1 + over_time or len(tensor) != samples or tensor.is_floating_point():
        each = "each interval of each" if over_time else "each"
        requirement = f"an integer for {each} of the {samples} samples"
        given = f"{tensor.dtype} of the shape {tuple(tensor.shape)}"
        raise ValueError(must_be(name, requirement, given))
    return tensor.to(torch.int64)


def _check_range(name: str, values: Tensor, low: int, high: int) -> None:
    """Raise ValueError unless all integers are in their range."""
    if values.numel() and not low <= int(values.min()) <= int(values.max()) <= high:
        at = ((values < low) | (values > high)).nonzero()[0].tolist()
        place = f"{name}[{', '.join(map(str, at))}]"
        check_int(place, int(values[tuple(at)]), low, high, ValueError)
