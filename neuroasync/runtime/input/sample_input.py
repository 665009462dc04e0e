"""The input of a session's samples: checks events, and holds them until passes read them."""

import logging
from collections.abc import Callable

import numpy as np

from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.events.input_buffer import InputBuffer
from neuroasync.core.events.spike_train import Events, SpikeTrain
from neuroasync.runtime.counts import Counts
from neuroasync.runtime.input.many_events import train_of_many
from neuroasync.runtime.input.thread_calls import ThreadCalls

__all__ = ["SampleInput"]

_log = logging.getLogger("neuroasync.session")


class SampleInput:
    """The input events of one session's samples, which are checked and then accepted.

    Args:
        simulator: reads the events.
        keeps: whether to keep the events of a sample, for a recording.
        counts: counts of accepted and refused events, updated here.
        thread_calls: computations with many events, which closing the network waits for.
        log_fields: returns the fields that tell where a log record comes from.

    Attributes:
        buffer: the events that no pass has read.
        thread_calls: as given.
    """

    __slots__ = ("_counts", "_log_fields", "_simulator", "buffer", "thread_calls")

    def __init__(
        self,
        simulator: Simulator,
        keeps: bool,
        counts: Counts,
        thread_calls: ThreadCalls,
        log_fields: Callable[..., dict[str, int]],
    ) -> None:
        plan = simulator.plan
        # Queued input is delivered in (time, index) order, so the buffer has to sort it.
        sorts = plan.run.input == "queued"
        self.buffer = InputBuffer(plan.packed.model, sorts, keeps, plan.run.max_passes)
        self.thread_calls = thread_calls
        self._simulator = simulator
        self._counts = counts
        self._log_fields = log_fields

    def close(self) -> None:
        """Forget the owner, so that without a reference cycle all memory is free at once."""
        self._log_fields = dict

    def checked(self, events: Events, is_rest: bool = False) -> SpikeTrain:
        """Return events that are to be added to the sample as a spike train. Nothing is accepted.

        Rejected events are counted as refused.

        Args:
            events: a spike train, or its (t_us, index).
            is_rest: whether they are part of a chunk for which there was room.

        Raises:
            EventsError: the events are not valid for the network, or go back in time.
            LimitError: too many events wait for one pass, or the sample has too many passes.
        """
        try:
            return self.buffer.checked(events, self._watermark_us(), is_rest)
        except Exception as error:
            self._refuse(events, error)
            raise

    def checked_sample(
        self, events: Events, duration_us: int | None = None
    ) -> tuple[SpikeTrain, int]:
        """Return the sample's last events, and the virtual time of its last pass.

        Nothing is accepted, and rejected events are counted as refused.

        Args:
            events: as for :meth:`checked`.
            duration_us: length of the sample, µs; None if it ends with its last event.

        Returns:
            The events as a spike train, and the time in µs (-1: there is no pass).

        Raises:
            EventsError, LimitError: as for :meth:`checked`.
            ValueError: an event comes at or after ``duration_us``.
        """
        buffer = self.buffer
        try:
            train = buffer.checked(events, self._watermark_us())
            return train, buffer.last_pass_us(duration_us, train)
        except Exception as error:
            self._refuse(events, error)
            raise

    def _watermark_us(self) -> int:
        """Return the time before which all passes have begun, µs."""
        # No pass has begun if there was no event and no call of `advance`.
        return self._simulator.watermark_us if self.buffer.last_us >= 0 else 0

    async def train_of_many(self, events: Events) -> SpikeTrain:
        """Return many events as a spike train that :meth:`checked` accepts or refuses at once.

        Events that are not valid are counted as refused.

        Cancellation: safe; nothing is counted.

        Raises:
            EventsError: the events are not valid.
        """
        try:
            return await train_of_many(events, self.thread_calls)
        except Exception as error:
            self._refuse(events, error)
            raise

    def last_pass_us(self, duration_us: int | None) -> int:
        """Return the virtual time of the sample's last pass, µs; -1 if there is no pass.

        Raises:
            ValueError: an event came at or after ``duration_us``.
            LimitError: the sample has too many passes.
        """
        return self.buffer.last_pass_us(duration_us)

    def check_advance(self, t_us: int) -> int:
        """Return the virtual time of the last pass before ``t_us``, µs; -1 if there is none.

        Raises:
            ValueError: ``t_us`` is before the last event, or later than a sample can last.
            LimitError: the sample would have too many passes.
        """
        return self.buffer.ready_after_advance_us(t_us)

    async def merge_in_thread(self) -> None:
        """Merge the events that no pass has read; the caller must not change them meanwhile.

        Cancellation: safe; the events are not merged yet.
        """
        self.buffer.set_merged(await self.thread_calls.run(self.buffer.merge()))

    def _refuse(self, events: Events, error: Exception) -> None:
        count = _event_count(events)
        self._counts.refused += count
        _log.debug("refused %d events: %s", count, error, extra=self._log_fields(refused=count))


def _event_count(events: object) -> int:
    """Return the number of events in a possibly invalid argument; 0 if it has none.

    It serves to count the events of a call that was rejected.
    """
    if isinstance(events, SpikeTrain):
        return len(events)
    if not isinstance(events, tuple) or not events:
        return 0
    try:
        if isinstance(events[0], list | tuple):  # converting it to an array would take long
            return len(events[0])
        return int(np.size(events[0]))
    except (ValueError, OverflowError):  # for example lists of different lengths, or a huge range
        return 0
