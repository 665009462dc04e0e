"""Decisions and progress, computed from a sample's counters."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.stop_rules import Progress
from neuroasync.core.kernels.layout import Control, Phase, Votes
from neuroasync.core.kernels.voting import leader

__all__ = ["decision_of", "progress_of"]

_STOPPED: Final = int(Phase.STOPPED)  # a plain int is faster to compare


def progress_of(plan: ExecutionPlan, head: NDArray[np.int64]) -> Progress:
    """Return the progress of a sample from the head of its session's memory, i64[plan.head]."""
    control, votes, _ = plan.split_head(head)
    label = int(leader(votes))
    return Progress(
        votes=votes[Votes.COUNT],
        label=None if label < 0 else label,
        t_us=int(control[Control.TIME]),
        passes=int(control[Control.PASS]) + 1,
        steps=int(control[Control.STEPS]),
        rounds=int(control[Control.ROUNDS]),
        spikes=int(control[Control.SPIKES]),
    )


def decision_of(
    plan: ExecutionPlan, head: NDArray[np.int64], wall_s: float, classes: tuple[str, ...] | None
) -> Decision:
    """Return the decision on a sample.

    Args:
        plan: the execution plan of the session.
        head: i64[plan.head], the head of the session's memory.
        wall_s: wall time to report, s.
        classes: names of the classes, or None.
    """
    control, votes, spikes = plan.split_head(head)
    numbers, label = control.tolist(), int(leader(votes))
    led, moments = np.flatnonzero(votes[Votes.LED_SPIKES]), votes[Votes.LED_SPIKES :].T
    first_led = {cls: tuple(moments[cls].tolist()) for cls in led.tolist()}
    passes = numbers[Control.PASS] + 1
    return Decision(
        label=None if label < 0 else label,
        class_name=None if label < 0 or classes is None else classes[label],
        votes=votes[Votes.COUNT].copy(),
        stopped=numbers[Control.PHASE] == _STOPPED or numbers[Control.IS_DECIDED] == 1,
        t_us=numbers[Control.TIME] if passes else -1,
        passes=passes,
        steps=numbers[Control.STEPS],
        rounds=numbers[Control.ROUNDS],
        spikes=dict(zip(plan.names, spikes.tolist(), strict=True)),
        input_events=numbers[Control.INPUT_EVENTS],
        synops=numbers[Control.SYNOPS],
        first_led=first_led,
        first_spike=min(first_led.values(), default=None),
        undelivered=numbers[Control.IN_FLIGHT],
        wall_s=wall_s,
    )
