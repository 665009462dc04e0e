"""One sample of a recording, run again delivery by delivery."""

import numpy as np
from numpy.typing import NDArray

from neuroasync.errors import ReplayError
from neuroasync.forward import Forward
from neuroasync.kernels import layout as lay
from neuroasync.recording import Recording
from neuroasync.sample import sample_passes

__all__ = ["SampleReplay"]


class SampleReplay:
    """Runs sample ``k`` and compares it with the recording after every step.

    Args:
        recording: whose deliveries are made again.
        forward: of its network; its policy and stop rule are not asked.
        k: position of the sample.
    """

    def __init__(self, recording: Recording, forward: Forward, k: int) -> None:
        self._recording = recording
        self._forward = forward
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
        recording, forward, k = self._recording, self._forward, self._k
        times: list[int] = []
        forward.begin(int(recording.seed[k]))
        for t_us, index in sample_passes(forward, recording.events(k), recording.duration(k)):
            if forward.passes == recording.passes[k]:
                raise self._error(f"a pass at {t_us} µs follows; the recording has none")
            forward.open_pass(t_us, index)
            times.append(t_us)
            if not self._finish_pass():
                break
        self._check_end(found := np.array(times, np.int64))
        return found

    def _finish_pass(self) -> bool:
        """Take the pass's steps; return False where the recording was stopped."""
        while True:
            self._check_group()
            self._check_fired(self._integrate())
            if self._stopped_here():
                return False
            if not self._take_step():
                return True

    def _take_step(self) -> bool:
        """Deliver what the recording delivers next; return False where the pass ends."""
        forward = self._forward
        now = self._delivered.upto(forward.passes - 1, forward.step + 1)
        try:
            return forward.take_recorded(self._slots[0, now])
        except ReplayError as error:
            raise self._error(str(error), forward.step + 1) from None

    def _integrate(self) -> NDArray[np.int64]:
        """Let all that are reached integrate; the user's populations fire as recorded."""
        forward = self._forward
        populations = forward.wiring.wires.populations
        found = [np.empty(0, np.int64)]
        for p in forward.reached():
            if populations[p, lay.EXTERNAL]:
                forward.current(p)
                fired = self._neuron[self._fired.upto(forward.passes - 1, forward.step)]
                start, stop = populations[p, lay.START], populations[p, lay.STOP]
                fired = fired[(fired >= start) & (fired < stop)]
            else:
                fired = forward.integrate(p)
            forward.admit(p, fired)
            found.append(fired)
        return np.concatenate(found)

    def _check_group(self) -> None:
        """Compare what is being delivered."""
        a = self._forward.state.arrays
        n = int(a.control[lay.GROUP])
        found = a.group[[lay.KEY, lay.ORIGIN, lay.COUNT, lay.VIA], :n]
        now = self._delivered.take(self._forward.passes - 1, self._forward.step)
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
        expected = self._neuron[self._fired.take(self._forward.passes - 1, self._forward.step)]
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
        decision = self._forward.decision(0.0)
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

    def _stopped_here(self) -> bool:
        recording, k = self._recording, self._k
        steps = self._forward.state.arrays.control[lay.STEPS]
        return bool(
            recording.stopped[k]
            and self._forward.passes == recording.passes[k]
            and steps == recording.steps[k]
        )

    def _told_slot(self, group: NDArray[np.int64], slot: int) -> str:
        if slot >= group.shape[1]:
            return "nothing"
        _, origin, count, via = group[:, slot].tolist()
        times = f" {count} times" if count != 1 else ""
        over = f" over connection {via}" if via >= 0 else ""
        return f"{self._recording.info.describe(origin)}{times}{over}"

    def _error(self, text: str, step: int | None = None) -> ReplayError:
        forward = self._forward
        where = f"sample {self._recording.number[self._k]}, pass {forward.passes - 1}"
        step = forward.step if step is None else step
        return ReplayError(f"{where}, step {step} (t = {forward.time_us} µs): {text}")


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
