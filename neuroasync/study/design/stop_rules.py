"""The stop rules that a study evaluates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from neuroasync.core.formats.bundle import Calibration
from neuroasync.core.recording.recording import Recording
from neuroasync.metrics import calibrate, slowest_lead
from neuroasync.train.recipes.stop_rule_search import CANDIDATES, falling_lead

__all__ = ["FIXED", "ONE_POINT", "Rules", "rules_for"]

FIXED: Final = ("quiet", *CANDIDATES, *(f"steps({n})" for n in (1, 2, 5, 10, 20, 50)))
"""Rules that are the same for all networks, ``quiet`` first."""

ONE_POINT: Final = 0.01
"""Accuracy that a chosen rule may lose on the validation samples: one percentage point."""

_HALF: Final = 0.48
"""Share of the rounds of the validation samples. It is slightly below one half, because held-out
samples may take a few more rounds."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The stop rules that are evaluated in one mode.

    Attributes:
        names: Rules in their textual form, all different, ``quiet`` first.
        half_rounds: Rule that is chosen to stop after half of the rounds.
        calibrations: Calibrated rules with their guaranteed accuracy. If two accuracies have the
            same rule, the higher one counts.
    """

    names: tuple[str, ...]
    half_rounds: str
    calibrations: Mapping[str, Calibration]


def rules_for(validation: Recording) -> Rules:
    """Return the fixed rules, and the rules that are fitted to the validation samples of one mode.

    The fitted rules require a lead that may change from pass to pass. They are the boldest rule
    without a loss of accuracy, the boldest with a loss of at most ``ONE_POINT``, the most cautious
    within half of the rounds, and the rules that ``confidence(p)`` would select.

    Args:
        validation: Recording of the validation samples in the mode, with ``until="quiet"``.
    """
    falling = [falling_lead(validation, loss) for loss in (0.0, ONE_POINT)]
    # Ascending accuracies, so that the higher one replaces the lower one with the same rule.
    ordered = sorted(calibrate(validation), key=lambda c: c.accuracy)
    calibrations = {c.until: c for c in ordered}
    half_rounds = str(slowest_lead(validation, _HALF))
    names = dict.fromkeys((*FIXED, *falling, half_rounds, *calibrations))
    return Rules(tuple(names), half_rounds, calibrations)
