"""Why did that spike happen: what raised its neuron's potential, and what caused that.

A membrane potential is a sum: of what the last reset left, biases, and delivered spikes times
weights, each decayed since. So a spike has an exact account of where its charge came from, and
following the largest entry from spike to spike leads back to the input.
"""

from dataclasses import dataclass
from typing import Final

from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.recording.recording import Recording
from neuroasync.errors import RecordingError
from neuroasync.explain.attribution import AttributionBuilder, Contribution, Place, SpikeAttribution
from neuroasync.replay import pass_times

__all__ = ["Contribution", "Explanation", "Place", "SpikeAttribution", "explain"]

_MAX_LINKS: Final = 1000
"""Longest chain of spikes that is followed."""

_SHOWN: Final = 5
"""Contributions that the text lists."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a spike happened.

    Attributes:
        chain: the spike's account, then that of the spike that contributed most to it, and so
            on, as far as there are spikes.
        origin: what contributed most to the last of them: an input event or a bias, or a spike
            of a population of the user's; or a spike beyond the longest chain; None where
            nothing positive did.
    """

    chain: tuple[SpikeAttribution, ...]
    origin: Contribution | None

    @property
    def spike(self) -> SpikeAttribution:
        """The account of the spike itself."""
        return self.chain[0]

    def __str__(self) -> str:
        """The chain as text, with the largest contributions to the spike itself."""
        spike = self.spike
        lines = [f"{_fired(spike)}: potential {spike.potential:.4g} > {spike.threshold:.4g}"]
        shown = spike.contributions[:_SHOWN]
        lines += [f"    {c}" for c in shown]
        if rest := spike.contributions[_SHOWN:]:
            total = sum(c.value for c in rest)
            lines.append(f"    {total:+.4g} from {len(rest)} more")
        if spike.trigger:
            senders = ", ".join(str(c.source) for c in spike.trigger[:_SHOWN])
            more = f" and {len(spike.trigger) - _SHOWN} more" if spike.trigger[_SHOWN:] else ""
            lines.append(f"    it fired when step {spike.step} delivered {senders}{more}")
        else:
            lines.append("    nothing was delivered to it then: it fired late")
        lines += [f"because {_fired(account)}" for account in self.chain[1:]]
        if self.origin is not None:
            what = "of a bias" if self.origin.kind == "bias" else f"of {self.origin.source}"
            lines.append(f"because {what} in pass {self.origin.pass_index}")
        return "\n".join(lines)


def explain(recording: Recording, bundle: Bundle, row: int) -> Explanation:
    """Explain the spike in ``row`` of a recording.

    The sample is replayed first, so that what is explained is what happens.

    Args:
        recording: any run of the bundle.
        bundle: its network.
        row: of the spike, from 0.

    Raises:
        RecordingError: there is no such row, its population was a coroutine of the user's, or
            the recording is of another bundle.
        ReplayError: the sample does not run as recorded.
    """
    if not 0 <= row < recording.neuron.size:
        raise RecordingError(f"row {row}: the recording has rows 0 to {recording.neuron.size - 1}")
    own = recording.info.own_populations
    name, position = recording.info.place(int(recording.neuron[row]))
    if name in own:
        raise RecordingError(
            f"row {row}: {name}[{position}] is of a population of your own; only you know why"
        )
    k = int(recording.sample[row])
    accounts = AttributionBuilder(recording, bundle.model, k, pass_times(recording, bundle, k))
    chain = [accounts.account(row)]
    while True:
        cause = chain[-1].strongest
        if cause is None or cause.row is None or cause.source.population in own:
            break
        if len(chain) == _MAX_LINKS:
            break
        chain.append(accounts.account(cause.row))
    return Explanation(tuple(chain), cause)


def _fired(account: SpikeAttribution) -> str:
    return (
        f"{account.place} fired in pass {account.pass_index}, step {account.step} "
        f"(t = {account.time_us} µs)"
    )
