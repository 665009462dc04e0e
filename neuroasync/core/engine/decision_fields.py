"""Computes the fields of a decision from the memory of the session that made it."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.execution_plan import DecisionLayout
from neuroasync.core.kernels.layout import Control, Phase, Votes
from neuroasync.core.kernels.voting import leader

__all__ = ["FIELDS", "Outcome", "label_of"]

_STOPPED: Final = int(Phase.STOPPED)  # a plain int is faster to compare


class Outcome(NamedTuple):
    """What the fields of a decision are computed from.

    Attributes:
        layout: the layout of ``head``.
        head: i64[layout.size], a copy of the first words of the session's memory.
        wall_s: wall time to report, s.
        classes: names of the classes, or None.
    """

    layout: DecisionLayout
    head: NDArray[np.int64]
    wall_s: float
    classes: tuple[str, ...] | None


def label_of(layout: DecisionLayout, head: NDArray[np.int64], votes: list[int]) -> int | None:
    """Return the label of a decision with these votes for each class.

    Args:
        layout: the layout of ``head``.
        head: i64[layout.size], a copy of the first words of the session's memory.
        votes: the votes in it.
    """
    potentials = layout.readout(head)
    if potentials is not None:
        return int(potentials.argmax()) if head.item(Control.PASS) >= 0 else None
    highest = max(votes)
    if not highest:
        return None
    return int(leader(layout.split(head)[1])) if votes.count(highest) > 1 else votes.index(highest)


def _passes(outcome: Outcome) -> int:
    return outcome.head.item(Control.PASS) + 1


def _label(outcome: Outcome) -> int | None:
    layout, head = outcome.layout, outcome.head
    return label_of(layout, head, head[layout.vote_words].tolist())


def _class_name(outcome: Outcome) -> str | None:
    if outcome.classes is None:
        return None
    label = _label(outcome)
    return None if label is None else outcome.classes[label]


def _is_stopped(outcome: Outcome) -> bool:
    item = outcome.head.item
    return item(Control.PHASE) == _STOPPED or item(Control.IS_DECIDED) == 1


def _first_led(outcome: Outcome) -> dict[int, tuple[int, int, int]]:
    votes = outcome.layout.split(outcome.head)[1]
    led, moments = votes[Votes.LED_SPIKES].nonzero()[0], votes[Votes.LED_SPIKES :].T
    return {cls: tuple(moments[cls].tolist()) for cls in led.tolist()}


def _spikes(outcome: Outcome) -> dict[str, int]:
    layout = outcome.layout
    return dict(zip(layout.names, outcome.head[layout.spike_words].tolist(), strict=True))


def _potentials(outcome: Outcome) -> NDArray[np.float32] | None:
    potentials = outcome.layout.readout(outcome.head)
    return None if potentials is None else potentials.copy()


FIELDS: Final[Mapping[str, Callable[[Outcome], object]]] = {
    "label": _label,
    "class_name": _class_name,
    "votes": lambda outcome: outcome.head[outcome.layout.vote_words].copy(),
    "stopped": _is_stopped,
    "t_us": lambda outcome: outcome.head.item(Control.TIME) if _passes(outcome) else -1,
    "passes": _passes,
    "steps": lambda outcome: outcome.head.item(Control.STEPS),
    "rounds": lambda outcome: outcome.head.item(Control.ROUNDS),
    "spikes": _spikes,
    "input_events": lambda outcome: outcome.head.item(Control.INPUT_EVENTS),
    "synops": lambda outcome: outcome.head.item(Control.SYNOPS),
    "first_spike": lambda outcome: min(_first_led(outcome).values(), default=None),
    "first_led": _first_led,
    "undelivered": lambda outcome: outcome.head.item(Control.IN_FLIGHT),
    "wall_s": lambda outcome: outcome.wall_s,
    "is_final": lambda _: True,
    "calibrations": lambda outcome: outcome.layout.calibrations,
    "potentials": _potentials,
}
"""How each field of :class:`Decision` is computed."""
