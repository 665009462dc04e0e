"""Find where two recordings part."""

from dataclasses import dataclass

import numpy as np

from neuroasync.core.recording.recording import Recording

__all__ = ["Difference", "compare"]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first spike that two recordings do not share.

    Attributes:
        sample: its position in the recordings.
        row: its row in the first recording; where that has ended, the row it would have.
        text: the difference in words.
    """

    sample: int
    row: int
    text: str

    def __str__(self) -> str:
        """In words."""
        return self.text


def compare(first: Recording, second: Recording) -> Difference | None:
    """Find the first spike that differs, or None if all are the same.

    What is compared is who fired in which sample, pass and step, and not how it came about.
    """
    for k in range(min(len(first), len(second))):
        spans = first.rows_of(k), second.rows_of(k)
        one, other = (
            np.stack((r.pass_[rows], r.step[rows], r.neuron[rows]), axis=1)
            for r, rows in zip((first, second), spans, strict=True)
        )
        n = min(len(one), len(other))
        wrong = (one[:n] != other[:n]).any(axis=1)
        if wrong.any() or len(one) != len(other):
            at = int(np.argmax(wrong)) if wrong.any() else n
            told = [_told(r, s, at) for r, s in zip((first, second), spans, strict=True)]
            text = f"sample {first.number[k]}: the first has {told[0]}; the second has {told[1]}"
            return Difference(k, spans[0].start + at, text)
    if len(first) != len(second):
        k = min(len(first), len(second))
        text = f"the first has {len(first)} samples; the second has {len(second)}"
        return Difference(k, int(np.searchsorted(first.sample, k)), text)
    return None


def _told(recording: Recording, rows: slice, at: int) -> str:
    row = rows.start + at
    if row >= rows.stop:
        return "no further spike"
    who = recording.info.describe(int(recording.neuron[row]))
    when = f"pass {recording.pass_[row]}, step {recording.step[row]}"
    return f"{who} in {when} (t = {recording.time_us[row]} µs)"
