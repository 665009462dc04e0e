"""One sample's passes as a resumable state machine, without asyncio, clock or I/O."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.engine.custom_selection import choose_by_policy
from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.network_state import NetworkState
from neuroasync.core.engine.policies import custom_policy
from neuroasync.core.engine.readout import decision_of, progress_of
from neuroasync.core.engine.stop_rules import Progress
from neuroasync.core.kernels.entry_points import (
    integrate_and_fire,
    run_compiled,
    run_to_delivery,
    take_chosen,
)
from neuroasync.core.kernels.forward_pass import MAX_IN_A_MASK
from neuroasync.core.kernels.layout import Control, Counts, Group, Interrupt, Phase, Populations
from neuroasync.core.kernels.voting import leader
from neuroasync.errors import ForwardStepLimitError, LimitError, StopRuleError

__all__ = ["UNBOUNDED", "Simulator", "positions"]

UNBOUNDED: Final = 2**60
"""Of work: do not come up for air."""

_STOPPED: Final = int(Phase.STOPPED)
"""Comparing a NumPy integer with a member of an ``IntEnum`` would take 6 µs."""


class Simulator:
    """One sample's passes, step by step.

    :meth:`run_to_delivery` goes on to where populations are to integrate; then
    :meth:`integrate` lets
    each of them, in ascending order; and so on until it returns None.

    Args:
        plan: the network, and how it is run.
        choose: writes origin goes next to the workspace's ``chosen``, and returns how many; for
            replays. Without, the policy chooses.

    Attributes:
        plan: the network, and how it is run.
        state: membrane potentials, pending spikes, votes, counters.
    """

    __slots__ = ("_choose", "_decided", "plan", "state")

    def __init__(
        self, plan: ExecutionPlan, choose: Callable[[NetworkState], int] | None = None
    ) -> None:
        self.plan = plan
        self.state = NetworkState(plan)
        self._choose = choose
        self._decided: NDArray[np.int64] | None = None

    def begin(self, seed: int) -> None:
        """Start a new sample, from rest, that runs with ``seed``."""
        self._decided = None
        self.state.reset(seed)

    def enable_carry_over(self) -> None:
        """Let the sample that has just begun go on when the stop rule says stop."""
        self.state.acquire_scratch()  # a new sample's counters are cleared
        self.state.control[Control.CARRIES] = 1
        self.state.release_scratch()

    def carry_over(self, seed: int, shift_us: int) -> None:
        """Start a new sample where this one is, between two passes; ``shift_us`` is its time 0.

        Membrane potentials stay, and so do spikes in flight; votes and counters begin anew.
        """
        self._decided = None
        self.state.carry_over(seed, shift_us)
        self.state.release_scratch()

    @property
    def is_quiescent(self) -> bool:
        """Whether passes without input would do nothing but decay: nothing is in flight, either."""
        control, packed = self.state.control, self.plan.packed
        biased = packed.arrays.populations[:, Populations.HAS_BIAS]
        fires = packed.model.timestep_us and (control[Control.SUPRATHRESHOLD] or biased.any())
        return not (control[Control.IN_FLIGHT] or fires)

    def skip_idle_passes(self, passes: int) -> bool:
        """Let so many passes go by at once, while :attr:`is_quiescent`; for timesteps only.

        Returns:
            Whether they changed anything. If not, no further ones would.
        """
        state = self.state
        state.apply_decay()
        before = state.potential.copy()
        state.control[Control.CLOCK] += passes
        state.apply_decay()
        return not np.array_equal(before, state.potential)

    def take_decision(self) -> None:
        """The sample goes on after its decision, and the stop rule is asked no more."""
        self._decided = None
        self.state.control[Control.IS_DECIDED] = 1

    @property
    def carries(self) -> bool:
        """Whether the sample goes on after its decision; see :meth:`enable_carry_over`."""
        return bool(self.state.control[Control.CARRIES])

    @property
    def is_decided(self) -> bool:
        """Whether the stop rule has said stop, and the decision was not told yet."""
        return self.is_stopped or self._decided is not None

    @property
    def is_stopped(self) -> bool:
        """Whether the stop rule has ended the sample."""
        return int(self.state.control[Control.PHASE]) == _STOPPED

    @property
    def passes(self) -> int:
        """Passes begun."""
        return int(self.state.control[Control.PASS]) + 1

    @property
    def step(self) -> int:
        """Forward step of the pass; 0 is its input group."""
        return int(self.state.control[Control.STEP])

    @property
    def time_us(self) -> int:
        """Virtual time of the pass, µs."""
        return int(self.state.control[Control.TIME])

    @property
    def watermark_us(self) -> int:
        """Passes take no more events from before this time, µs; 0 also if none will be read."""
        if self.is_stopped or not self.passes:
            return 0
        timestep_us = self.plan.packed.model.timestep_us
        return self.passes * timestep_us if timestep_us else self.time_us + 1

    @property
    def work(self) -> int:
        """What the session has cost so far, in synaptic operations, or what takes as long."""
        return int(self.state.control[Control.WORK])

    @property
    def events_consumed(self) -> int:
        """How many of the events at hand were read."""
        return int(self.state.control[Control.CURSOR])

    def feed(self, t_us: NDArray[np.int64], index: NDArray[np.int64]) -> None:
        """Give the sample these events, in place of those at hand.

        Args:
            t_us: i64[events], ascending.
            index: i64[events], flattened input indices; with queued input ascending within a
                time.
        """
        self.state.acquire_scratch().feed(t_us, index)
        self.state.control[Control.CURSOR] = 0

    def watch(self) -> None:
        """Let passes end, until the sample ends, where another class leads than was shown.

        A sample that pauses there, in the middle of a pass, keeps its workspace; one that waits
        for events has none.
        """
        self.state.acquire_scratch()  # a new sample's counters are cleared
        self.state.control[Control.WATCHED_LEADER] = 1
        self.state.release_scratch()

    def poll_new_leader(self) -> bool:
        """Whether another class leads than was shown; it counts as shown from now on."""
        control = self.state.control
        now = 2 + int(leader(self.state.votes))
        if self.is_stopped or control[Control.WATCHED_LEADER] in (0, now):
            return False
        control[Control.WATCHED_LEADER] = now
        return True

    def release_scratch(self) -> None:
        """Give up what is needed only while passes are under way."""
        self.state.release_scratch()

    def run_to_delivery(self, end_us: int, work: int = UNBOUNDED) -> tuple[int, ...] | None:
        """Go on to where populations are to integrate.

        Args:
            end_us: passes at virtual times up to this one take place.
            work: about how many synaptic operations may be spent before returning.

        Returns:
            Positions of the populations, ascending; there may be none. Or None: the sample has
            no pass left to run, or was stopped, or the work is done.

        Raises:
            ForwardStepLimitError: a pass took ``max_forward_steps`` already.
            LimitError: the sample took too many passes.
            PolicyError: a policy of the user's returned an impossible order.
            StopRuleError: a stop rule of the user's returned something else than a bool.
        """
        while True:
            reason = int(run_to_delivery(self.state.acquire_scratch().address, end_us, work))
            if reason >= 0:
                return positions(reason)
            if reason == Interrupt.MANY_POPULATIONS:
                return self.reached()
            if not self.handle_interrupt(reason):
                return None

    def reached(self) -> tuple[int, ...]:
        """Positions of the populations that the group has reached, ascending."""
        return tuple(np.flatnonzero(self.state.acquire_scratch().counts[Counts.REACHED]).tolist())

    def run_compiled(self, end_us: int, work: int = UNBOUNDED) -> bool:
        """Run all passes up to ``end_us`` by kernels alone; return whether that is done.

        It is if another class leads, too, while somebody watches.

        Raises:
            ForwardStepLimitError, LimitError: as :meth:`run_to_delivery`.
        """
        while True:
            reason = int(run_compiled(self.state.acquire_scratch().address, end_us, work))
            if not self.handle_interrupt(reason):
                return reason != Interrupt.BUDGET_SPENT

    def handle_interrupt(self, reason: int) -> bool:
        """Handle the reason why ``run_to_delivery`` or ``run_compiled`` returned.

        Returns:
            Whether to call it again.

        Raises:
            ForwardStepLimitError, LimitError, PolicyError, StopRuleError: as
            :meth:`run_to_delivery`.
        """
        if reason == Interrupt.NEEDS_ROOM:
            self.state.make_room()
            return True
        if reason == Interrupt.NEEDS_CHOICE:
            choose = self._choose or self._choose_by_policy
            take_chosen(self.state.context, choose(self.state))
            return True
        if reason == Interrupt.NEEDS_RULE:
            self._apply_custom_rule()
            return True
        if reason == Interrupt.DECIDED:
            self._decided = self.state.head.copy()
            return True
        if reason == Interrupt.STEP_LIMIT:
            raise ForwardStepLimitError(
                f"pass {self.passes - 1} (t = {self.time_us} µs) did not end within "
                f"max_forward_steps = {self.plan.run.max_forward_steps}; "
                f"{self.state.last_to_fire()}. "
                "Raise the limit, or make the populations of the loop refractory"
            )
        if reason == Interrupt.PASS_LIMIT:
            raise LimitError(
                f"the sample took {self.passes} passes by t = {self.time_us} µs; "
                f"the limit is {limits.MAX_PASSES}"
            )
        return False

    def integrate(self, p: int) -> None:
        """Let population ``p`` integrate the group, and say origin fires."""
        integrate_and_fire(self.state.context, p)

    def fired(self, p: int) -> NDArray[np.int64]:
        """Who of population ``p`` fired in this step: i64[fired], network-wide, ascending."""
        scratch, start = self.state.acquire_scratch(), self.plan.packed.model.starts[p]
        return scratch.fired[start : start + int(scratch.counts[Counts.FIRED, p])].copy()

    def report(self, p: int, fired: NDArray[np.int64]) -> None:
        """Say origin of a population of the user's fires: i64[fired], network-wide, ascending."""
        scratch, start = self.state.acquire_scratch(), self.plan.packed.model.starts[p]
        scratch.fired[start : start + fired.size] = fired
        scratch.counts[Counts.FIRED, p] = fired.size

    def current(self, p: int) -> NDArray[np.float32]:
        """Take what the group brings to population ``p``: f32[n], summed in slot order."""
        starts = self.plan.packed.model.starts
        mine = self.state.acquire_scratch().current[starts[p] : starts[p + 1]]
        current = mine.copy()
        mine[:] = 0
        return current

    def group(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The group being delivered: i64[slots] origins and multiplicities, in slot order.

        An origin is a network-wide neuron index, or N + a flattened input index.
        """
        n = int(self.state.control[Control.GROUP])
        group = self.state.acquire_scratch().group
        return group[Group.ORIGIN, :n].copy(), group[Group.MULTIPLICITY, :n].copy()

    def _choose_by_policy(self, state: NetworkState) -> int:
        """Choose origin goes next where no kernel does."""
        policy = custom_policy(self.plan.run.policy)
        if policy is None:
            raise RuntimeError("this order is the kernels' to choose")
        return choose_by_policy(state, policy, self.plan.run.group_size)

    def _apply_custom_rule(self) -> None:
        """Ask a stop rule of the user's; it may end the sample."""
        rule = self.plan.run.until
        if not callable(rule):
            raise RuntimeError("this stop rule is the kernels' to ask")
        should_stop = rule(self.progress())
        if not isinstance(should_stop, bool | np.bool_):
            raise StopRuleError(
                f"the stop rule {rule!r:.80} returned {should_stop!r:.80}, expected True or False"
            )
        if should_stop and self.carries:
            self.state.control[Control.IS_DECIDED] = 1
            self._decided = self.state.head.copy()
        elif should_stop:
            self.state.control[Control.PHASE] = Phase.STOPPED

    def progress(self) -> Progress:
        """Where the sample stands."""
        return progress_of(self.plan, self.state.head)

    def decision(self, wall_s: float, classes: tuple[str, ...] | None = None) -> Decision:
        """What the sample has come to; if it goes on, when the stop rule said stop."""
        head = self.state.head if self._decided is None else self._decided
        return decision_of(self.plan, head, wall_s, classes)


def positions(mask: int) -> tuple[int, ...]:
    """The bits that are set, ascending."""
    return tuple(p for p in range(MAX_IN_A_MASK) if mask >> p & 1)
