"""Runs the samples of one session: accepts events, runs passes, makes decisions."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from neuroasync.core.durations import Duration, optional_microseconds
from neuroasync.core.engine.decision import Decision
from neuroasync.core.events.spike_train import Events, SpikeTrain
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.kernels.layout import Populations
from neuroasync.core.recording.recorder import Recorder
from neuroasync.core.snapshot.session_snapshot import (
    Snapshot,
    dump_snapshot,
    read_snapshot,
    restore_state,
)
from neuroasync.core.snapshot.stream_snapshot import StreamState
from neuroasync.runtime.counts import Counts
from neuroasync.runtime.cpu_time.cpu_account import CpuAccount
from neuroasync.runtime.input.many_events import are_many
from neuroasync.runtime.input.sample_input import SampleInput
from neuroasync.runtime.input.thread_calls import ThreadCalls
from neuroasync.runtime.pass_runner import PassRunner
from neuroasync.runtime.populations.report_timeout import StartTask
from neuroasync.runtime.scheduler import Scheduler

__all__ = ["SampleRunner"]

_log = logging.getLogger("neuroasync.session")


class SampleRunner:
    """The samples of one session, one after the other.

    The owner of the sample must not let two coroutines of a runner overlap, and must call
    :meth:`abandon` when one was cancelled or failed. A sample starts from rest, or continues the
    one before (:meth:`Simulator.enable_carry_over`).

    Args:
        scheduler: runs the passes.
        seed_of: returns the seed of the order keys for a sample number.
        bundle: the network, for class names and the digest in snapshots.
        recorder: records every spike, or None.
        thread_calls: computations with many events, which closing the network waits for.
        on_close: called once, when the runner is closed.

    Attributes:
        bundle: as given.
        simulator: the passes of the current sample.
        check_open: raises ClosedError if the session is closed.
        counts: the numbers of events and decisions so far.
        input: the events that are added to the current sample.
        passes: runs the passes of the current sample.
    """

    __slots__ = ("_buffer", "_on_close", "_recorder", "_sample", "_scheduler",
                 "_seed_of", "_started_s", "bundle", "check_open", "counts", "input",
                 "passes", "simulator")  # fmt: skip

    def __init__(
        self,
        scheduler: Scheduler,
        seed_of: Callable[[int], int],
        bundle: Bundle,
        recorder: Recorder | None,
        thread_calls: ThreadCalls,
        on_close: Callable[["SampleRunner"], None],
    ) -> None:
        self._scheduler = scheduler
        self.simulator = scheduler.simulator
        self.simulator.state.keep = recorder is not None
        self.check_open = scheduler.check_open
        self._seed_of = seed_of
        self.bundle = bundle
        self._recorder = recorder
        self._on_close = on_close
        self.counts = Counts()
        self.input = SampleInput(
            self.simulator, recorder is not None, self.counts, thread_calls, self._log_fields
        )
        self._buffer = self.input.buffer
        self.passes = PassRunner(scheduler, self.input)
        # The sample of the next decision. With carry-over it is one more than `self.sample` between
        # a window's decision and the start of the next window.
        self._sample = 0
        self._started_s: float | None = None
        self._begin()

    @property
    def sample(self) -> int:
        """The number of the current sample, from 0."""
        return self._scheduler.sample

    @property
    def is_closed(self) -> bool:
        """Whether the session has ended."""
        return self._scheduler.is_closed

    @property
    def is_decided(self) -> bool:
        """Whether the stop rule has made a decision that :meth:`finish` has not returned yet."""
        return self.simulator.is_decided

    @property
    def waiting_events(self) -> int:
        """The number of events of the sample that no pass has read yet."""
        return self.input.buffer.waiting

    @property
    def is_recording(self) -> bool:
        """Whether every spike is recorded."""
        return self._recorder is not None

    @property
    def start_task(self) -> StartTask:
        """Starts a task that ends with the session at the latest."""
        return self._scheduler.start

    def close(self) -> None:
        """End the session. A pass that is suspended raises ClosedError."""
        if not self._scheduler.is_closed:
            self._scheduler.close()
            self.input.close()
            if _log.isEnabledFor(logging.DEBUG):
                _log.debug("closed: %s", self.counts, extra=self._log_fields())
            self._on_close(self)

    def accept(self, train: SpikeTrain) -> None:
        """Add events that were checked."""
        if self._started_s is None:
            self._started_s = time.perf_counter()
        self.counts.events += train.t_us.size
        self._buffer.accept(train, not self.simulator.is_stopped)

    async def decide(self, events: Events, duration_us: int | None) -> Decision:
        """Decide one whole sample, with no other in progress. If that fails, close the runner.

        Cancellation: the runner is closed.

        Raises:
            EventsError, LimitError, ValueError: see :meth:`SampleInput.checked_sample`.
            ClosedError: the network was closed meanwhile.
            NeuroasyncError: a pass failed.
        """
        try:
            if are_many(events):
                events = await self.input.train_of_many(events)
                self.check_open()
            train, end_us = self.input.checked_sample(events, duration_us)
            self.accept(train)
            if not self.passes.run_now(end_us):
                await self.passes.run_until(end_us)
            return self.finish(duration_us)
        except BaseException:
            self.close()
            raise

    async def discard(self, count: int) -> None:
        """Count ``count`` events as accepted, though no pass will read them. Cancellation: safe."""
        self.counts.events += count
        await self._scheduler.yield_if_due()

    async def advance(self, t_us: int, end_us: int) -> None:
        """Run every pass up to ``end_us``, and allow no events before ``t_us`` any more, µs.

        :meth:`SampleInput.check_advance` returns ``end_us``.

        Cancellation: as :meth:`PassRunner.run_until`.
        """
        await self.passes.run_until(end_us)
        self._buffer.last_us = max(self._buffer.last_us, t_us - 1)

    async def run_to_new_leader(self, end_us: int) -> bool:
        """Run passes up to ``end_us`` or until another class leads; return whether one does.

        Cancellation: as :meth:`PassRunner.run_until`.
        """
        await self.passes.run_until(end_us)
        return self.simulator.poll_new_leader()

    def ready_until_us(self) -> int:
        """Return the virtual time up to which passes have all their events, µs; -1: none."""
        return self._buffer.ready_until_us()

    def provisional(self) -> Decision:
        """Return the decision that the votes so far give, with ``is_final`` False."""
        return replace(self._decision(), is_final=False)

    def length_us(self, duration_us: Duration | None) -> int | None:
        """Return the length of a sample, µs; the bundle's for None. Raise ValueError if invalid."""
        return optional_microseconds(duration_us, "duration_us", self.bundle.duration_us)

    def finish(self, duration_us: int | None) -> Decision:
        """Return the decision of the sample, whose passes have run, and begin the next sample.

        With carry-over, :meth:`carry_over` begins it instead.

        Args:
            duration_us: length of the sample, µs, for the recording.
        """
        decision = self._decision()
        if self._recorder is not None:
            self._recorder.add(
                self.simulator,
                self._buffer.train(),
                decision,
                number=self._sample,
                seed=self._seed_of(self._sample),
                duration_us=duration_us,
            )
        self._sample += 1
        self.counts.decisions += 1
        if self.simulator.carries:
            self.simulator.take_decision()
        else:
            self._begin()
        return decision

    async def run_and_finish(self, end_us: int, duration_us: int | None) -> Decision:
        """Run every pass up to ``end_us``, unless the stop rule has decided, and finish.

        Cancellation: as :meth:`PassRunner.run_until`.
        """
        if not (self.simulator.is_decided or self.passes.run_now(end_us)):
            await self.passes.run_until(end_us)
        return self.finish(duration_us)

    def decide_now(self, events: Events) -> Decision | None:
        """Decide a whole sample at once; None, with nothing changed, if that is not possible."""
        buffer, length_us = self._buffer, self.bundle.duration_us
        if buffer.last_us >= 0 or self.simulator.passes or are_many(events):
            return None  # the current sample has begun, or the check takes long
        if self._scheduler.must_wait():
            return None
        decision = None
        try:
            train, end_us = buffer.checked_sample(events, length_us)
            self._started_s = time.perf_counter()
            if self._recorder is not None:
                buffer.accept(train, False)  # the recording includes the events
            if end_us < 0 or self._scheduler.run_in_slice(buffer.of_whole_sample(train), end_us):
                decision = self.finish(length_us)
                self.counts.events += train.t_us.size
        except Exception:  # `decide` makes the same error, and raises it
            decision = None
        finally:  # Ctrl-C may come at any time
            if decision is None:
                self.abandon()
        return decision

    def reuse(self, session: int, seed_of: Callable[[int], int], account: CpuAccount) -> None:
        """Become the runner of another session; its counts continue.

        Args:
            session: number of the session.
            seed_of: as for a new runner.
            account: the CPU time of the session.
        """
        self._scheduler.reuse(session, account)
        self._seed_of, self._sample = seed_of, 0
        self._begin()

    def abandon(self) -> None:
        """Discard the current sample; the next one has its number and starts from rest."""
        if not self._scheduler.is_closed:
            self._scheduler.restart()
            self._begin()

    def skip(self, samples: int) -> None:
        """Discard the current sample and use up this many numbers."""
        self._sample += samples
        self.abandon()

    async def carry_over(self, after_us: int) -> None:
        """Run every pass before the next sample and begin it in the network's current state.

        Cancellation: as :meth:`PassRunner.run_until`.

        Args:
            after_us: time from the beginning of this sample to that of the next one, µs.

        Raises:
            LimitError: the gap has too many passes and the network never becomes quiescent.
        """
        # This consumes the remaining events.
        await self.passes.run_until(self._buffer.last_pass_us(None))
        self._buffer.begin()
        await self.passes.run_gap(after_us)
        self.simulator.carry_over(self._seed_of(self._sample), after_us)
        self._scheduler.begin_sample(self._sample)
        self._started_s = None

    def dump(self, stream: StreamState | None) -> bytes:
        """Return a snapshot of the sample and its stream; raise as :meth:`read_snapshot`."""
        self._check_portable()
        buffer, digest = self.input.buffer, self.bundle.digest
        waiting, last_us = SpikeTrain(*buffer.events), buffer.last_us
        return dump_snapshot(self.simulator, digest, self._sample, last_us, waiting, stream)

    def read_snapshot(self, data: bytes) -> Snapshot:
        """Read a snapshot that :meth:`restore` can continue from. Nothing is changed.

        Raises:
            SnapshotError: the snapshot is damaged, or does not fit the network or its settings.
            RuntimeError: the session is recording or has custom populations.
        """
        self._check_portable()
        return read_snapshot(data, self.simulator, self.bundle.digest)

    def restore(self, snapshot: Snapshot) -> None:
        """Discard the current sample and continue the one in the snapshot."""
        self.abandon()
        restore_state(self.simulator, snapshot)
        self._sample = snapshot.sample
        # With carry-over, a window continues after its decision; the number in the snapshot is
        # then that of the next sample.
        self._scheduler.begin_sample(snapshot.sample - snapshot.counters["is_decided"])
        self._buffer.restore(snapshot.waiting, snapshot.last_us)

    def _begin(self) -> None:
        """Start a sample from rest."""
        self.simulator.begin(self._seed_of(self._sample))
        self._scheduler.begin_sample(self._sample)
        if self._buffer.last_us >= 0:  # otherwise it is empty
            self._buffer.begin()
        self._started_s = None

    def _decision(self) -> Decision:
        wall_s = 0.0 if self._started_s is None else time.perf_counter() - self._started_s
        return self.simulator.decision(wall_s, self.bundle.classes)

    def _check_portable(self) -> None:
        """Raise RuntimeError unless the session itself holds the complete state of its sample."""
        if self.is_recording:
            raise RuntimeError(
                "cannot snapshot or restore a session that is recording; open one without a "
                "recorder"
            )
        if self.simulator.plan.packed.arrays.populations[:-1, Populations.CUSTOM].any():
            problem = "custom populations, because their state is not part of a snapshot"
            raise RuntimeError(f"cannot snapshot or restore a session with {problem}")

    def _log_fields(self, **fields: int) -> dict[str, int]:
        """Return the fields that tell where a log record comes from."""
        return {"session": self._scheduler.session, "sample": self._sample, **fields}
