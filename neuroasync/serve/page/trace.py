"""The course of one decision, forward step by forward step, for the page to display.

A *moment* is the input group of a pass, or a forward step, together with the spikes that it causes.
For every moment, a trace has the costs so far, the leading class and all votes, so that a viewer
can go to any of them. Each spike and each delivered input event refers to the moment to which it
belongs. The decision falls in the last moment.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.recording.recording import Recording
from neuroasync.errors import LimitError

__all__ = ["MAX_TRACE_CELLS", "MAX_TRACE_SPIKES", "Trace", "make_trace"]

Ints = NDArray[np.int64]

MAX_TRACE_SPIKES: Final = 50_000
"""Maximum number of spikes, of delivered spikes, and of delivered input events. Each takes at most
about 40 bytes of JSON, which makes 2 MB."""

MAX_TRACE_CELLS: Final = 500_000
"""Maximum number of moments times classes, as each pair has a number of votes. Each takes about 3
bytes of JSON, which makes 1.5 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """The activity in one sample, moment by moment.

    Attributes:
        pass_: i64[moments], pass of each moment.
        step: i64[moments], forward step within the pass; 0 stands for the input group.
        steps: i64[moments], forward steps in the sample so far.
        rounds: i64[moments], rounds in the sample so far.
        spikes: i64[moments], spikes in the sample so far.
        leader: i64[moments], leading class by the rules of decisions, or -1 without votes.
        votes: i64[moments, classes], votes so far.
        spike_moment: i64[spikes], moment of each spike, in firing order.
        spike_population: i64[spikes], position of the spike's population in the model.
        spike_neuron: i64[spikes], index of the neuron in its population.
        spike_t_us: i64[spikes], virtual time of the spike, in microseconds.
        delivery_moment: i64[deliveries], moment of each delivery of a spike over the connections
            without delay, in the order of delivery. Until then, the spike is pending.
        delivery_population: i64[deliveries], position of the spike's population in the model.
        delivery_neuron: i64[deliveries], index of the neuron in its population.
        delivery_count: i64[deliveries], number of spikes of the neuron that are delivered together.
        input_moment: i64[inputs], moment of each delivered input event.
        input_index: i64[inputs], index of the input.
        input_count: i64[inputs], number of events of this index that are delivered together.
    """

    pass_: Ints
    step: Ints
    steps: Ints
    rounds: Ints
    spikes: Ints
    leader: Ints
    votes: Ints
    spike_moment: Ints
    spike_population: Ints
    spike_neuron: Ints
    spike_t_us: Ints
    delivery_moment: Ints
    delivery_population: Ints
    delivery_neuron: Ints
    delivery_count: Ints
    input_moment: Ints
    input_index: Ints
    input_count: Ints

    def to_json(self) -> dict[str, Any]:
        """Return the trace as lists. Each spike also has its pass, step and rounds."""
        at = self.spike_moment
        moments = {
            "pass": self.pass_, "step": self.step, "steps": self.steps, "rounds": self.rounds,
            "spikes": self.spikes, "leader": self.leader, "votes": self.votes,
        }  # fmt: skip
        spikes = {
            "moment": at, "pass": self.pass_[at], "step": self.step[at],
            "rounds": self.rounds[at], "t_us": self.spike_t_us,
            "population": self.spike_population, "neuron": self.spike_neuron,
        }  # fmt: skip
        inputs = {
            "moment": self.input_moment, "index": self.input_index, "count": self.input_count,
        }  # fmt: skip
        deliveries = {
            "moment": self.delivery_moment, "population": self.delivery_population,
            "neuron": self.delivery_neuron, "count": self.delivery_count,
        }  # fmt: skip
        tables = {
            "moments": moments, "spikes": spikes, "deliveries": deliveries, "inputs": inputs,
        }  # fmt: skip
        return {
            name: {key: array.tolist() for key, array in columns.items()}
            for name, columns in tables.items()
        }


