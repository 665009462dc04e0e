"""The start of a sample: from rest, or from the state of the previous sample."""

from typing import Final

from neuroasync.core.kernels.array_views import (
    control_of,
    in_flight_of,
    multiplicity_of,
    populations_of,
    spikes_of,
    votes_of,
)
from neuroasync.core.kernels.intrinsics import prefetch
from neuroasync.core.kernels.jit import kernel, uncounted
from neuroasync.core.kernels.layout import (
    GROUP_UNIT,
    Context,
    Control,
    InFlight,
    Populations,
)
from neuroasync.core.kernels.neurons.views import readout_of

__all__ = ["begin", "carry_over"]

_MAX_PREFETCHED: Final = 2**14
"""Size in bytes up to which the state of a session is prefetched."""
_LINE: Final = 64
"""Size of a cache line in bytes."""


@kernel
def begin(c, seed):
    """Start a sample from rest.

    Potentials are not cleared here. A block of neurons whose clock is older than the sample is
    cleared when it is next reached.
    """
    _prefetch_state(c)
    control = control_of(c)
    votes_of(c)[:] = 0
    spikes_of(c)[:] = 0
    if c[Context.READOUT_AT] >= 0:
        readout_of(c)[:] = 0
    clock, mark, work = control[Control.CLOCK], control[Control.GROUP_MARK], control[Control.WORK]
    sweep = control[Control.NEXT_BLOCK]
    control[:] = 0
    control[Control.PASS] = -1
    control[Control.FIRST_VOTE_STEPS] = -1
    control[Control.LAST_OWNER] = -1
    control[Control.SEED] = seed
    control[Control.CLOCK] = clock
    control[Control.NEXT_BLOCK] = sweep
    control[Control.SAMPLE_CLOCK] = clock + 1
    control[Control.GROUP_MARK] = mark + GROUP_UNIT
    control[Control.SAMPLE_MARK] = control[Control.GROUP_MARK]
    control[Control.PASS_MARK] = control[Control.GROUP_MARK]
    control[Control.WORK] = work
    populations = populations_of(c)
    for p in range(c[Context.POPULATION_COUNT]):
        if populations[p, Populations.CUSTOM]:  # kernels never reach its neurons
            multiplicity_of(c)[
                populations[p, Populations.START] : populations[p, Populations.STOP]
            ] = 0


@uncounted
def _prefetch_state(c):
    """Prefetch the state of a small session, which others may have displaced from the cache.

    All of it arrives in the time of a few accesses. The kernels would read it piece by piece.
    """
    size = c[Context.CLOCKS_AT] + 8 * c[Context.BLOCKS]
    for at in range(0, min(size, _MAX_PREFETCHED), _LINE):
        prefetch(c[Context.SESSION] + at)


@kernel
def carry_over(c, seed, shift_us):
    """Start a sample that continues from the state of the previous one, between two passes.

    Potentials and spikes in flight stay; votes and counters are cleared.

    Args:
        c: the context.
        seed: seed of the new sample, as a signed i64.
        shift_us: virtual time of the previous sample that is time 0 of the new one, µs.
    """
    control, in_flight = control_of(c), in_flight_of(c)
    votes_of(c)[:] = 0
    spikes_of(c)[:] = 0
    for column in (
        Control.GROUP_NUMBER, Control.ROUNDS, Control.STEPS, Control.SYNOPS, Control.SPIKES,
        Control.INPUT_EVENTS,
        Control.FIRST_VOTE_ROUNDS, Control.FIRST_VOTE_SPIKES, Control.TOP_VOTES, Control.IS_DECIDED,
    ):  # fmt: skip
        control[column] = 0
    control[Control.PASS] = control[Control.FIRST_VOTE_STEPS] = control[Control.LAST_OWNER] = -1
    control[Control.SEED] = seed
    control[Control.TIME] -= shift_us
    for k in range(control[Control.IN_FLIGHT]):
        in_flight[InFlight.DUE_US, k] -= shift_us
        in_flight[InFlight.FIRED_US, k] -= shift_us
