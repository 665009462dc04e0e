"""Having kernels ready before they are needed: compiled, or loaded from where they are kept."""

import numpy as np

from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.kernels.entry_points import take_chosen

__all__ = ["warm_up"]

_ready: set[str] = set()


def warm_up(plan: ExecutionPlan) -> None:
    """Have the kernels ready that sessions with this plan will call.

    It takes 0.1 s once in a process, and some 20 s once on a machine, when they are compiled.
    Safe to call from any thread; no code of the user's is called.

    Args:
        plan: of any network; kernels are the same for all.
    """
    engine = "compiled" if plan.run.engine != "coroutines" and plan.is_built_in else "coroutines"
    if engine in _ready:
        return
    simulator = Simulator(plan)
    simulator.begin(0)
    nothing = np.empty(0, np.int64)
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
    _ready.add(engine)