def make_trace(recording: Recording) -> Trace:
    """Return the trace of a recording that has one sample.

    Raises:
        ValueError: The recording does not have exactly one sample.
        LimitError: The trace would be too large.
    """
    if len(recording) != 1:
        raise ValueError(f"the recording must have exactly one sample, got {len(recording)}")
    info = recording.info
    sizes = np.array([size for _, size in info.populations], np.int64)
    starts = np.cumsum(sizes) - sizes
    slots = recording.delivered_origin
    is_undelayed = recording.delivered_connection < 0
    is_input = (slots >= info.neurons) & is_undelayed
    is_spike = (slots < info.neurons) & is_undelayed
    _check_size("spikes", recording.neuron.size, MAX_TRACE_SPIKES)
    _check_size("delivered spikes", int(is_spike.sum()), MAX_TRACE_SPIKES)
    _check_size("delivered input events", int(is_input.sum()), MAX_TRACE_SPIKES)
    pass_, step, fired_at, delivered_at = _moments(recording)
    _check_size("votes (moments times classes)", pass_.size * info.classes, MAX_TRACE_CELLS)
    delivered = np.bincount(delivered_at, minlength=pass_.size)
    is_step = step > 0
    rounds = np.where(is_step, -(-delivered // info.group_size), 0)
    population, neuron = _locate(recording.neuron, starts)
    delivered_population, delivered_neuron = _locate(slots[is_spike], starts)
    output = [name for name, _ in info.populations].index(info.output)
    is_vote = population == output
    votes, leader = _count_votes(fired_at[is_vote], neuron[is_vote], pass_.size, info.classes)
    return Trace(
        pass_=pass_,
        step=step,
        steps=np.cumsum(is_step),
        rounds=np.cumsum(rounds),
        spikes=np.cumsum(np.bincount(fired_at, minlength=pass_.size)),
        leader=leader,
        votes=votes,
        spike_moment=fired_at,
        spike_population=population,
        spike_neuron=neuron,
        spike_t_us=recording.time_us,
        delivery_moment=delivered_at[is_spike],
        delivery_population=delivered_population,
        delivery_neuron=delivered_neuron,
        delivery_count=recording.delivered_count[is_spike],
        input_moment=delivered_at[is_input],
        input_index=slots[is_input] - info.neurons,
        input_count=recording.delivered_count[is_input],
    )


def _locate(neurons: Ints, starts: Ints) -> tuple[Ints, Ints]:
    """Return the population of each neuron of the network, and its index there."""
    population = np.searchsorted(starts, neurons, side="right") - 1
    return population, neurons - starts[population]


def _moments(recording: Recording) -> tuple[Ints, Ints, Ints, Ints]:
    """Return the pass and step of each moment, and the moment of each spike and delivery."""
    steps = (recording.step, recording.delivered_step)
    stride = 1 + max(int(step.max(initial=0)) for step in steps)
    fired = recording.pass_ * stride + recording.step
    delivered = recording.delivered_pass * stride + recording.delivered_step
    # A pass has an input group even if it is empty, and the stop rule is evaluated after it.
    input_groups = np.arange(recording.passes[0]) * stride
    moments, at = np.unique(np.concatenate((fired, delivered, input_groups)), return_inverse=True)
    ends = np.cumsum([fired.size, delivered.size])
    return moments // stride, moments % stride, at[: ends[0]], at[ends[0] : ends[1]]


def _count_votes(moment: Ints, cls: Ints, moments: int, classes: int) -> tuple[Ints, Ints]:
    """Count votes.

    Args:
        moment: i64[votes], moment of each vote, ascending.
        cls: i64[votes], class of each vote.
        moments: Number of moments.
        classes: Number of classes.

    Returns:
        Votes i64[moments, classes] and leaders i64[moments].
    """
    votes = np.zeros((moments, classes), np.int64)
    np.add.at(votes, (moment, cls), 1)
    np.cumsum(votes, axis=0, out=votes)
    reached = np.zeros(classes, np.int64)  # the moment at which each class reached its count
    leader = np.full(moments, -1, np.int64)
    by_moment = np.searchsorted(moment, np.arange(moments + 1))
    for m in range(moments):
        reached[cls[by_moment[m] : by_moment[m + 1]]] = m
        if votes[m].any():
            # The class that reached the count first wins a tie, then the lower class.
            best = np.flatnonzero(votes[m] == votes[m].max())
            leader[m] = best[np.argmin(reached[best])]
    return votes, leader


def _check_size(label: str, size: int, maximum: int) -> None:
    if size > maximum:
        raise LimitError(
            f"a trace may have at most {maximum} {label}, got {size}; "
            "send a shorter sample or use a stop rule that ends it sooner"
        )
