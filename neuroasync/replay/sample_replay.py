"""One sample of a recording, run again delivery by delivery."""

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.engine.custom_selection import choose_recorded
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.network_state import NetworkState
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import LayerSync
from neuroasync.core.engine.run_sample import feed_sample, last_pass_us
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.engine.stop_rules import Progress
from neuroasync.core.kernels.layout import Control, Group, Populations
from neuroasync.core.recording.recording import Recording
from neuroasync.errors import ReplayError

__all__ = ["SampleReplay"]


class SampleReplay:
    """Runs sample ``k`` and compares it with the recording after every step.

    Args:
        recording: whose deliveries are made again.
        wiring: its network.
        k: position of the sample.
    """

    def __init__(self, recording: Recording, packed: PackedNetwork, k: int) -> None:
        self._recording = recording
        # The order, the stop rule and the limit of forward steps are the recording's.
        info, most = recording.info, limits.FORWARD_STEPS_CEILING
        settings = RunSettings(
            LayerSync(), info.group_size, info.input, self._stops_here, max_forward_steps=most
        )
        self._simulator = Simulator(ExecutionPlan(packed, settings, is_replay=True), self._choose)
        self._k = k
        rows, slots = recording.rows_of(k), recording.deliveries_of(k)
        self._fired = _Cursor(recording.pass_[rows], recording.step[rows])
        self._delivered = _Cursor(recording.delivered_pass[slots], recording.delivered_step[slots])
        self._neuron = recording.neuron[rows]
        self._slots = np.stack(
            (
                recording.delivered_neuron[slots],
                recording.delivered_origin[slots],
                recording.delivered_count[slots],
                recording.delivered_connection[slots],
            )
        )

    def run(self) -> NDArray[np.int64]:
        """Run the sample; return the virtual time of each pass.

        Raises:
            ReplayError: at the first spike, delivery or count that differs.
        """
        recording, simulator, k = self._recording, self._simulator, self._k
        times: list[int] = []
        events = recording.events(k)
        feed_sample(simulator, events, int(recording.seed[k]))
        end_us = last_pass_us(events, recording.duration(k))
        while (reached := simulator.run_to_delivery(end_us)) is not None:
            if simulator.step == 0:
                self._check_pass_over(simulator.passes - 1)
                times.append(simulator.time_us)
            self._check_group()
            self._check_fired(self._integrate(reached))
        if not simulator.is_stopped:
            self._check_pass_over(simulator.passes)
        self._check_end(found := np.array(times, np.int64))
        return found

    def _choose(self, state: NetworkState) -> int:
        """Choose what the recording delivers next."""
        now = self._delivered.upto(self._simulator.passes - 1, self._simulator.step + 1)
        try:
            return choose_recorded(state, self._slots[0, now])
        except ReplayError as error:
            raise self._error(str(error), self._simulator.step + 1) from None

    def _integrate(self, reached: tuple[int, ...]) -> NDArray[np.int64]:
        """Let all that are reached integrate; the user's populations fire as recorded."""
        simulator = self._simulator
        populations = simulator.plan.packed.arrays.populations
        found = [np.empty(0, np.int64)]
        for p in reached:
            if populations[p, Populations.CUSTOM]:
                simulator.current(p)
                fired = self._neuron[self._fired.upto(simulator.passes - 1, simulator.step)]
                start, stop = populations[p, Populations.START], populations[p, Populations.STOP]
                simulator.report(p, fired[(fired >= start) & (fired < stop)])
            else:
                simulator.integrate(p)
            found.append(simulator.fired(p))
        return np.concatenate(found)

    def _check_pass_over(self, passes: int) -> None:
        """Compare what the passes before this one delivered, and how many there are."""
        left = self._delivered.upto(passes - 1, limits.MAX_TIME_US)
        if missing := left.stop - left.start:
            raise self._error(f"the recording delivers {missing} spikes more in pass {passes - 1}")
        if self._simulator.passes > self._recording.passes[self._k]:
            raise self._error(f"a pass at {self._simulator.time_us} µs; the recording has none")

    def _check_group(self) -> None:
        """Compare what is being delivered."""
        n = int(self._simulator.state.control[Control.GROUP])
        group = self._simulator.state.acquire_scratch().group
        found = group[[Group.KEY, Group.ORIGIN, Group.MULTIPLICITY, Group.CONNECTION], :n]
        now = self._delivered.take(self._simulator.passes - 1, self._simulator.step)
        expected = self._slots[:, now]
        if np.array_equal(found, expected):
            return
        shared = min(n, expected.shape[1])
        wrong = (found[:, :shared] != expected[:, :shared]).any(axis=0)
        slot = int(np.argmax(wrong)) if wrong.any() else shared
        told = [self._told_slot(group, slot) for group in (found, expected)]
        raise self._error(f"slot {slot} delivers {told[0]}; the recording has {told[1]}")

    def _check_fired(self, found: NDArray[np.int64]) -> None:
        """Compare who fired in this step."""
        expected = self._neuron[self._fired.take(self._simulator.passes - 1, self._simulator.step)]
        if np.array_equal(found, expected):
            return
        shared = min(found.size, expected.size)
        wrong = found[:shared] != expected[:shared]
        at = int(np.argmax(wrong)) if wrong.any() else shared
        describe = self._recording.info.describe
        told = [describe(int(who[at])) if at < who.size else "" for who in (found, expected)]
        fired = f"{told[0]} fired" if told[0] else "no further neuron fired"
        raise self._error(f"{fired}; the recording has {told[1] or 'no further spike'}")

    def _check_end(self, times: NDArray[np.int64]) -> None:
        """Compare what the sample came to."""
        recording, k = self._recording, self._k
        decision = self._simulator.decision(0.0)
        found = {
            "passes": decision.passes,
            "steps": decision.steps,
            "spikes": decision.total_spikes,
            "votes": decision.votes.tolist(),
            "label": -1 if decision.label is None else decision.label,
            "rounds": decision.rounds,
            "synops": decision.synops,
        }
        for name, value in found.items():
            expected = getattr(recording, name)[k].tolist()
            if value != expected:
                text = f"{name} {value} at the end of the sample; the recording has {expected}"
                raise self._error(text)
        if not self._fired.is_done or not self._delivered.is_done:
            raise self._error("the sample ends here; the recording goes on")
        rows = recording.rows_of(k)
        if not np.array_equal(times[recording.pass_[rows]], recording.time_us[rows]):
            raise self._error("passes were not at the times that the recording has")

    def _stops_here(self, progress: Progress) -> bool:
        """Whether the recording was stopped where the sample stands."""
        recording, k = self._recording, self._k
        return bool(
            recording.stopped[k]
            and progress.passes == recording.passes[k]
            and progress.steps == recording.steps[k]
        )

    def _told_slot(self, group: NDArray[np.int64], slot: int) -> str:
        if slot >= group.shape[1]:
            return "nothing"
        _, origin, count, via = group[:, slot].tolist()
        times = f" {count} times" if count != 1 else ""
        over = f" over connection {via}" if via >= 0 else ""
        return f"{self._recording.info.describe(origin)}{times}{over}"

    def _error(self, text: str, step: int | None = None) -> ReplayError:
        simulator = self._simulator
        where = f"sample {self._recording.number[self._k]}, pass {simulator.passes - 1}"
        step = simulator.step if step is None else step
        return ReplayError(f"{where}, step {step} (t = {simulator.time_us} µs): {text}")


class _Cursor:
    """Walks along entries that are sorted by (pass, step)."""

    def __init__(self, passes: NDArray[np.int64], steps: NDArray[np.int64]) -> None:
        self._at = list(zip(passes.tolist(), steps.tolist(), strict=True))
        self._next = 0

    @property
    def is_done(self) -> bool:
        """Whether all entries were taken."""
        return self._next == len(self._at)

    def upto(self, pass_index: int, step: int) -> slice:
        """Entries not taken yet, up to and with this step."""
        stop = self._next
        while stop < len(self._at) and self._at[stop] <= (pass_index, step):
            stop += 1
        return slice(self._next, stop)

    def take(self, pass_index: int, step: int) -> slice:
        """Take the entries up to and with this step."""
        now = self.upto(pass_index, step)
        self._next = now.stop
        return now
