"""What a session's samples go through: accepted, run, decided, abandoned; not its public face."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Final

from neuroasync import limits
from neuroasync.core.engine.decision import Decision
from neuroasync.core.events.input_buffer import InputBuffer
from neuroasync.core.events.spike_train import Events, SpikeTrain, event_count
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.kernels.layout import Populations
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.core.recording.recorder import Recorder
from neuroasync.errors import ClosedError, LimitError
from neuroasync.runtime.clock import Clock
from neuroasync.runtime.counts import Counts
from neuroasync.runtime.scheduler import Scheduler

__all__ = ["Exclusive", "SampleRunner"]

_log = logging.getLogger("neuroasync.session")
_SILENT_PASSES: Final = 10_000
"""Between two windows, before it is looked whether there is anything left to do."""
_DECAYS: Final = 2_000_000
"""Of neurons, one after the other, before the event loop runs again: a millisecond or so."""


class SampleRunner:
    """Samples that follow each other, one caller at a time; each from rest, unless windows carry.

    Args:
        scheduler: runs its passes.
        seed: of its samples.
        is_one_sample: whether there is one sample, and the seed is its own.
        bundle: the network's.
        clock: what the passes of its streams go by.
        recorder: what writes down every spike, or None.
        on_close: called once, when it is closed.

    Attributes:
        counts: what it has taken, refused and lost so far.
    """

    __slots__ = (
        "__weakref__",
        "_bundle",
        "_clock",
        "_holder",
        "_inlet",
        "_is_busy",
        "_is_closed",
        "_is_one_sample",
        "_on_close",
        "_recorder",
        "_sample",
        "_scheduler",
        "_seed",
        "_simulator",
        "_started",
        "counts",
    )

    def __init__(
        self,
        scheduler: Scheduler,
        seed: int,
        is_one_sample: bool,
        bundle: Bundle,
        clock: Clock,
        recorder: Recorder | None,
        on_close: Callable[["SampleRunner"], None],
    ) -> None:
        self._scheduler = scheduler
        self._simulator = scheduler.simulator
        plan = self._simulator.plan
        # With queued input, (time, index) order is of the essence.
        self._inlet = InputBuffer(
            plan.packed.model, plan.run.input == "queued", recorder is not None
        )
        self._seed = seed
        self._is_one_sample = is_one_sample
        self._bundle = bundle
        self._clock = clock
        self.counts = Counts()
        self._recorder = recorder
        self._on_close = on_close
        self._is_closed = False
        self._is_busy = False
        self._sample = 0
        self._holder: object | None = None
        self._begin()

    def close(self) -> None:
        """End the session; a decision that is under way raises ClosedError."""
        if not self._is_closed:
            self._is_closed = True
            self._scheduler.close()
            _log.debug("closed: %s", self.counts, extra=self._where())
            self._on_close(self)

    def _begin(self) -> None:
        """Start a sample from rest."""
        self._simulator.state.keep = self._recorder is not None
        self._simulator.begin(self._sample_seed())
        self._scheduler.sample = self._sample
        self._inlet.begin()
        self._holder = None
        self._started: float | None = None

    def _sample_seed(self) -> int:
        return self._seed if self._is_one_sample else sample_seed(self._seed, self._sample)

    def _finish(self, duration_us: int | None) -> Decision:
        """The decision, once all passes have run; the next sample begins, unless windows carry."""
        decision = self._simulator.decision(self._wall_s(), self._bundle.classes)
        if self._recorder is not None:
            self._recorder.add(
                self._simulator,
                self._inlet.train(),
                decision,
                number=self._sample,
                seed=self._sample_seed(),
                duration_us=duration_us,
            )
        self._sample += 1
        self.counts.decisions += 1
        if self._simulator.carries:
            self._simulator.take_decision()
        else:
            self._begin()
        return decision

    def _provisional(self) -> Decision:
        return replace(
            self._simulator.decision(self._wall_s(), self._bundle.classes), is_final=False
        )

    def _abandon(self) -> None:
        self._scheduler.restart()
        self._begin()

    def _checked(self, events: Events) -> SpikeTrain:
        """The events, if they may follow what was sent; else they are refused, and counted."""
        return self._checked_whole(events, None)[0]

    def _checked_whole(self, events: Events, duration_us: int | None) -> tuple[SpikeTrain, int]:
        """So, and the time up to which passes take place if they are the sample's last."""
        try:
            train = self._inlet.checked(events, self._simulator.watermark_us)
            return train, self._inlet.end_us(duration_us, train)
        except Exception as error:
            count = event_count(events)
            self.counts.refused += count
            _log.debug("refused %d events: %s", count, error, extra=self._where(refused=count))
            raise

    def _where(self, **fields: int) -> dict[str, int]:
        """What a log record says of where it comes from."""
        return {"session": self._scheduler.session, "sample": self._sample, **fields}

    def _accept(self, train: SpikeTrain) -> None:
        if self._started is None:
            self._started = time.perf_counter()
        self.counts.events += len(train)
        self._inlet.accept(train, not self._simulator.is_stopped)

    def _accept_part(self, events: Events, holder: object, duration_us: int | None) -> None:
        self._check_free(holder)
        self._accept(self._checked_whole(events, duration_us)[0])

    async def _send(self, events: Events, holder: object | None = None) -> None:
        self._check_free(holder)
        train = self._checked(events)
        with Exclusive(self, holder):
            self._accept(train)
            await self._run_passes(self._inlet.ready_until_us())

    async def _decide(
        self, events: Events, duration_us: int | None = None, holder: object | None = None
    ) -> Decision:
        self._check_free(holder)
        train, end_us = self._checked_whole(events, duration_us)
        with Exclusive(self, holder):
            self._accept(train)
            await self._run_passes(end_us)
            return self._finish(duration_us)

    async def _advance(self, t_us: int, holder: object | None = None) -> None:
        self._check_free(holder)
        end_us = self._inlet.ready_after_advance_us(t_us)
        with Exclusive(self, holder):
            await self._run_passes(end_us)
            self._inlet.last_us = max(self._inlet.last_us, t_us - 1)

    async def _decision(
        self, duration_us: int | None = None, holder: object | None = None
    ) -> Decision:
        self._check_free(holder)
        end_us = self._inlet.end_us(duration_us)
        with Exclusive(self, holder):
            if not self._simulator.is_decided:
                await self._run_passes(end_us)
            return self._finish(duration_us)

    async def _carry(self, after_us: int, holder: object) -> None:
        """Begin the next sample where the network then is, so long after this one's time 0."""
        self._check_free(holder)
        with Exclusive(self, holder):
            await self._run_passes(self._inlet.end_us(None))  # then all is read
            self._inlet.begin()
            await self._run_idly(after_us)
            self._simulator.carry_over(self._sample_seed(), after_us)
        self._scheduler.sample = self._sample
        self._started = None

    async def _run_idly(self, until_us: int) -> None:
        """Run every pass before ``until_us``, without input; where only decay is left, skip them.

        Raises:
            LimitError: there are too many, and each has something to do.
        """
        simulator, timestep_us = self._simulator, self._simulator.plan.packed.model.timestep_us
        at_us, first = simulator.watermark_us, simulator.passes
        while not simulator.is_quiescent:
            if at_us >= until_us:
                return
            if simulator.passes - first > limits.MAX_PASSES:
                raise LimitError(
                    "the network has something to do at all times, and the next window begins "
                    f"more than {limits.MAX_PASSES} passes after the one before"
                )
            at_us = min(at_us + _SILENT_PASSES * (timestep_us or 1000), until_us)
            await self._run_passes(at_us - 1)
        if not timestep_us:
            return
        left = until_us // timestep_us - simulator.passes
        some = max(_DECAYS // simulator.plan.packed.model.size, 1)
        while left > 0 and simulator.skip_idle_passes(min(some, left)):
            left -= some
            await self._scheduler.yield_if_due()
        simulator.release_scratch()

    async def _pass_by(self, t_us: int, holder: object) -> None:
        """Run every pass before ``t_us``, between two windows that carry."""
        self._check_free(holder)
        with Exclusive(self, holder):
            await self._run_passes(t_us - 1)

    async def _run_to_news(self, end_us: int, holder: object) -> bool:
        """Run passes up to ``end_us``, or until another class leads; return whether one does."""
        with Exclusive(self, holder):
            await self._run_passes(end_us)
            return self._simulator.poll_new_leader()

    async def _run_passes(self, end_us: int) -> None:
        """Run every pass at a virtual time up to ``end_us``."""
        if end_us >= 0 and not self._simulator.is_stopped:
            inlet = self._inlet
            read = await self._scheduler.run(inlet.t_us, inlet.index, end_us)
            self._check_open()
            inlet.drop(inlet.t_us.size if self._simulator.is_stopped else read)

    def _wall_s(self) -> float:
        return 0.0 if self._started is None else time.perf_counter() - self._started

    def _check_portable(self) -> None:
        """Raise RuntimeError if what belongs to the sample is not all in the session."""
        if self._recorder is not None:
            raise RuntimeError(
                "a session that records has no snapshot, nor goes on with one: a recording is in "
                "one piece"
            )
        if self._simulator.plan.packed.arrays.populations[:-1, Populations.CUSTOM].any():
            raise RuntimeError(
                "a session with a population of yours has no snapshot, nor goes on with one: what "
                "yours holds is not in it"
            )

    def _check_open(self) -> None:
        if self._is_closed:
            raise ClosedError("the session is closed")

    def _check_free(self, holder: object | None = None) -> None:
        """Raise unless the session can be used; by another than who holds its sample, end that.

        Args:
            holder: what a watch or a stream knows its sample by; None for all other calls.
        """
        self._check_open()
        if self._is_busy:
            raise RuntimeError("the session is deciding for another task; use one session each")
        if self._holder is not holder:
            if holder is not None:
                raise RuntimeError("the session was used for something else; the sample is lost")
            self._abandon()


class Exclusive:
    """While it lasts it is busy; whoever leaves by an exception abandons the sample."""

    def __init__(self, course: SampleRunner, holder: object | None = None) -> None:
        self._course = course
        self._holder = holder

    def __enter__(self) -> None:
        self._course._check_free(self._holder)
        self._course._is_busy = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._course._is_busy = False
        if kind is not None and not self._course._is_closed:
            self._course._abandon()
