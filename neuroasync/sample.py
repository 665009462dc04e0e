"""One sample without an event loop: what replays, golden samples and tests run."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.decision import Decision
from neuroasync.errors import LimitError
from neuroasync.forward import Forward
from neuroasync.spikes import SpikeTrain

__all__ = ["run_sample", "sample_passes"]


def run_sample(
    forward: Forward, events: SpikeTrain, seed: int = 0, duration_us: int | None = None
) -> Decision:
    """Run one sample to its end; its wall time is reported as 0.

    Args:
        forward: of the network; whatever it held is lost.
        events: the whole input.
        seed: of the sample's order keys.
        duration_us: length of the sample; without, it ends with its last event.

    Raises:
        SpikeFileError: an event is not one of the network's inputs.
        LimitError: the sample has too many passes.
        ForwardStepLimitError: a pass did not end.
        PolicyError: a policy of the user's failed.
    """
    events.check_indices(forward.wiring.model.input_size)
    forward.begin(seed)
    for t_us, index in sample_passes(forward, events, duration_us):
        forward.open_pass(t_us, index)
        while True:
            for p in forward.reached():
                forward.admit(p, forward.integrate(p))
            if forward.stopped() or not forward.next_step():
                break
        if forward.is_stopped:
            break
    return forward.decision(0.0)


def sample_passes(
    forward: Forward, events: SpikeTrain, duration_us: int | None = None
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Virtual time and input of each pass of a sample.

    Run each by ``forward`` before asking for the next: what is in flight decides when that is.

    Raises:
        LimitError: the sample has too many passes.
    """
    timestep = forward.wiring.model.timestep_us
    order = np.lexsort((events.index, events.t_us))
    t_us, index = events.t_us[order], events.index[order]
    end_us = int(t_us[-1]) if t_us.size else -1
    if duration_us is not None:
        end_us = duration_us - 1
    at = 0
    while True:
        time_us = forward.next_pass_us(int(t_us[at]) if at < t_us.size else None)
        if time_us is None or time_us > end_us:
            return
        if forward.passes >= limits.MAX_PASSES or (
            timestep and end_us // timestep >= limits.MAX_PASSES
        ):
            raise LimitError(f"a sample of {end_us} µs; the limit is {limits.MAX_PASSES} passes")
        stop = int(np.searchsorted(t_us, time_us + max(timestep, 1)))
        yield time_us, index[at:stop]
        at = stop
