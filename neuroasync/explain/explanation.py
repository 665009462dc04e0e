"""Explain why a spike happened: what raised its neuron's potential, and what caused that.

The terms of a membrane potential are known exactly, so each spike has a largest contribution.
Following it from spike to spike leads back to the input.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.model.checks import check_int
from neuroasync.core.recording.recording import Recording
from neuroasync.errors import RecordingError
from neuroasync.explain.attribution import AttributionBuilder, Contribution, Place, SpikeAttribution
from neuroasync.replay import pass_times

__all__ = ["Contribution", "Explanation", "Place", "SpikeAttribution", "deciding_spike", "explain"]

_MAX_LINKS: Final = 1000
"""Spikes of the longest chain that is followed."""

_MAX_SHOWN: Final = 5
"""Contributions that the text of an explanation lists."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The explanation of a spike.

    Attributes:
        chain: attribution of the spike, then of the spike that contributed most to it, and so on
            back to the first one.
        origin: the largest contribution to the last spike of the chain: an input event, a bias, a
            spike of a custom population, or a spike beyond the maximum length of a chain. None if
            no contribution is positive.
    """

    chain: tuple[SpikeAttribution, ...]
    origin: Contribution | None

    @property
    def spike(self) -> SpikeAttribution:
        """The attribution of the explained spike."""
        return self.chain[0]

    def __str__(self) -> str:
        """Return the chain as text, with the largest contributions to the explained spike."""
        spike = self.spike
        lines = [f"{_fired(spike)}: potential {spike.potential:.4g} > {spike.threshold:.4g}"]
        lines += [f"    {c}" for c in spike.contributions[:_MAX_SHOWN]]
        if rest := spike.contributions[_MAX_SHOWN:]:
            total = sum(c.value for c in rest)
            lines.append(f"    {total:+.4g} from {len(rest)} more")
        if spike.trigger:
            senders = ", ".join(str(c.source) for c in spike.trigger[:_MAX_SHOWN])
            more = (
                f" and {len(spike.trigger) - _MAX_SHOWN} more" if spike.trigger[_MAX_SHOWN:] else ""
            )
            steps = sorted({c.step for c in spike.trigger})
            when = f"step {steps[0]}" if len(steps) == 1 else f"steps {steps[0]} to {steps[-1]}"
            lines.append(f"    it fired when {when} delivered {senders}{more}")
        else:
            lines.append("    it was above its threshold without a delivery")
        lines += [f"because {_fired(cause)}" for cause in self.chain[1:]]
        if self.origin is not None:
            origin = "a bias" if self.origin.kind == "bias" else str(self.origin.source)
            lines.append(f"because of {origin} in pass {self.origin.pass_index}")
        return "\n".join(lines)


def explain(recording: Recording, bundle: Bundle, row: int) -> Explanation:
    """Explain the spike in ``row`` of a recording.

    The sample is replayed first, to make sure that the recording is valid.

    Args:
        recording: a recording of any run of the bundle.
        bundle: the network of the recording.
        row: row of the spike in the recording, from 0.

    Raises:
        RecordingError: the row does not exist, its neuron belongs to a custom population, or the
            recording was made with another bundle.
        ReplayError: the sample does not run as recorded.
    """
    if not recording.neuron.size:
        raise RecordingError("the recording has no spikes")
    row = check_int("row", row, 0, recording.neuron.size - 1, RecordingError)
    custom = recording.info.custom_populations
    name, position = recording.info.place(int(recording.neuron[row]))
    if name in custom:
        raise RecordingError(
            f"row {row}: {name}[{position}] belongs to a custom population, whose spikes cannot be "
            "explained"
        )
    k = int(recording.sample[row])
    builder = AttributionBuilder(recording, bundle.model, k, pass_times(recording, bundle, k))
    chain = [builder.build(row)]
    while True:
        cause = chain[-1].strongest
        if cause is None or cause.row is None or cause.source.population in custom:
            break
        if len(chain) == _MAX_LINKS:
            break
        chain.append(builder.build(cause.row))
    return Explanation(tuple(chain), cause)


def deciding_spike(recording: Recording, k: int) -> int:
    """Return the row of the spike that decided a sample.

    This is the output spike with which the decided class took the lead for the last time.

    Args:
        recording: a recording.
        k: position of the sample in the recording.

    Raises:
        RecordingError: there is no such sample, or it has no decision.
    """
    rows, label = recording.rows_of(k), int(recording.label[k])
    if label < 0:
        raise RecordingError(
            f"sample {recording.number[k]} has no decision, because no output neuron fired"
        )
    sizes = dict(recording.info.populations)
    names = list(sizes)
    start = sum(sizes[name] for name in names[: names.index(recording.info.output)])
    classes = recording.neuron[rows] - start
    votes, latest = np.zeros((2, sizes[recording.info.output]), np.int64)
    leader, deciding = -1, -1
    at = np.flatnonzero((classes >= 0) & (classes < votes.size))
    if at.size == 0:
        raise RecordingError(
            f"sample {recording.number[k]} was decided by the potentials of leaky integrators, not "
            "by a spike"
        )
    moments = np.stack((recording.pass_[rows], recording.step[rows]), axis=1)[at]
    # Neurons that fire in the same forward step vote at the same time.
    steps = np.flatnonzero(np.any(np.diff(moments, axis=0), axis=1)) + 1
    for moment, fired in enumerate(np.split(at, steps)):
        votes[classes[fired]] += 1
        latest[classes[fired]] = moment
        # A tie goes to the class that reached the count first.
        now = int(np.lexsort((latest, -votes))[0])
        if now == label != leader:
            deciding = rows.start + int(fired[classes[fired] == label][0])
        leader = now
    return deciding


def _fired(spike: SpikeAttribution) -> str:
    return (
        f"{spike.place} fired in pass {spike.pass_index}, step {spike.step} "
        f"(t = {spike.time_us} µs)"
    )
