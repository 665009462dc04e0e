"""The stop rules of the study."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from neuroasync.core.formats.bundle import Calibration
from neuroasync.core.recording.recording import Recording
from neuroasync.metrics import calibrate, slowest_lead
from neuroasync.train.stop_rule_search import CANDIDATES, falling_lead

__all__ = ["A_POINT", "FIXED", "Rules", "rules_for"]

FIXED: Final = ("quiet", *CANDIDATES, *(f"steps({n})" for n in (1, 2, 5, 10, 20, 50)))
"""Rules that are the same for all networks, ``quiet`` first."""

A_POINT: Final = 0.01
"""Accuracy that a chosen rule may cost on the validation samples."""

_HALF: Final = 0.48
"""Of the rounds of the validation samples: held-out samples may take some more."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is judged in one mode.

    Attributes:
        names: how the rules are written, all different, ``quiet`` first.
        in_half: that which is taken where a network is to stop in half of its rounds.
        promises: what is promised of some of them; of two promises, the higher one.
    """

    names: tuple[str, ...]
    in_half: str
    promises: Mapping[str, Calibration]


def rules_for(validation: Recording) -> Rules:
    """The fixed rules, and those that are fitted to the validation samples in that mode.

    Fitted are leads that fall from pass to pass, the boldest without a loss and with ``A_POINT``,
    and the most cautious in half of the rounds; and what ``confidence(p)`` would stand for.

    Args:
        validation: recording of the validation samples in that mode, until quiet.
    """
    falling = [falling_lead(validation, loss) for loss in (0.0, A_POINT)]
    promises = {c.until: c for c in sorted(calibrate(validation), key=lambda c: c.accuracy)}
    in_half = str(slowest_lead(validation, _HALF))
    names = dict.fromkeys((*FIXED, *falling, in_half, *promises))
    return Rules(tuple(names), in_half, promises)
