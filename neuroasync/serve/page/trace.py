"""One decision, laid out for a person to watch: what happened after each forward step.

A *moment* is what stop rules are asked at: the input group of each pass, and each forward step.
What was spent, who leads and all votes are told for every moment, so a viewer can stand at any of
them; spikes and delivered input events name the moment that they belong to. The decision falls in
the last one.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.recording.recording import Recording
from neuroasync.errors import LimitError

__all__ = ["MAX_TRACE_CELLS", "MAX_TRACE_SPIKES", "Trace", "trace_of"]

Ints = NDArray[np.int64]

MAX_TRACE_SPIKES: Final = 50_000
"""Spikes of a trace, and input events delivered; some 40 bytes of JSON each, 2 MB."""

MAX_TRACE_CELLS: Final = 500_000
"""Moments times classes: votes are told for each; some 3 bytes of JSON each, 1.5 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """What one sample did, moment by moment.

    Attributes:
        pass_, step: i64[moments], the pass, and the forward step in it; step 0 is its input group.
        steps, rounds, spikes: i64[moments], spent in the sample so far.
        leader: i64[moments], class with the most votes, by the rule of decisions; -1 for none.
        votes: i64[moments, classes], so far.
        spike_moment, spike_neuron, spike_t_us: i64[spikes], in firing order. Neurons count in
            their population; the time is virtual, µs.
        spike_population: i64[spikes], position of the population.
        input_moment, input_index, input_count: i64[inputs], input delivered, and how many events
            of one index at once.
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
    input_moment: Ints
    input_index: Ints
    input_count: Ints

    def to_json(self) -> dict[str, Any]:
        """The trace as plain lists; each spike also says its pass, step and rounds."""
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
        named = {"moments": moments, "spikes": spikes, "inputs": inputs}
        return {
            name: {key: array.tolist() for key, array in columns.items()}
            for name, columns in named.items()
        }


def trace_of(recording: Recording) -> Trace:
    """The trace of a recording's one sample.

    Raises:
        LimitError: it is too large to be told; says of what there is too much.
    """
    if len(recording) != 1:
        raise ValueError(f"a recording of {len(recording)} samples, expected one")
    info = recording.info
    sizes = np.array([size for _, size in info.populations], np.int64)
    starts = np.cumsum(sizes) - sizes
    slots = recording.delivered_origin
    is_input = (slots >= info.neurons) & (recording.delivered_connection < 0)
    _check("spikes", recording.neuron.size, MAX_TRACE_SPIKES)
    _check("input events delivered", int(is_input.sum()), MAX_TRACE_SPIKES)
    pass_, step, fired_at, delivered_at = _moments(recording)
    _check("votes (moments times classes)", pass_.size * info.classes, MAX_TRACE_CELLS)
    delivered = np.bincount(delivered_at, minlength=pass_.size)
    is_step = step > 0
    rounds = np.where(is_step, -(-delivered // info.group_size), 0)
    population = np.searchsorted(starts, recording.neuron, side="right") - 1
    neuron = recording.neuron - starts[population]
    output = [name for name, _ in info.populations].index(info.output)
    is_vote = population == output
    votes, leader = _standing(fired_at[is_vote], neuron[is_vote], pass_.size, info.classes)
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
        input_moment=delivered_at[is_input],
        input_index=slots[is_input] - info.neurons,
        input_count=recording.delivered_count[is_input],
    )


def _moments(recording: Recording) -> tuple[Ints, Ints, Ints, Ints]:
    """Pass and step of each moment, and which moment each spike and each delivery belongs to."""
    steps = (recording.step, recording.delivered_step)
    stride = 1 + max(int(step.max(initial=0)) for step in steps)
    fired = recording.pass_ * stride + recording.step
    delivered = recording.delivered_pass * stride + recording.delivered_step
    # A pass has an input group even if nothing is in it, and a stop rule is asked after it.
    begun = np.arange(recording.passes[0]) * stride
    moments, at = np.unique(np.concatenate((fired, delivered, begun)), return_inverse=True)
    ends = np.cumsum([fired.size, delivered.size])
    return moments // stride, moments % stride, at[: ends[0]], at[ends[0] : ends[1]]


def _standing(moment: Ints, cls: Ints, moments: int, classes: int) -> tuple[Ints, Ints]:
    """Votes i64[moments, classes] and leader i64[moments], from each vote's moment and class."""
    votes = np.zeros((moments, classes), np.int64)
    np.add.at(votes, (moment, cls), 1)
    np.cumsum(votes, axis=0, out=votes)
    reached = np.zeros(classes, np.int64)  # the moment at which a class came to its count
    leader = np.full(moments, -1, np.int64)
    by_moment = np.searchsorted(moment, np.arange(moments + 1))
    for m in range(moments):
        reached[cls[by_moment[m] : by_moment[m + 1]]] = m
        if votes[m].any():
            # A tie is of who came to the count first, then of the lower class.
            best = np.flatnonzero(votes[m] == votes[m].max())
            leader[m] = best[np.argmin(reached[best])]
    return votes, leader


def _check(what: str, found: int, most: int) -> None:
    if found > most:
        raise LimitError(
            f"{what}: {found}, the limit of a trace is {most}. "
            "Send a shorter sample, or a stop rule that ends it sooner"
        )
