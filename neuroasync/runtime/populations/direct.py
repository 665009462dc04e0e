"""Built-in populations, whose coroutines are resumed directly, without the event loop."""

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from neuroasync.core.engine.network_state import positions
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.kernels.entry_points import begin_slice, run_on
from neuroasync.runtime.populations.coroutine import DirectInbox, run_population

__all__ = ["DirectPopulations"]

_GROUPS_AT_ONCE: Final = 16
"""Groups that are delivered before the caller looks at the time."""
_MAX_CACHED_SETS: Final = 1024
"""Maximum number of cache entries; each has the functions that resume one set of populations."""

_Resume: TypeAlias = Callable[[None], object]


class DirectPopulations:
    """The built-in populations of a session.

    Args:
        simulator: runs the passes of the sample.
        built_in: their positions among the populations of the network.
    """

    def __init__(self, simulator: Simulator, built_in: Iterable[int]) -> None:
        self._state = simulator.state
        self._inbox = DirectInbox()
        self._coroutines = {p: run_population(simulator, p, self._inbox) for p in built_in}
        for coroutine in self._coroutines.values():
            coroutine.send(None)  # runs it up to its first await
        self._sets: dict[int, tuple[tuple[_Resume, ...], _Resume]] = {}

    def integrate(self, p: int) -> None:
        """Let population ``p`` integrate the group, and fire."""
        self._coroutines[p].send(None)

    def begin_slice(self, end_us: int, work: int) -> None:
        """Set how far :meth:`run` and :meth:`advance` run.

        Args:
            end_us: virtual time of the last pass to run, µs.
            work: approximate number of synaptic operations after which to return.
        """
        begin_slice(self._state.context, end_us, work)

    def advance(self) -> int:
        """Run to the next delivery, after the populations have integrated the open group.

        Returns:
            A bit mask of the populations that the next group has reached, or an ``Interrupt``:
            what ``kernels.forward_pass.run_to_delivery`` returns.
        """
        return run_on(self._state.context, -1)  # type: ignore[no-any-return]

    def run(self, reached: int) -> int:
        """Let populations integrate groups and fire, and deliver the next ones.

        Args:
            reached: bit mask of the populations that the open group has reached.

        Returns:
            As :meth:`advance`.
        """
        inbox, sets = self._inbox, self._sets
        for _ in range(_GROUPS_AT_ONCE):
            try:
                others, last = sets[reached]
            except KeyError:
                if reached < 0:
                    break
                others, last = self._add_set(reached)
            for resume in others:
                resume(None)
            inbox.runs_on = True
            last(None)
            inbox.runs_on = False
            reached = inbox.reason
        return reached

    def close(self) -> None:
        """End the coroutines."""
        self._sets.clear()  # its methods refer to this object
        for coroutine in self._coroutines.values():
            coroutine.close()

    def _add_set(self, mask: int) -> tuple[tuple[_Resume, ...], _Resume]:
        """Return what resumes all populations of a bit mask but the last, and what resumes that."""
        if len(self._sets) >= _MAX_CACHED_SETS:
            self._sets.clear()
        # Output spikes may reach no population.
        resumes = [self._coroutines[p].send for p in positions(mask)] or [self._skip]
        self._sets[mask] = result = tuple(resumes[:-1]), resumes[-1]
        return result

    def _skip(self, _: None) -> None:
        """Run to the next delivery, because the group has reached no population."""
        self._inbox.reason = self.advance()
