"""Recordings: every spike of a run in firing order, and every delivery."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.recording.run_info import RunInfo
from neuroasync.core.recording.validation import check_recording, frozen
from neuroasync.errors import RecordingError

__all__ = ["Recording", "RunInfo", "rows_digest"]


@dataclass(frozen=True, eq=False, repr=False)
class Recording:
    """What happened in a run: one row per spike, in firing order, sample after sample.

    Neurons are network-wide indices. Where deliveries are concerned, N + i is input: input index
    i in ``delivered_origin``; in ``delivered_neuron``, the same for prioritised input, and the
    i-th event of the pass for queued input.

    Attributes:
        info: how it was made.
        sample, pass_, step, time_us, neuron: i64[rows], a spike each; ``sample`` is a position
            in the arrays below.
        delivered_sample, delivered_pass, delivered_step: i64[deliveries], in slot order.
        delivered_neuron: i64[deliveries], key of what was delivered.
        delivered_origin: i64[deliveries], where it comes from.
        delivered_count: i64[deliveries], its multiplicity.
        delivered_connection: i64[deliveries], the connection whose delay ended, or -1: all
            without delay.
        number: i64[samples], in the data set.
        label: i64[samples], the decision; -1 for none.
        target: i64[samples], the right class; -1 where it is not known.
        votes: i64[samples, classes].
        passes, steps, rounds, synops, spikes: i64[samples], what the sample took.
        seed: u64[samples], of its order keys.
        duration_us: i64[samples], as it was asked for; -1 if it was not.
        stopped: bool[samples], whether the stop rule ended it.
        input_t_us, input_index: i64[events], the input.
        input_offsets: i64[samples + 1], where the events of each sample begin.

    Raises:
        RecordingError: the arrays do not fit each other; says which.
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

    def __post_init__(self) -> None:
        """Check everything, and hold read-only arrays."""
        types: dict[str, type[np.generic]] = {"seed": np.uint64, "stopped": np.bool_}
        arrays = {
            name: frozen(name, array, types.get(name, np.int64), 1 + (name == "votes"))
            for name, array in self.arrays()
        }
        check_recording(arrays, self.info.neurons, self.info.inputs, self.info.classes)
        for name, array in arrays.items():
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        """Number of samples."""
        return self.number.size

    def __eq__(self, other: object) -> bool:
        """Same info, and the same values in every array."""
        if not isinstance(other, Recording):
            return NotImplemented
        return self.info == other.info and all(
            np.array_equal(array, getattr(other, name)) for name, array in self.arrays()
        )

    __hash__ = None  # type: ignore[assignment]  # holds arrays

    def __repr__(self) -> str:
        """A line: how much there is."""
        policy, group_size = self.info.policy, self.info.group_size
        return (
            f"<Recording of {len(self)} samples, {self.neuron.size} spikes, "
            f"{policy!r}, group_size={group_size}>"
        )

    def arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Name and value of every array."""
        return ((f.name, getattr(self, f.name)) for f in fields(self)[1:])

    @property
    def digest(self) -> bytes:
        """SHA-256 of all rows' (pass, step, neuron), little-endian int64, row by row."""
        return self._digest(slice(None))

    def sample_digest(self, k: int) -> bytes:
        """The digest of sample ``k`` alone, as a bundle's golden samples have it."""
        return self._digest(self.rows_of(k))

    def rows_of(self, k: int) -> slice:
        """Where the rows of sample ``k`` stand."""
        return _span(self.sample, self._checked(k))

    def deliveries_of(self, k: int) -> slice:
        """Where the deliveries of sample ``k`` stand."""
        return _span(self.delivered_sample, self._checked(k))

    def events(self, k: int) -> SpikeTrain:
        """The input of sample ``k``."""
        start, stop = self.input_offsets[self._checked(k) :][:2].tolist()
        return SpikeTrain(self.input_t_us[start:stop], self.input_index[start:stop])

    def duration(self, k: int) -> int | None:
        """What sample ``k`` was given as ``duration_us``."""
        asked = int(self.duration_us[self._checked(k)])
        return None if asked < 0 else asked

    def spikes_by_population(self) -> dict[str, int]:
        """Spikes of each population, in all samples."""
        fired = np.bincount(self.neuron, minlength=self.info.neurons)
        ends = np.cumsum([size for _, size in self.info.populations])
        parts = np.split(fired, ends[:-1])
        names = (name for name, _ in self.info.populations)
        return {name: int(part.sum()) for name, part in zip(names, parts, strict=True)}

    def _digest(self, rows: slice) -> bytes:
        table = np.stack((self.pass_[rows], self.step[rows], self.neuron[rows]), axis=1)
        return rows_digest(table)

    def _checked(self, k: int) -> int:
        if not 0 <= k < len(self):
            raise RecordingError(f"sample {k}: the recording has samples 0 to {len(self) - 1}")
        return k


def rows_digest(rows: NDArray[np.int64]) -> bytes:
    """SHA-256 of spikes in firing order, i64[spikes, 3] of (pass, step, neuron), little-endian."""
    return hashlib.sha256(np.ascontiguousarray(rows, "<i8").tobytes()).digest()


def _span(samples: NDArray[np.int64], k: int) -> slice:
    start, stop = np.searchsorted(samples, [k, k + 1]).tolist()
    return slice(start, stop)
