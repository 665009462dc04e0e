"""Find the first difference between two recordings."""

from dataclasses import dataclass

import numpy as np

from neuroasync.core.model.checks import check_type
from neuroasync.core.quantity import quantity
from neuroasync.core.recording.recording import Recording

__all__ = ["Difference", "compare"]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first spike in which two recordings differ.

    Attributes:
        sample: position of its sample in the recordings.
        row: row of the spike in the first recording, or the row that the spike would have if the
            first recording has no such spike.
        text: description of the difference.
    """

    sample: int
    row: int
    text: str

    def __str__(self) -> str:
        """Return the description of the difference."""
        return self.text


def compare(first: Recording, second: Recording) -> Difference | None:
    """Return the first spike that differs, or None if all spikes are equal.

    Two spikes are equal if the same neuron fired in the same sample, pass and step. Deliveries are
    not compared.

    Raises:
        TypeError: an argument is no recording.
    """
    check_type("first", first, Recording)
    check_type("second", second, Recording)
    for k in range(min(len(first), len(second))):
        spans = first.rows_of(k), second.rows_of(k)
        one, other = (
            np.stack((r.pass_[rows], r.step[rows], r.neuron[rows]), axis=1)
            for r, rows in zip((first, second), spans, strict=True)
        )
        shared = min(len(one), len(other))
        differs = (one[:shared] != other[:shared]).any(axis=1)
        if differs.any() or len(one) != len(other):
            at = int(np.argmax(differs)) if differs.any() else shared
            texts = [_spike_text(r, s, at) for r, s in zip((first, second), spans, strict=True)]
            text = f"sample {first.number[k]}: the first has {texts[0]}; the second has {texts[1]}"
            return Difference(k, spans[0].start + at, text)
    if len(first) != len(second):
        k = min(len(first), len(second))
        text = f"the first has {quantity(len(first), 'sample')}; the second has {len(second)}"
        return Difference(k, int(np.searchsorted(first.sample, k)), text)
    return None


def _spike_text(recording: Recording, rows: slice, at: int) -> str:
    row = rows.start + at
    if row >= rows.stop:
        return "no further spike"
    neuron = recording.info.describe(int(recording.neuron[row]))
    time = f"pass {recording.pass_[row]}, step {recording.step[row]}"
    return f"{neuron} in {time} (t = {recording.time_us[row]} µs)"
