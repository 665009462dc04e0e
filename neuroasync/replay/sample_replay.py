"""Replay of one sample of a recording, delivery by delivery."""

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
from neuroasync.core.kernels.delivery.event_values import unpack
from neuroasync.core.kernels.layout import Group, Populations
from neuroasync.core.quantity import quantity
from neuroasync.core.recording.recording import Recording
from neuroasync.errors import ReplayError

__all__ = ["SampleReplay"]


class SampleReplay:
    """Runs a sample again and compares it with the recording after every step.

    Args:
        recording: the recording whose deliveries are repeated.
        packed: the network of the recording.
        k: position of the sample.
    """

    def __init__(self, recording: Recording, packed: PackedNetwork, k: int) -> None:
        self._recording = recording
        info = recording.info
        # The recording determines where the sample stops, and the order unless populations have
        # turns. The limit of forward steps must not end a pass.
        self._has_turns = info.has_turns
        settings = RunSettings(
            LayerSync(),
            info.group_size,
            info.input,
            self._stops_here,
            max_forward_steps=limits.FORWARD_STEPS_HARD_LIMIT,
        )
        plan = ExecutionPlan(packed, settings, is_replay=not self._has_turns)
        self._simulator = Simulator(plan, self._choose)
        self._k = k
        rows, slots = recording.rows_of(k), recording.deliveries_of(k)
        self._fired = _Cursor(recording.pass_[rows], recording.step[rows])
        self._delivered = _Cursor(recording.delivered_pass[slots], recording.delivered_step[slots])
        self._neuron = recording.neuron[rows]
        value = None
        if recording.delivered_value is not None:
            value = recording.delivered_value[slots]
        self._slots = _slots(
            recording.delivered_neuron[slots],
            recording.delivered_origin[slots],
            recording.delivered_count[slots],
            value,
            recording.delivered_connection[slots],
        )

    def run(self) -> NDArray[np.int64]:
        """Run the sample and return the virtual time of each pass, i64[passes] in µs.

        Raises:
            ReplayError: a spike, a delivery or a count differs. The message names the first one.
        """
        recording, simulator, k = self._recording, self._simulator, self._k
        times: list[int] = []
        events = recording.events(k)
        feed_sample(simulator, events, int(recording.seed[k]))
        end_us = last_pass_us(events, recording.duration(k))
        latest = (-1, 0)
        while (reached := simulator.run_to_delivery(end_us)) is not None:
            now = simulator.passes, simulator.step
            if now != latest:  # several turns may have the same step
                if simulator.step == 0:
                    self._check_pass_over(simulator.passes - 1)
                    times.append(simulator.time_us)
                self._check_group()
            latest = now
            fired = self._integrate(reached)
            if fired.size or not self._has_turns:
                self._check_fired(fired)
        if not simulator.is_stopped:
            self._check_pass_over(simulator.passes)
        pass_times = np.array(times, np.int64)
        self._check_end(pass_times)
        return pass_times

    def _choose(self, state: NetworkState) -> int:
        """Choose the pending spikes that the recording delivers next; return their number."""
        now = self._delivered.until(self._simulator.passes - 1, self._simulator.step + 1)
        try:
            return choose_recorded(state, self._slots[0, now])
        except ReplayError as error:
            raise self._error(str(error), self._simulator.step + 1) from None

    def _integrate(self, reached: tuple[int, ...]) -> NDArray[np.int64]:
        """Integrate the populations in ``reached``; custom ones fire as recorded.

        Returns:
            The neurons that fired in this step, i64[spikes].
        """
        simulator = self._simulator
        populations = simulator.plan.packed.arrays.populations
        fired_neurons = [np.empty(0, np.int64)]
        for p in reached:
            if populations[p, Populations.CUSTOM]:
                simulator.current(p)
                fired = self._neuron[self._fired.until(simulator.passes - 1, simulator.step)]
                start, stop = populations[p, Populations.START], populations[p, Populations.STOP]
                simulator.report(p, fired[(fired >= start) & (fired < stop)])
            else:
                simulator.integrate(p)
            fired_neurons.append(simulator.fired(p))
        return np.concatenate(fired_neurons)

    def _check_pass_over(self, passes: int) -> None:
        """Check that ``passes`` passes made all their recorded deliveries, and none is extra."""
        remaining = self._delivered.until(passes - 1, limits.MAX_TIME_US)
        if missing := remaining.stop - remaining.start:
            more = quantity(missing, "more spike")
            raise self._error(f"the recording delivers {more} in pass {passes - 1}")
        if self._simulator.passes > self._recording.passes[self._k]:
            raise self._error(f"a pass at {self._simulator.time_us} µs; the recording has none")

    def _check_group(self) -> None:
        """Compare the group that is being delivered with the recording."""
        state = self._simulator.state
        group = state.acquire_scratch().slots(state.control)
        count, value = unpack(group[Group.MULTIPLICITY])
        delivered = _slots(
            group[Group.KEY], group[Group.ORIGIN], count, value, group[Group.CONNECTION]
        )
        now = self._delivered.take(self._simulator.passes - 1, self._simulator.step)
        expected = self._slots[:, now]
        if np.array_equal(delivered, expected):
            return
        shared = min(delivered.shape[1], expected.shape[1])
        differs = (delivered[:, :shared] != expected[:, :shared]).any(axis=0)
        slot = int(np.argmax(differs)) if differs.any() else shared
        here, recorded = (self._slot_text(slots, slot) for slots in (delivered, expected))
        raise self._error(f"slot {slot} delivers {here}; the recording has {recorded}")

    def _check_fired(self, fired: NDArray[np.int64]) -> None:
        """Compare the neurons that fired in this step with the recording."""
        expected = self._neuron[self._fired.take(self._simulator.passes - 1, self._simulator.step)]
        if np.array_equal(fired, expected):
            return
        shared = min(fired.size, expected.size)
        differs = fired[:shared] != expected[:shared]
        at = int(np.argmax(differs)) if differs.any() else shared
        describe = self._recording.info.describe
        here, recorded = "no further neuron", "no further spike"
        if at < fired.size:
            here = describe(int(fired[at]))
        if at < expected.size:
            recorded = describe(int(expected[at]))
        raise self._error(f"{here} fired; the recording has {recorded}")

    def _check_end(self, times: NDArray[np.int64]) -> None:
        """Compare the decision and the times of the passes with the recording."""
        recording, k = self._recording, self._k
        decision = self._simulator.decision(0.0)
        counts = {
            "passes": decision.passes,
            "steps": decision.steps,
            "spikes": decision.total_spikes,
            "votes": decision.votes.tolist(),
            "label": -1 if decision.label is None else decision.label,
            "rounds": decision.rounds,
            "synops": decision.synops,
        }
        for name, value in counts.items():
            expected = getattr(recording, name)[k].tolist()
            if value != expected:
                raise self._error(
                    f"{name} {value} at the end of the sample; the recording has {expected}"
                )
        if not self._fired.is_done or not self._delivered.is_done:
            raise self._error("the sample ends here, but the recording continues")
        rows = recording.rows_of(k)
        if not np.array_equal(times[recording.pass_[rows]], recording.time_us[rows]):
            raise self._error("the passes were not at the recorded times")

    def _stops_here(self, progress: Progress) -> bool:
        """Return whether the recorded sample was stopped at the current step."""
        recording, k = self._recording, self._k
        return bool(
            recording.stopped[k]
            and progress.passes == recording.passes[k]
            and progress.steps == recording.steps[k]
            and progress.spikes == recording.spikes[k]
        )

    def _slot_text(self, group: NDArray[np.int64], slot: int) -> str:
        if slot >= group.shape[1]:
            return "nothing"
        _, origin, count, pattern, connection = group[:, slot].tolist()
        value = float(np.int32(pattern).view(np.float32))
        times = f" {count} times" if count != 1 else ""
        if value != count:
            times += f" with the value {value:g}"
        over = f" over connection {connection}" if connection >= 0 else ""
        return f"{self._recording.info.describe(origin)}{times}{over}"

    def _error(self, problem: str, step: int | None = None) -> ReplayError:
        simulator = self._simulator
        place = f"sample {self._recording.number[self._k]}, pass {simulator.passes - 1}"
        step = simulator.step if step is None else step
        return ReplayError(f"{place}, step {step} (t = {simulator.time_us} µs): {problem}")


def _slots(
    key: NDArray[np.int64],
    origin: NDArray[np.int64],
    count: NDArray[np.int64],
    value: NDArray[np.float32] | None,
    connection: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return slots to compare, i64[5, n]: keys, origins, counts, factors as bits, connections."""
    factor = count.astype(np.float32) if value is None else value
    return np.stack((key, origin, count, factor.view(np.int32), connection))


class _Cursor:
    """A position in entries that are sorted by (pass, step)."""

    def __init__(self, passes: NDArray[np.int64], steps: NDArray[np.int64]) -> None:
        self._steps = list(zip(passes.tolist(), steps.tolist(), strict=True))
        self._next = 0

    @property
    def is_done(self) -> bool:
        """Whether all entries have been taken."""
        return self._next == len(self._steps)

    def until(self, pass_index: int, step: int) -> slice:
        """Return the span of the entries not taken yet, up to and including this step."""
        stop = self._next
        while stop < len(self._steps) and self._steps[stop] <= (pass_index, step):
            stop += 1
        return slice(self._next, stop)

    def take(self, pass_index: int, step: int) -> slice:
        """Take the entries up to and including this step, and return their span."""
        span = self.until(pass_index, step)
        self._next = span.stop
        return span
