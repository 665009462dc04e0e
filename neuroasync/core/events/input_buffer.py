"""The input of a session's sample: events that wait for their pass, and bounds for all."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.events.spike_train import Events, SpikeTrain, as_train
from neuroasync.core.model.model import Model
from neuroasync.errors import LimitError, SpikeFileError

__all__ = ["InputBuffer", "check_duration"]

_NONE: Final[NDArray[np.int64]] = np.empty(0, np.int64)


class InputBuffer:
    """Takes the events of a sample, and holds those that no pass has read.

    Args:
        model: the network that reads them.
        sorts: hold the events of one time in ascending order of their indices.
        keeps: keep also what was read, for :meth:`train`.

    Attributes:
        t_us, index: i64[events], those that no pass has read.
        last_us: time of the last event sent, µs; -1: none.
    """

    __slots__ = ("_keeps", "_kept", "_model", "_sorts", "index", "last_us", "t_us")

    def __init__(self, model: Model, sorts: bool, keeps: bool) -> None:
        self._model = model
        self._sorts = sorts
        self._keeps = keeps
        self.begin()

    def begin(self) -> None:
        """Start a new sample."""
        self.t_us = self.index = _NONE
        self._kept: list[SpikeTrain] = []
        self.last_us = -1

    def checked(self, events: Events, watermark_us: int = 0) -> SpikeTrain:
        """``events`` as a spike train that may follow what was sent.

        Args:
            events: a spike train, or its (t_us, index).
            watermark_us: the passes of all events before this time have begun.

        Raises:
            SpikeFileError: they are not valid for this network, go back in time, or come after
                their pass.
            LimitError: too many wait for one pass, or the sample would have too many.
        """
        train = as_train(events)
        train.check_indices(self._model.input_size)
        if len(train) and train.t_us[0] < self.last_us:
            raise SpikeFileError(
                f"t_us[0]: {train.t_us[0]}, expected at least {self.last_us}, "
                "the time of the last event sent"
            )
        if len(train) and train.t_us[0] < watermark_us:
            raise SpikeFileError(
                f"t_us[0]: {train.t_us[0]}, expected at least {watermark_us}: the passes before "
                f"have "
                "taken place"
            )
        if self.t_us.size > limits.MAX_QUEUED_EVENTS:
            raise LimitError(
                f"{self.t_us.size} events wait for one pass; the limit is "
                f"{limits.MAX_QUEUED_EVENTS}. This sample takes no more; send fewer for one pass"
            )
        if len(train):
            self._check_passes(int(train.t_us[-1]))
        return train

    def end_us(self, duration_us: int | None, train: SpikeTrain | None = None) -> int:
        """Passes take place up to this time if ``train`` is the last that is sent; -1: none.

        Raises:
            ValueError: an event comes at or after ``duration_us``.
            LimitError: the sample would have too many passes.
        """
        last_us = int(train.t_us[-1]) if train is not None and len(train) else self.last_us
        if duration_us is None:
            return self._pass_start(last_us) if last_us >= 0 else -1
        check_duration(duration_us, last_us)
        self._check_passes(duration_us - 1)
        return duration_us - 1

    def ready_until_us(self) -> int:
        """Passes up to this time have all their events; -1: none."""
        return self._pass_start(self.last_us) - 1 if self.last_us >= 0 else -1

    def ready_after_advance_us(self, t_us: int) -> int:
        """Passes up to this time take place if nothing comes before ``t_us``; -1: none.

        Raises:
            ValueError: something was sent that comes later, or a sample cannot last so long.
            LimitError: the sample would have too many passes.
        """
        if type(t_us) is not int or not max(self.last_us, 0) <= t_us <= limits.MAX_TIME_US:
            raise ValueError(
                f"t_us: {t_us!r:.80}, expected an integer from {max(self.last_us, 0)}, the time of "
                f"the last event sent, to {limits.MAX_TIME_US}"
            )
        self._check_passes(t_us)
        return self._pass_start(t_us) - 1

    def restore(self, waiting: SpikeTrain, last_us: int) -> None:
        """Hold these events, as after a last event at ``last_us``."""
        self.begin()
        self.accept(waiting, True)
        self.last_us = last_us

    def accept(self, train: SpikeTrain, is_wanted: bool) -> None:
        """Take what was checked; if it is not wanted, nobody will read it."""
        if not len(train):
            return
        self.last_us = int(train.t_us[-1])
        if self._keeps:
            self._kept.append(train)
        if not is_wanted:
            return
        if self.t_us.size:
            self.t_us = np.concatenate((self.t_us, train.t_us))
            self.index = np.concatenate((self.index, train.index))
        else:
            self.t_us, self.index = train.t_us, train.index
        if self._sorts:
            self.index = self.index[np.lexsort((self.index, self.t_us))]

    def drop(self, read: int) -> None:
        """Let go of the first ``read`` events: passes have read them."""
        if read == self.t_us.size:
            self.t_us = self.index = _NONE
        elif read:  # a copy: a slice would keep all that was read
            self.t_us, self.index = self.t_us[read:].copy(), self.index[read:].copy()

    def train(self) -> SpikeTrain:
        """All that was sent, if it was kept."""
        t_us = np.concatenate([_NONE, *(k.t_us for k in self._kept)])
        return SpikeTrain(t_us, np.concatenate([_NONE, *(k.index for k in self._kept)]))

    def _pass_start(self, t_us: int) -> int:
        """Virtual time of the pass that an event at ``t_us`` belongs to."""
        return t_us - t_us % max(self._model.timestep_us, 1)

    def _check_passes(self, end_us: int) -> None:
        timestep = self._model.timestep_us
        if timestep and end_us // timestep >= limits.MAX_PASSES:
            raise LimitError(
                f"a sample of {end_us} µs has {end_us // timestep + 1} timesteps of "
                f"{timestep} µs; the limit is {limits.MAX_PASSES}"
            )


def check_duration(duration_us: int, last_us: int) -> None:
    """Raise ValueError unless a sample can last so long.

    Args:
        duration_us: its length, µs.
        last_us: time of its last event; -1 if it has none.
    """
    if type(duration_us) is not int or not last_us < duration_us <= limits.MAX_TIME_US:
        above = f"the time of the last event, {last_us} µs" if last_us >= 0 else "-1"
        raise ValueError(
            f"duration_us: {duration_us!r:.80}, expected an integer above {above}, "
            f"and at most {limits.MAX_TIME_US}"
        )
