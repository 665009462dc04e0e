"""Recordings: every spike of a run in firing order, and every delivery.

The class :class:`Recording` documents the arrays. :mod:`neuroasync.core.recording.file` documents
how they are stored in a file, :mod:`neuroasync.core.recording.run_info` the description of the run.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from html import escape
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.values import taken_values
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.model.checks import check_int, check_type
from neuroasync.core.quantity import quantity
from neuroasync.core.recording.raster_svg import raster_svg
from neuroasync.core.recording.run_info import RunInfo
from neuroasync.core.recording.validation import (
    TURN_ARRAY,
    VALUE_ARRAYS,
    check_recording,
    read_only,
)
from neuroasync.errors import RecordingError

__all__ = ["Recording", "RunInfo", "check_made_with", "rows_digest"]


@dataclass(frozen=True, eq=False, repr=False)
class Recording:
    """The spikes and deliveries of a run, sample after sample.

    Rows are spikes, in firing order: ascending by sample, pass and step, and by neuron within a
    step. Neurons are numbered through the whole network, from 0 to N - 1. In the arrays about
    deliveries, numbers from N on mean input. In ``delivered_origin``, N + i is the input index i.
    In ``delivered_neuron``, it is the input index i if input is prioritised, and the i-th input
    event of the pass if input is queued.

    Attributes:
        info: description of the run.
        sample: i64[rows], position of the spike's sample in the arrays per sample.
        pass_: i64[rows], forward pass of the spike, from 0.
        step: i64[rows], forward step in which the neuron fired; 0 is the input of the pass.
        time_us: i64[rows], virtual time of the pass, µs.
        neuron: i64[rows], the neuron that fired.
        delivered_sample, delivered_pass, delivered_step: i64[deliveries], when a spike event was
            delivered; within a step in slot order.
        delivered_neuron: i64[deliveries], key of the delivered event in the order of the policy.
        delivered_origin: i64[deliveries], neuron or input that the event comes from.
        delivered_count: i64[deliveries], multiplicity of the event.
        delivered_connection: i64[deliveries], the connection whose delay ended, or -1 if the event
            was delivered over all connections without delay.
        number: i64[samples], number of the sample in its data set.
        label: i64[samples], label of the decision; -1 for none.
        target: i64[samples], the correct class; -1 if it is not known.
        votes: i64[samples, classes], votes of the output population.
        passes, steps, rounds, synops, spikes: i64[samples], counts of the decision.
        seed: u64[samples], seed of the sample's order keys.
        duration_us: i64[samples], the requested duration; -1 if there was none.
        stopped: bool[samples], whether the stop rule ended the sample.
        input_t_us, input_index: i64[events], the input events of all samples.
        input_offsets: i64[samples + 1], position of each sample's first input event, then the
            number of events.
        input_value: f32[events], values of the input events; None if they are all spikes.
        delivered_value: f32[deliveries], what the weights of each delivery were multiplied by: the
            multiplicity, or of input events with values the sum of these; None if all input events
            are spikes.
        after_silent_turn: bool[rows], whether a turn in which no neuron fired came between the
            latest delivery and the spike's turn; None unless the policy is layer-sync.

    Raises:
        RecordingError: the arrays do not fit each other. The message names the array.
    """

    info: RunInfo
    sample: NDArray[np.int64]
    pass_: NDArray[np.int64]
    step: NDArray[np.int64]
    time_us: NDArray[np.int64]
    neuron: NDArray[np.int64]
    delivered_sample: NDArray[np.int64]
    delivered_pass: NDArray[np.int64]
    delivered_step: NDArray[np.int64]
    delivered_neuron: NDArray[np.int64]
    delivered_origin: NDArray[np.int64]
    delivered_count: NDArray[np.int64]
    delivered_connection: NDArray[np.int64]
    number: NDArray[np.int64]
    label: NDArray[np.int64]
    target: NDArray[np.int64]
    votes: NDArray[np.int64]
    passes: NDArray[np.int64]
    steps: NDArray[np.int64]
    rounds: NDArray[np.int64]
    synops: NDArray[np.int64]
    spikes: NDArray[np.int64]
    seed: NDArray[np.uint64]
    duration_us: NDArray[np.int64]
    stopped: NDArray[np.bool_]
    input_t_us: NDArray[np.int64]
    input_index: NDArray[np.int64]
    input_offsets: NDArray[np.int64]
    input_value: NDArray[np.float32] | None = None
    delivered_value: NDArray[np.float32] | None = None
    after_silent_turn: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        """Check all arrays, and replace them by read-only arrays."""
        types: dict[str, type[np.generic]] = {
            "seed": np.uint64,
            "stopped": np.bool_,
            TURN_ARRAY: np.bool_,
        }
        types |= dict.fromkeys(VALUE_ARRAYS, np.float32)
        arrays = {
            name: read_only(name, array, types.get(name, np.int64), 1 + (name == "votes"))
            for name, array in self.arrays()
        }
        info = self.info
        check_recording(arrays, info.neurons, info.inputs, info.classes, info.has_turns)
        for name, array in arrays.items():
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        """Return the number of samples."""
        return self.number.size

    def __eq__(self, other: object) -> bool:
        """Return whether the description and all arrays are equal."""
        if not isinstance(other, Recording):
            return NotImplemented
        mine, others = dict(self.arrays()), dict(other.arrays())
        return (
            self.info == other.info
            and mine.keys() == others.keys()
            and all(np.array_equal(array, others[name]) for name, array in mine.items())
        )

    __hash__ = None  # type: ignore[assignment]  # arrays are not hashable

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        """Return how to make an equal recording of a pickle or a copy, whose arrays are checked."""
        return type(self), tuple(getattr(self, f.name) for f in fields(self))

    def __repr__(self) -> str:
        """Return one line with the numbers of samples and spikes, and the policy."""
        samples, spikes = quantity(len(self), "sample"), quantity(self.neuron.size, "spike")
        policy, group_size = self.info.policy, self.info.group_size
        return f"<Recording of {samples}, {spikes}, {policy!r}, group_size={group_size}>"

    def _repr_html_(self) -> str:
        """Return a raster of the first sample for a notebook."""
        if not len(self):
            return f"<code>{escape(repr(self))}</code>"
        (starts, step), rows, info = self.step_numbers(0), self.rows_of(0), self.info
        label = "no label" if self.label[0] < 0 else f"label {self.label[0]}"
        title = (
            f"sample {self.number[0]} (1 of {len(self)}): {label}, {step.size} spikes in "
            f"{starts.size} passes, {info.policy:.40}, group_size={info.group_size}"
        )
        steps = int(self.steps[0] + self.passes[0])
        neuron = self.neuron[rows]
        return raster_svg(step, steps, neuron, info.populations, info.output, title)

    def step_numbers(self, k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return numbers of the forward steps of sample ``k``, counted through all its passes.

        Each pass takes one number for its input group and one for each of its steps.

        Returns:
            i64[passes], step at which each pass begins; i64[spikes], step in which each spike
            fired.
        """
        rows, deliveries = self.rows_of(k), self.deliveries_of(k)
        steps = np.zeros(int(self.passes[k]), np.int64)
        np.maximum.at(steps, self.delivered_pass[deliveries], self.delivered_step[deliveries])
        np.maximum.at(steps, self.pass_[rows], self.step[rows])
        starts = np.cumsum(steps + 1) - (steps + 1)
        return starts, starts[self.pass_[rows]] + self.step[rows]

    def arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Iterate over the names and values of all arrays that the recording has."""
        arrays = ((f.name, getattr(self, f.name)) for f in fields(self)[1:])
        return ((name, array) for name, array in arrays if array is not None)

    @property
    def digest(self) -> bytes:
        """SHA-256 of all spikes, as :func:`rows_digest` computes it."""
        return self._digest(slice(None))

    def sample_digest(self, k: int) -> bytes:
        """Return the digest of sample ``k`` alone, as in the golden samples of a bundle."""
        return self._digest(self.rows_of(k))

    def rows_of(self, k: int) -> slice:
        """Return the span of the rows of sample ``k``."""
        return _span(self.sample, self._checked(k))

    def deliveries_of(self, k: int) -> slice:
        """Return the span of the deliveries of sample ``k``."""
        return _span(self.delivered_sample, self._checked(k))

    def events(self, k: int) -> SpikeTrain:
        """Return the input of sample ``k``."""
        start, stop = self.input_offsets[self._checked(k) :][:2].tolist()
        events = slice(start, stop)
        return SpikeTrain(
            self.input_t_us[events],
            self.input_index[events],
            taken_values(self.input_value, events),
        )

    def duration(self, k: int) -> int | None:
        """Return the requested duration of sample ``k``, µs; None if there was none."""
        duration_us = int(self.duration_us[self._checked(k)])
        return None if duration_us < 0 else duration_us

    def spikes_by_population(self) -> dict[str, int]:
        """Return the number of spikes of each population in all samples, by name."""
        fired = np.bincount(self.neuron, minlength=self.info.neurons)
        ends = np.cumsum([size for _, size in self.info.populations])
        counts = np.split(fired, ends[:-1])
        names = (name for name, _ in self.info.populations)
        return {name: int(count.sum()) for name, count in zip(names, counts, strict=True)}

    def _digest(self, rows: slice) -> bytes:
        table = np.stack((self.pass_[rows], self.step[rows], self.neuron[rows]), axis=1)
        return rows_digest(table)

    def _checked(self, k: int) -> int:
        if not len(self):
            raise RecordingError(f"the recording has no samples, and so no sample {k}")
        return check_int("sample", k, 0, len(self) - 1, RecordingError)


def check_made_with(recording: Recording, bundle: Bundle) -> None:
    """Check that a recording was made with a bundle.

    Raises:
        RecordingError: it was made with another bundle.
        TypeError: an argument has another type.
    """
    check_type("recording", recording, Recording)
    check_type("bundle", bundle, Bundle)
    if recording.info.bundle != bundle.digest.hex():
        raise RecordingError(
            f"the recording was made with the bundle with digest {recording.info.bundle}, but the "
            f"given bundle has digest {bundle.digest.hex()}"
        )


def rows_digest(rows: NDArray[np.int64]) -> bytes:
    """Return the SHA-256 digest of spikes, 32 bytes.

    Args:
        rows: i64[spikes, 3], (pass, step, neuron) of each spike in firing order. They are hashed
            row by row as little-endian int64.
    """
    return hashlib.sha256(np.ascontiguousarray(rows, "<i8").tobytes()).digest()


def _span(samples: NDArray[np.int64], k: int) -> slice:
    start, stop = np.searchsorted(samples, [k, k + 1]).tolist()
    return slice(start, stop)
