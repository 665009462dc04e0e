"""The stop rules of the study."""

from typing import Final

from neuroasync.recording import Recording
from neuroasync.train.stopping import CANDIDATES

__all__ = ["LOSSES", "rules_for"]

_FIXED: Final = ("quiet", *CANDIDATES, *(f"steps({n})" for n in (1, 2, 5, 10, 20, 50)))

LOSSES: Final = (0.0, 0.01)
"""Accuracy that a chosen rule may cost on the validation samples: nothing, or one point."""


def rules_for(validation: Recording) -> tuple[str, ...]:
    """All rules that are judged in one mode, ``quiet`` first.

    This is where a rule that is fitted to the validation samples joins the others.

    Args:
        validation: recording of the validation samples in that mode, until quiet.
    """
    del validation  # the fixed rules are not fitted to anything
    return _FIXED
