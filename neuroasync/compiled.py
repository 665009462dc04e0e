"""The compiled engine: whole passes in one kernel call, made of the kernels of the other.

It applies where nobody looks at or replaces a single population, step or order: then the result
is the same, spike for spike and step for step, at a fraction of the time.
"""

import numpy as np
from numpy.typing import NDArray

from neuroasync.forward import Forward
from neuroasync.kernels import layout as lay
from neuroasync.kernels.advance import advance

__all__ = ["advance_sample", "can_compile"]


def can_compile(forward: Forward) -> bool:
    """Whether kernels alone can run the sample: its order and stop rule are built in."""
    settings = forward.state.arrays.settings
    built_in = settings[lay.POLICY] != lay.CUSTOM and settings[lay.RULE] != lay.CALLABLE
    return bool(built_in) and not forward.wiring.wires.populations[:, lay.EXTERNAL].any()


def advance_sample(
    forward: Forward,
    t_us: NDArray[np.int64],
    index: NDArray[np.int64],
    end_us: int,
    work: int = 2**60,
) -> bool:
    """Run passes at virtual times up to ``end_us``; calling it again goes on where it returned.

    Args:
        forward: the sample.
        t_us: i64[events], ascending; the same in each call, read from ``control[CURSOR]`` on.
        index: i64[events], flattened input indices, ascending within a time.
        end_us: passes at virtual times up to this one take place.
        work: about how many synaptic operations may be spent before returning.

    Returns:
        Whether it is done: no pass is left to run, or the stop rule said stop.

    Raises:
        ForwardStepLimitError: a pass took ``max_forward_steps`` already.
    """
    state = forward.state
    while True:
        control = state.arrays.control
        why = advance(
            forward.wiring.wires, state.arrays, t_us, index, end_us, state.noise, 0.0, work
        )
        if why == lay.NEEDS_DECAY:
            state.set_interval(int(control[lay.INTERVAL]))
        elif why == lay.NEEDS_ROOM:
            events = t_us.size - int(control[lay.CURSOR])
            state.make_room(max(int(control[lay.PENDING]), events + int(control[lay.DUE])))
        elif why == lay.STEP_LIMIT:
            forward.check_limit()
        else:
            return bool(why == lay.DONE)
