"""Warm-up: compile kernels, or load them from the disk cache, before they are needed."""

import numpy as np

from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.kernels.entry_points import take_chosen
from neuroasync.core.kernels.messages.binary_decisions import max_size, write_decision
from neuroasync.core.kernels.messages.binary_events import read_events

__all__ = ["warm_up"]

_ready: set[str] = set()


def warm_up(plan: ExecutionPlan) -> None:
    """Compile or load the kernels for sessions with this plan, and for messages.

    Loading takes about 0.1 s per process. Compiling takes about 20 s, once per machine. The
    function can be called from any thread and calls no custom code.

    Args:
        plan: an execution plan of any network, because all use the same kernels.
    """
    engine = "compiled" if plan.allows_compiled else "coroutines"
    if engine in _ready:
        return
    simulator = Simulator(plan)
    simulator.begin(0)
    nothing = np.empty(0, np.int64)
    read_events(np.frombuffer(b"\0", np.uint8), nothing)
    simulator.feed(nothing, nothing)
    if engine == "compiled":
        simulator.run_compiled(-1)
    else:
        simulator.run_to_delivery(-1)
        simulator.integrate(0)
        take_chosen(simulator.state.context, 0)
    simulator.carry_over(0, 0)
    simulator.begin(0)
    simulator.decision(0.0)
    layout, message = plan.layout, np.empty(max_size(plan.layout.classes, 0), np.uint8)
    write_decision(
        simulator.state.head.copy(), layout.votes_at, layout.classes,
        np.empty(0, np.uint8), nothing, 0, 0.0, message,
    )  # fmt: skip
    _ready.add(engine)
