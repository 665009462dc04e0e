"""Having kernels ready before they are needed: compiled, or loaded from where they are kept."""

import numpy as np

from neuroasync.compiled import advance_sample, can_compile
from neuroasync.forward import Forward
from neuroasync.kernels import layout as lay
from neuroasync.settings import RunSettings
from neuroasync.wiring import Wiring

__all__ = ["warm_up"]

_ready: set[bool] = set()


def warm_up(wiring: Wiring, settings: RunSettings) -> None:
    """Have the kernels ready that sessions with these settings will call.

    It takes 0.2 s once in a process, and some 15 s once on a machine, when they are compiled.
    Safe to call from any thread; no code of the user's is called.

    Args:
        wiring: any network; kernels are the same for all.
        settings: of the sessions.
    """
    compiled = settings.engine != "coroutines" and can_compile(Forward(wiring, settings))
    if compiled in _ready:
        return
    forward = Forward(wiring, RunSettings(group_size=1, until=_RULE))
    if compiled:
        nothing = np.empty(0, np.int64)
        advance_sample(forward, nothing, nothing, -1)
    else:
        _step_through(forward)
    forward.decision(0.0)
    _ready.add(compiled)


_RULE = RunSettings().with_changes(until="votes(1)").until


def _step_through(forward: Forward) -> None:
    """Take two forward steps in which neurons fire, whatever their weights."""
    forward.state.arrays.potential[lay.V] = np.finfo(np.float32).max
    forward.open_pass(0, np.zeros(1, np.int64))
    for _ in range(2):
        for p in forward.reached():
            forward.admit(p, forward.integrate(p))
        forward.stopped()
        if not forward.next_step():
            return
