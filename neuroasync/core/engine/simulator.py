"""The simulator: a sample's passes as a resumable state machine, without asyncio or I/O."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.custom_selection import choose_by_policy
from neuroasync.core.engine.decision import Decision, decision_of, progress_of
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.network_state import NetworkState, positions
from neuroasync.core.engine.quiescence import is_quiescent, skip_passes
from neuroasync.core.engine.run_settings import forward_step_limit_error, pass_limit_error
from neuroasync.core.engine.stop_rules import Progress, should_stop
from neuroasync.core.events.input_buffer import MergedEvents
from neuroasync.core.kernels.entry_points import (
    begin_slice,
    integrate_and_fire,
    run_on,
    take_chosen,
)
from neuroasync.core.kernels.layout import Control, Group, Interrupt, Phase, StepCounts
from neuroasync.core.kernels.voting import leader

__all__ = ["UNBOUNDED", "Simulator"]

UNBOUNDED: Final = 2**60
"""A work budget that is never spent."""
# Comparing members of an ``IntEnum`` with NumPy integers takes microseconds, hence plain ints.
_STOPPED: Final = int(Phase.STOPPED)
_DONE: Final = int(Interrupt.DONE)
_BUDGET_SPENT: Final = int(Interrupt.BUDGET_SPENT)
_NEEDS_ROOM: Final = int(Interrupt.NEEDS_ROOM)
_NEW_LEADER: Final = int(Interrupt.NEW_LEADER)
_MANY_POPULATIONS: Final = int(Interrupt.MANY_POPULATIONS)


class Simulator:
    """The passes of one sample after another, run step by step or by the compiled engine.

    Step by step, call :meth:`run_to_delivery`, then :meth:`integrate` for each population that it
    returns, in ascending order. Repeat until it returns None. :meth:`run_compiled` does all this
    in one call, for built-in populations.

    Args:
        plan: the execution plan.
        choose: function for replays that selects the next group: it writes positions to
            ``chosen`` of the scratch buffers and returns how many. Defaults to the ordering
            policy.

    Attributes:
        plan: the execution plan.
        state: membrane potentials, spikes in flight, votes and counters.
    """

    __slots__ = ("_choose", "_decided", "_timestep_us", "plan", "state")

    def __init__(
        self, plan: ExecutionPlan, choose: Callable[[NetworkState], int] | None = None
    ) -> None:
        self.plan = plan
        self._timestep_us = plan.packed.model.timestep_us
        self.state = NetworkState(plan)
        self._choose = choose
        self._decided: NDArray[np.int64] | None = None

    def begin(self, seed: int) -> None:
        """Start a new sample from rest, with an unsigned 64-bit ``seed``."""
        self._decided = None
        self.state.reset(seed)

    def enable_carry_over(self) -> None:
        """Keep simulating the sample, which has just begun, after the stop rule fires.

        Windows that carry state use this.
        """
        self.state.acquire_scratch()  # clears the counters of a new sample
        self.state.control[Control.CARRIES] = 1
        self.state.release_scratch()

    def carry_over(self, seed: int, shift_us: int) -> None:
        """Start a new sample that continues from this one's state, between two passes.

        Membrane potentials and spikes in flight stay; votes and counters are cleared.

        Args:
            seed: seed of the new sample, an unsigned 64-bit integer.
            shift_us: virtual time of this sample that is time 0 of the new one, µs.
        """
        self._decided = None
        self.state.carry_over(seed, shift_us)
        self.state.release_scratch()

    @property
    def is_quiescent(self) -> bool:
        """Whether further passes without input would do nothing but decay potentials."""
        return is_quiescent(self.state)

    def skip_idle_passes(self, passes: int) -> bool:
        """Run ``passes`` timesteps without input at once, while :attr:`is_quiescent`.

        Returns whether they changed a variable of a neuron. If not, further ones would not either.
        """
        return skip_passes(self.state, passes)

    def take_decision(self) -> None:
        """Continue the sample after its decision; the stop rule is not evaluated again."""
        self._decided = None
        self.state.control[Control.IS_DECIDED] = 1

    @property
    def carries(self) -> bool:
        """Whether the sample continues after its decision; see :meth:`enable_carry_over`."""
        return self.state.control.item(Control.CARRIES) == 1

    @property
    def is_decided(self) -> bool:
        """Whether the stop rule has fired and the decision was not taken yet."""
        return self.is_stopped or self._decided is not None

    @property
    def is_stopped(self) -> bool:
        """Whether the stop rule has ended the sample."""
        return self.state.control.item(Control.PHASE) == _STOPPED

    @property
    def passes(self) -> int:
        """Number of passes begun."""
        return self.state.control.item(Control.PASS) + 1

    @property
    def step(self) -> int:
        """Forward step of the current pass; 0 is its input group."""
        return int(self.state.control[Control.STEP])

    @property
    def time_us(self) -> int:
        """Virtual time of the current pass, µs."""
        return int(self.state.control[Control.TIME])

    @property
    def watermark_us(self) -> int:
        """Virtual time before which no pass will read events any more, µs; 0 if none was read."""
        item = self.state.control.item
        passes = item(Control.PASS) + 1
        if not passes or item(Control.PHASE) == _STOPPED:
            return 0
        return passes * self._timestep_us if self._timestep_us else item(Control.TIME) + 1

    @property
    def work(self) -> int:
        """Cost of the session so far. The unit is the time of one synaptic operation."""
        return self.state.control.item(Control.WORK)

    @property
    def events_consumed(self) -> int:
        """How many of the events given to :meth:`feed` were read."""
        return self.state.control.item(Control.CURSOR)

    def feed(
        self,
        t_us: NDArray[np.int64],
        index: NDArray[np.int64],
        value: NDArray[np.float32] | None = None,
    ) -> None:
        """Replace the input events that are available to the sample.

        Args:
            t_us: i64[events], times in µs, ascending.
            index: i64[events], flattened input indices; ascending within a time if queued.
            value: f32[events], their values; None if they are spikes.
        """
        self.state.acquire_scratch().feed(t_us, index, value)
        self.state.control[Control.CURSOR] = 0

    def watch(self) -> None:
        """Return from runs early, until the sample ends, whenever another class takes the lead.

        A sample that pauses there within a pass keeps its scratch buffers. A sample that waits for
        events has none.
        """
        self.state.acquire_scratch()  # clears the counters of a new sample
        self.state.control[Control.WATCHED_LEADER] = 1
        self.state.release_scratch()

    def poll_new_leader(self) -> bool:
        """Return whether another class leads than at the previous call, while watching."""
        control = self.state.control
        now = 2 + int(leader(self.state.votes))
        if self.is_stopped or control[Control.WATCHED_LEADER] in (0, now):
            return False
        control[Control.WATCHED_LEADER] = now
        return True

    def release_scratch(self) -> None:
        """Give up the scratch buffers unless a pass is under way."""
        self.state.release_scratch()

    def run_to_delivery(self, end_us: int, work: int = UNBOUNDED) -> tuple[int, ...] | None:
        """Run until populations must integrate.

        Args:
            end_us: run the passes at virtual times up to this one, µs.
            work: approximate number of synaptic operations after which to return.

        Returns:
            Ascending positions of the populations that must integrate, if any; None if no pass is
            left, the sample was stopped, another class leads while watching, or the work budget is
            spent.

        Raises:
            ForwardStepLimitError: a pass reached ``max_forward_steps``.
            PassLimitError: the sample reached ``max_passes``.
            PolicyError: a custom policy returned an impossible order.
            StopRuleError: a custom stop rule did not return a bool.
        """
        while True:
            context = self.state.acquire_scratch().address
            begin_slice(context, end_us, work)
            reason = int(run_on(context, -1))
            if reason >= 0:
                return positions(reason)
            if reason == _MANY_POPULATIONS:
                return self.reached()
            if not self.handle_interrupt(reason):
                return None

    def reached(self) -> tuple[int, ...]:
        """Return the positions of the populations that the group has reached, ascending."""
        is_reached = self.state.acquire_scratch().counts[StepCounts.REACHED]
        return tuple(np.flatnonzero(is_reached).tolist())

    def run_compiled(
        self, end_us: int, work: int = UNBOUNDED, events: MergedEvents | None = None
    ) -> bool:
        """Run all passes up to ``end_us`` with the compiled engine.

        The errors are those of :meth:`run_to_delivery`.

        Args:
            end_us: as for :meth:`run_to_delivery`.
            work: as for :meth:`run_to_delivery`.
            events: first replaces the events as :meth:`feed` does, which would take longer. They
                are not checked, and must be those of an :class:`InputBuffer` or a spike train.

        Returns:
            False if the work budget is spent or a buffer grows, which may take several calls; True
            if no pass is left, the sample was stopped, or another class leads while watching.
        """
        while True:
            if (reason := self.state.run(events, end_us, work)) == _DONE:
                return True
            events = None
            if not self.handle_interrupt(reason) or (reason == _NEEDS_ROOM and work < UNBOUNDED):
                return reason not in (_BUDGET_SPENT, _NEEDS_ROOM)

    def handle_interrupt(self, reason: int) -> bool:
        """Handle the reason why ``run_to_delivery`` or ``run_compiled`` returned.

        Returns:
            Whether to call it again.

        Raises:
            ForwardStepLimitError, PassLimitError, PolicyError, StopRuleError: see
                :meth:`run_to_delivery`.
        """
        if reason in (_DONE, _BUDGET_SPENT, _NEW_LEADER):
            return False
        if reason == _NEEDS_ROOM:
            self.state.make_room()
            return True
        if reason == Interrupt.NEEDS_CHOICE:
            state, choose = self.state, self._choose
            n = choose_by_policy(state, self.plan.run) if choose is None else choose(state)
            take_chosen(state.context, n)
            return True
        if reason == Interrupt.NEEDS_RULE:
            self._apply_custom_rule()
            return True
        if reason == Interrupt.DECIDED:
            self._decided = self.state.head.copy()
            return True
        if reason == Interrupt.STEP_LIMIT:
            place = f"pass {self.passes - 1} (t = {self.time_us} µs)"
            owner = int(self.state.control[Control.LAST_OWNER])
            model = self.plan.packed.model
            raise forward_step_limit_error(place, self.plan.run, model, owner)
        if reason == Interrupt.PASS_LIMIT:
            raise pass_limit_error(self.passes, self.time_us, self.plan.run)
        return False

    def integrate(self, p: int) -> None:
        """Let population ``p`` integrate the current of the group and fire."""
        integrate_and_fire(self.state.context, p)

    def fired(self, p: int) -> NDArray[np.int64]:
        """Return the fired neurons of ``p``: i64[fired], network-wide, ascending."""
        scratch, start = self.state.acquire_scratch(), self.plan.packed.model.starts[p]
        return scratch.fired[start : start + int(scratch.counts[StepCounts.FIRED, p])].copy()

    def report(self, p: int, fired: NDArray[np.int64]) -> None:
        """Set the neurons of a custom population that fire: i64[fired], network-wide, ascending."""
        scratch, start = self.state.acquire_scratch(), self.plan.packed.model.starts[p]
        scratch.fired[start : start + fired.size] = fired
        scratch.counts[StepCounts.FIRED, p] = fired.size

    def current(self, p: int) -> NDArray[np.float32]:
        """Take the current of population ``p``: f32[n], summed in slot order; clear the buffer."""
        starts = self.plan.packed.model.starts
        mine = self.state.acquire_scratch().current[starts[p] : starts[p + 1]]
        current = mine.copy()
        mine[:] = 0
        return current

    def group(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the origins and multiplicities of the group, i64[slots] each, in slot order.

        An origin is a network-wide neuron index, or N + a flattened input index.
        """
        slots = self.state.acquire_scratch().slots(self.state.control)
        return slots[Group.ORIGIN], slots[Group.MULTIPLICITY]

    def _apply_custom_rule(self) -> None:
        """Evaluate the custom stop rule, which may end the sample."""
        if not should_stop(self.plan.run.until, self.progress()):
            return
        if self.carries:
            self.state.control[Control.IS_DECIDED] = 1
            self._decided = self.state.head.copy()
        else:
            self.state.control[Control.PHASE] = Phase.STOPPED

    def progress(self) -> Progress:
        """Return the progress of the sample."""
        return progress_of(self.plan.layout, self.state.head)

    def decision(self, wall_s: float, classes: tuple[str, ...] | None = None) -> Decision:
        """Return the decision, as of the moment when the stop rule fired if it has.

        Args:
            wall_s: wall time to report, s.
            classes: names of the classes, or None.
        """
        head = self.state.head if self._decided is None else self._decided
        return decision_of(self.plan.layout, head, wall_s, classes)
