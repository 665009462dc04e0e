"""What a sample has come to, from its counters."""

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.decision import Decision, Progress
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.kernels import layout as lay
from neuroasync.core.kernels.voting import leader

__all__ = ["decision_of", "progress_of"]


def progress_of(plan: ExecutionPlan, head: NDArray[np.int64]) -> Progress:
    """Where a sample stands, from the head of its session's memory: i64[plan.head]."""
    control, votes, _ = plan.parts(head)
    label = int(leader(votes))
    return Progress(
        votes=votes[lay.VOTES],
        label=None if label < 0 else label,
        t_us=int(control[lay.TIME]),
        passes=int(control[lay.PASS]) + 1,
        steps=int(control[lay.STEPS]),
        rounds=int(control[lay.ROUNDS]),
        spikes=int(control[lay.SPIKES]),
    )


def decision_of(
    plan: ExecutionPlan, head: NDArray[np.int64], wall_s: float, classes: tuple[str, ...] | None
) -> Decision:
    """What a sample came to, from the head of its session's memory: i64[plan.head]."""
    control, votes, spikes = plan.parts(head)
    numbers, label = control.tolist(), int(leader(votes))
    led, moments = np.flatnonzero(votes[lay.LED_SPIKES]), votes[lay.LED_SPIKES :].T
    first_led = {cls: tuple(moments[cls].tolist()) for cls in led.tolist()}
    passes = numbers[lay.PASS] + 1
    return Decision(
        label=None if label < 0 else label,
        class_name=None if label < 0 or classes is None else classes[label],
        votes=votes[lay.VOTES].copy(),
        stopped=numbers[lay.PHASE] == lay.STOPPED or numbers[lay.IS_DECIDED] == 1,
        t_us=numbers[lay.TIME] if passes else -1,
        passes=passes,
        steps=numbers[lay.STEPS],
        rounds=numbers[lay.ROUNDS],
        spikes=dict(zip(plan.names, spikes.tolist(), strict=True)),
        input_events=numbers[lay.INPUTS],
        synops=numbers[lay.SYNOPS],
        first_led=first_led,
        first_spike=min(first_led.values(), default=None),
        undelivered=numbers[lay.DUE],
        wall_s=wall_s,
    )
