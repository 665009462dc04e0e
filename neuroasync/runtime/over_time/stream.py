"""Decisions over time of a live stream."""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing
from dataclasses import replace

import numpy as np

from neuroasync.core.durations import Duration, microseconds
from neuroasync.core.engine.decision import Decision
from neuroasync.core.events.spike_train import Events
from neuroasync.core.formats.bundle import VoteWindow
from neuroasync.core.model.checks import must_be
from neuroasync.runtime.over_time.decisions import checked_window, labels_of_scores
from neuroasync.runtime.session import Session
from neuroasync.runtime.streams.late_events import Late

__all__ = ["stream_over_time"]


async def stream_over_time(
    session: Session,
    source: AsyncIterable[Events] | Iterable[Events],
    every_us: Duration,
    *,
    vote_window: VoteWindow | None = None,
    late: Late = "merge",
    jitter_buffer_us: Duration = 0,
) -> AsyncGenerator[Decision, None]:
    """Yield a decision at the end of each interval of a stream.

    The intervals are windows ``time(every_us)`` of :meth:`Session.stream` that carry state, so the
    network runs on without a break. The votes, the label and the potentials of a decision are
    those of the vote window; all other fields, such as the spikes, are those of the interval alone.
    ``vote_window.probabilities(decision.votes)`` returns the probabilities of the classes.

    Each interval has a sample number, and so order keys of its own. Under random order, the spikes
    are therefore not those of :func:`decide_over_time`; under all other orders they are.

    Cancellation: the stream's sample is abandoned.

    Args:
        session: a session without a stop rule.
        source: yields chunks of the stream in order of time.
        every_us: length of an interval, µs or such as ``"10ms"``; a multiple of the timestep.
        vote_window: which votes count for a decision. Defaults to that of the session's bundle.
        late: as for :meth:`Session.stream`.
        jitter_buffer_us: as for :meth:`Session.stream`.

    Raises:
        ValueError: an argument is invalid, the vote window does not consist of whole intervals, or
            there is none; or a stop rule has fired.
        EventsError, LimitError, RuntimeError, ClosedError: as for :meth:`Session.stream`.
    """
    every, bundle = microseconds(every_us, "every_us", 1), session.bundle
    counted = checked_window(bundle, vote_window).intervals(every)
    recent: deque[Decision] = deque(maxlen=counted)
    stream = session.stream(
        source, window=f"time({every})", carry_state=True, late=late,
        jitter_buffer_us=jitter_buffer_us,
    )  # fmt: skip
    async with aclosing(stream) as decisions:
        async for decision in decisions:
            if decision.stopped:  # later votes of the interval would be missing
                raise ValueError(must_be("until", "quiet for decisions over time", "a stop rule"))
            recent.append(decision)
            yield _decision(recent, bundle.classes)


def _decision(recent: deque[Decision], classes: tuple[str, ...] | None) -> Decision:
    """Return the latest decision with the votes of all recent ones."""
    latest = recent[-1]
    votes = np.sum([d.votes for d in recent], axis=0)
    potentials = None
    if latest.potentials is not None:
        rows = [d.potentials for d in recent if d.potentials is not None]
        potentials = np.asarray(np.sum(rows, axis=0, dtype=np.float64), np.float32)
    scores = np.asarray(votes if potentials is None else potentials, np.float64)
    label = int(labels_of_scores(scores, fires=potentials is None))
    name = None if label < 0 or classes is None else classes[label]
    return replace(
        latest,
        label=None if label < 0 else label,
        class_name=name,
        votes=votes,
        potentials=potentials,
        calibrations=(),
    )
