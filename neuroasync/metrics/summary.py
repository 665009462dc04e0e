"""Accuracy, cost and latency of a run, computed from its decisions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from neuroasync.core.engine.decision import Decision
from neuroasync.core.model.model import Model

__all__ = ["Moment", "Summary", "spike_density", "summarise"]


@dataclass(frozen=True, slots=True)
class Moment:
    """Cost until an event in a sample: means over the samples in which the event happens.

    Attributes:
        spikes: Spikes of all populations so far.
        steps: Forward steps so far.
        rounds: Rounds so far; a step that delivers k spikes takes ceil(k / group size).
    """

    spikes: float
    steps: float
    rounds: float


_Counts: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Summary:
    """Summary of the decisions of a run.

    A value is None if it needs correct classes or samples that are missing. A decision is made when
    the stop rule stops the sample, or when the sample ends.

    Attributes:
        samples: Number of samples.
        accuracy: Share of samples whose label is correct; samples without a label count as wrong.
        undecided: Number of samples without a label.
        spikes_per_sample: Mean number of spikes, not counting input events.
        spikes_per_neuron: The same divided by the number of neurons (spike density).
        spikes_by_population: Mean number of spikes per sample for each population.
        passes_per_sample, steps_per_sample, rounds_per_sample, synops_per_sample: Means. A
            synaptic operation is one target of one delivered spike.
        to_decision: Cost until the decision, over samples with a label.
        to_first: Cost until the first output spike, over samples that have one.
        to_first_correct: Cost until the correct class first leads, over samples where it does.
        latency_p50_ms, latency_p99_ms: Median and 99th percentile of the wall time of a decision,
            counted from the delivery of the first event.
    """

    samples: int
    accuracy: float | None
    undecided: int
    spikes_per_sample: float | None
    spikes_per_neuron: float | None
    spikes_by_population: dict[str, float]
    passes_per_sample: float | None
    steps_per_sample: float | None
    rounds_per_sample: float | None
    synops_per_sample: float | None
    to_decision: Moment | None
    to_first: Moment | None
    to_first_correct: Moment | None
    latency_p50_ms: float | None
    latency_p99_ms: float | None

    def to_json(self) -> dict[str, Any]:
        """Return a flat mapping with keys such as ``rounds_to_decision``."""
        flat: dict[str, Any] = {
            "samples": self.samples,
            "accuracy": self.accuracy,
            "undecided": self.undecided,
            "spikes_per_sample": self.spikes_per_sample,
            "spikes_per_neuron": self.spikes_per_neuron,
            "spikes_by_population": dict(self.spikes_by_population),
            "passes_per_sample": self.passes_per_sample,
            "steps_per_sample": self.steps_per_sample,
            "rounds_per_sample": self.rounds_per_sample,
        }
        for name in ("to_decision", "to_first", "to_first_correct"):
            moment = getattr(self, name)
            for unit in ("rounds", "steps", "spikes"):
                flat[f"{unit}_{name}"] = None if moment is None else getattr(moment, unit)
        flat["synops_per_sample"] = self.synops_per_sample
        flat["latency_ms"] = {"p50": self.latency_p50_ms, "p99": self.latency_p99_ms}
        return flat


def summarise(
    decisions: Sequence[Decision],
    targets: Sequence[int] | None = None,
    *,
    neurons: int | None = None,
) -> Summary:
    """Summarise the decisions of a run.

    Args:
        decisions: One decision per sample.
        targets: Correct class of each sample, if known.
        neurons: Number of neurons of the network. Without it, ``spikes_per_neuron`` is None.

    Raises:
        ValueError: The numbers of targets and decisions differ.
    """
    if targets is not None and len(targets) != len(decisions):
        raise ValueError(
            f"`targets` must have one class per decision, {len(decisions)}, got {len(targets)}"
        )
    spikes = _mean([d.total_spikes for d in decisions])
    names = list(decisions[0].spikes) if decisions else []
    latency = [1e3 * d.wall_s for d in decisions]
    p50, p99 = np.percentile(latency, (50, 99)).tolist() if latency else (None, None)
    accuracy = None
    correct: list[_Counts | None] = []
    if targets is not None:
        pairs = list(zip(decisions, targets, strict=True))
        accuracy = _mean([d.label == target for d, target in pairs])
        correct = [d.first_led.get(target) for d, target in pairs]
    return Summary(
        samples=len(decisions),
        accuracy=accuracy,
        undecided=sum(d.label is None for d in decisions),
        spikes_per_sample=spikes,
        spikes_per_neuron=None if spikes is None or not neurons else spikes / neurons,
        spikes_by_population={
            n: math.fsum(d.spikes[n] for d in decisions) / len(decisions) for n in names
        },
        passes_per_sample=_mean([d.passes for d in decisions]),
        steps_per_sample=_mean([d.steps for d in decisions]),
        rounds_per_sample=_mean([d.rounds for d in decisions]),
        synops_per_sample=_mean([d.synops for d in decisions]),
        to_decision=_moment([_at_the_end(d) for d in decisions]),
        to_first=_moment([d.first_spike for d in decisions]),
        to_first_correct=_moment(correct),
        latency_p50_ms=p50,
        latency_p99_ms=p99,
    )


def spike_density(summary: Summary, model: Model) -> dict[str, float]:
    """Compute the spike density of each population: mean spikes per neuron and sample.

    Args:
        summary: Summary of a run of the network. Without samples the result is empty.
        model: The network.
    """
    sizes = {p.name: p.size for p in model.populations}
    return {name: spikes / sizes[name] for name, spikes in summary.spikes_by_population.items()}


def _at_the_end(decision: Decision) -> _Counts | None:
    if decision.label is None:
        return None
    return decision.total_spikes, decision.steps, decision.rounds


def _moment(counts: Sequence[_Counts | None]) -> Moment | None:
    known = [count for count in counts if count is not None]
    if not known:
        return None
    spikes, steps, rounds = (math.fsum(column) / len(known) for column in zip(*known, strict=True))
    return Moment(spikes, steps, rounds)


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
