"""The forward passes of one sample as a resumable state machine.

What a pass does happens here, by calling kernels; an engine decides only *when* to take the
next step::

    forward.open_pass(t_us, index)              # step 0: decay, bias, input
    while True:
        for p in forward.reached():             # who must integrate before the next step
            forward.admit(p, forward.integrate(p))
        if forward.stopped() or not forward.next_step():
            break
"""

import numpy as np
from numpy.typing import NDArray

from neuroasync._choice import choose_by_policy, choose_recorded
from neuroasync.decision import Decision, Progress
from neuroasync.errors import ForwardStepLimitError, ReplayError, StopRuleError
from neuroasync.kernels import layout as lay
from neuroasync.kernels.advance import start_late_step
from neuroasync.kernels.arrivals import note_delayed, open_group, reached_populations
from neuroasync.kernels.decide import leader, should_stop
from neuroasync.kernels.fire import (
    evaluate,
    gather_current,
    integrate,
    late_population,
    list_late,
    start_pass,
)
from neuroasync.kernels.pending import admit, choose, take
from neuroasync.policies import own_policy
from neuroasync.settings import RunSettings
from neuroasync.state import State
from neuroasync.wiring import Wiring

__all__ = ["Forward"]


class Forward:
    """One sample's passes, step by step.

    Args:
        wiring: the network.
        settings: how it is run.

    Attributes:
        state: membrane potentials, pending spikes, votes, counters.
    """

    def __init__(self, wiring: Wiring, settings: RunSettings) -> None:
        self.wiring = wiring
        self.settings = settings
        self.state = State(wiring, settings)
        self._own_policy = own_policy(settings.policy)
        self._asks_rule = self.state.arrays.settings[lay.RULE] != lay.QUIET
        self.begin(0)

    def begin(self, seed: int) -> None:
        """Start a new sample that runs with ``seed``."""
        self.state.reset(seed)
        self._late = -1

    @property
    def is_stopped(self) -> bool:
        """Whether the stop rule has ended the sample."""
        return bool(self.state.arrays.control[lay.PHASE] == lay.STOPPED)

    @property
    def passes(self) -> int:
        """Passes begun."""
        return int(self.state.arrays.control[lay.PASS]) + 1

    @property
    def step(self) -> int:
        """Forward step of the pass; 0 is its input group."""
        return int(self.state.arrays.control[lay.STEP])

    @property
    def time_us(self) -> int:
        """Virtual time of the pass, µs."""
        return int(self.state.arrays.control[lay.TIME])

    def next_pass_us(self, event_us: int | None) -> int | None:
        """Virtual time of the next pass, if its next input event is at ``event_us``.

        With a timestep that is its next multiple, events or not. Without, it is the next time
        at which an event or a delayed spike arrives; None if neither does.
        """
        if timestep := self.wiring.model.timestep_us:
            return self.passes * timestep
        a = self.state.arrays
        times = [] if event_us is None else [event_us]
        if in_flight := int(a.control[lay.DUE]):
            times.append(int(a.due[lay.DUE_AT, :in_flight].min()))
        return min(times, default=None)

    def open_pass(self, t_us: int, index: NDArray[np.int64]) -> None:
        """Begin the pass at ``t_us``: decay, bias, and its input group, which is step 0.

        Args:
            t_us: virtual time, µs.
            index: i64[events], flattened input indices in (time, index) order.
        """
        self.state.ensure_room(index.size + int(self.state.arrays.control[lay.DUE]))
        a, w = self.state.arrays, self.wiring.wires
        decays = a.control[lay.PASS] >= 0
        if decays and (interval := t_us - int(a.control[lay.TIME])) != a.control[lay.INTERVAL]:
            self.state.set_interval(interval)
        self._late = -1
        a.control[lay.PASS] += 1
        a.control[lay.TIME] = t_us
        start_pass(
            decays, w.populations, w.connections, w.weights, a.decay, a.potential, a.marks,
            a.peaks, a.peak_steps, a.control[lay.PASS],
        )  # fmt: skip
        open_group(index, w.populations, a.due, a.group, a.pending, a.slots, a.control, a.settings)
        self._note_delayed()

    def reached(self) -> list[int]:
        """Positions of the populations that must integrate before the next step, ascending.

        Those that the group has a connection to; or the one that fires late.
        """
        if self._late >= 0:
            return [self._late]
        a, w = self.state.arrays, self.wiring.wires
        reached_populations(w.populations, w.connections, w.links, a.group, a.control, a.reached)
        return [p for p, is_reached in enumerate(a.reached.tolist()) if is_reached]

    def integrate(self, p: int) -> NDArray[np.int64]:
        """Let population ``p`` integrate the group; return who fires, ascending i64[fired]."""
        a, w = self.state.arrays, self.wiring.wires
        if p == self._late:
            n = list_late(
                p, w.populations, w.thresholds, a.potential, a.marks, a.control, a.touched
            )
            n = evaluate(
                p, n, w.populations, w.thresholds, a.potential, a.marks, a.touched, a.control,
                a.peaks, a.peak_steps, a.settings, 0.0, a.fired, 0,
            )  # fmt: skip
        else:
            n = integrate(
                p, w.populations, w.connections, w.links, w.weights, w.thresholds, a.potential,
                a.marks, a.group, a.touched, a.control, a.peaks, a.peak_steps, a.settings, a.fired,
            )  # fmt: skip
        return a.fired[:n].copy()

    def current(self, p: int) -> NDArray[np.float32]:
        """Take what the group brings to population ``p``: f32[n], summed in slot order."""
        a, w = self.state.arrays, self.wiring.wires
        gather_current(
            p, w.populations, w.connections, w.links, w.weights, a.potential, a.marks, a.group,
            a.control, a.touched,
        )  # fmt: skip
        start, stop = w.populations[p, lay.START], w.populations[p, lay.STOP]
        current = a.potential[lay.CURRENT, start:stop].copy()
        a.potential[lay.CURRENT, start:stop] = 0
        return current

    def group(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The group being delivered: i64[slots] origins and multiplicities, in slot order.

        An origin is a network-wide neuron index, or N + a flattened input index.
        """
        a = self.state.arrays
        n = int(a.control[lay.GROUP])
        return a.group[lay.ORIGIN, :n].copy(), a.group[lay.COUNT, :n].copy()

    def admit(self, p: int, fired: NDArray[np.int64]) -> None:
        """Enter who fired into the pending spikes, and count them; in ascending ``p``."""
        if fired.size:
            a, w = self.state.arrays, self.wiring.wires
            admit(
                p, fired, fired.size, w.populations, a.potential, a.marks, a.pending, a.rows,
                a.row_potential, a.votes, a.spikes, a.control, a.settings,
            )  # fmt: skip

    def stopped(self) -> bool:
        """Ask the stop rule; once it says stop, the sample is over.

        Raises:
            StopRuleError: a function of the user's returned something else than a bool.
        """
        if not self._asks_rule:
            return False
        a, rule = self.state.arrays, self.settings.until
        if callable(rule):
            says_stop = rule(self.progress())
            if not isinstance(says_stop, bool | np.bool_):
                raise StopRuleError(
                    f"the stop rule {rule!r:.80} returned {says_stop!r:.80}, expected True or False"
                )
        else:
            says_stop = should_stop(a.votes, a.control, a.settings)
        if says_stop:
            a.control[lay.PHASE] = lay.STOPPED
        return self.is_stopped

    def next_step(self) -> bool:
        """Take the next forward step's group, or let neurons fire late; False ends the pass.

        After it, those that :meth:`reached` names must integrate.

        Raises:
            ForwardStepLimitError: the pass took ``max_forward_steps`` already.
            PolicyError: a policy of the user's returned an impossible order.
        """
        if not self._begin_step():
            return self._start_late_step()
        a, w = self.state.arrays, self.wiring.wires
        if self._own_policy is not None:
            n = choose_by_policy(self.state, self._own_policy, self.settings.group_size)
        else:
            n = choose(
                w.populations, a.potential, a.pending, a.keys, a.chosen, a.control, a.settings,
                self.state.noise,
            )  # fmt: skip
        self._take(n)
        return True

    def take_recorded(self, keys: NDArray[np.int64]) -> bool:
        """Like :meth:`next_step`, but take the pending spikes with ``keys``, in this order.

        Raises:
            ReplayError: one of them is not pending, or some are and none is named.
        """
        if not self._begin_step():
            if keys.size:
                raise ReplayError(f"the recording delivers {keys.size} spikes; none is pending")
            return self._start_late_step()
        self._take(choose_recorded(self.state, keys))
        return True

    def check_limit(self) -> None:
        """Raise ForwardStepLimitError if the pass took ``max_forward_steps`` already."""
        control, limit = self.state.arrays.control, self.settings.max_forward_steps
        if control[lay.STEP] >= limit:
            raise ForwardStepLimitError(
                f"pass {self.passes - 1} (t = {self.time_us} µs) did not end within "
                f"max_forward_steps = {limit}; {self.state.last_to_fire()}. "
                "Raise the limit, or make the populations of the loop refractory"
            )

    def progress(self) -> Progress:
        """Where the sample stands."""
        a = self.state.arrays
        label, control = int(leader(a.votes)), a.control
        return Progress(
            votes=a.votes[lay.VOTES],
            label=None if label < 0 else label,
            t_us=self.time_us,
            passes=self.passes,
            steps=int(control[lay.STEPS]),
            rounds=int(control[lay.ROUNDS]),
            spikes=int(control[lay.SPIKES]),
        )

    def decision(self, wall_s: float, classes: tuple[str, ...] | None = None) -> Decision:
        """What the sample has come to."""
        a, progress = self.state.arrays, self.progress()
        control, label = a.control, progress.label
        at = a.votes[[lay.LED_SPIKES, lay.LED_STEPS, lay.LED_ROUNDS]].T.tolist()
        led = {c: (spikes, steps, rounds) for c, (spikes, steps, rounds) in enumerate(at) if spikes}
        names = [p.name for p in self.wiring.model.populations]
        return Decision(
            label=label,
            class_name=None if label is None or classes is None else classes[label],
            votes=progress.votes.copy(),
            stopped=self.is_stopped,
            t_us=progress.t_us if progress.passes else -1,
            passes=progress.passes,
            steps=progress.steps,
            rounds=progress.rounds,
            spikes=dict(zip(names, a.spikes.tolist(), strict=True)),
            input_events=int(control[lay.INPUTS]),
            synops=int(control[lay.SYNOPS]),
            first_led=led,
            first_spike=min(led.values(), default=None),
            undelivered=int(control[lay.DUE]),
            wall_s=wall_s,
        )

    def _begin_step(self) -> int:
        """Make room for the next step; return how many spikes are pending."""
        waiting = int(self.state.arrays.control[lay.PENDING])
        self.state.ensure_room(waiting)
        self._late = -1
        if waiting:
            self.check_limit()
        return waiting

    def _take(self, n: int) -> None:
        """Make the ``n`` chosen spikes the group."""
        a, w = self.state.arrays, self.wiring.wires
        take(
            a.chosen, n, w.populations, a.marks, a.pending, a.group, a.slots, a.control,
            a.settings,
        )  # fmt: skip
        self._note_delayed()

    def _start_late_step(self) -> bool:
        """Open a step in which neurons fire that nothing reached and that are above threshold."""
        a, w = self.state.arrays, self.wiring.wires
        p = late_population(w.populations, w.thresholds, a.potential, a.marks, a.control)
        if p < 0:
            return False
        self.check_limit()
        start_late_step(a.control)
        self._late = int(p)
        return True

    def _note_delayed(self) -> None:
        if self.wiring.fan_delayed:
            a, w = self.state.arrays, self.wiring.wires
            note_delayed(w.populations, w.connections, w.links, a.due, a.group, a.control)
