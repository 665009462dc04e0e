"""Scratch buffers: arrays, logs and the context that a session needs during a pass."""

from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.copies import cannot_copy
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.events.input_buffer import MergedEvents
from neuroasync.core.immutable import immutable
from neuroasync.core.kernels.entry_points import feed, run_compiled
from neuroasync.core.kernels.layout import (
    FIRED_AT_ONCE,
    FULL,
    MIXED,
    Context,
    Control,
    DeliveryLog,
    Group,
    Pending,
    SpikeLog,
    StepCounts,
)
from neuroasync.core.kernels.vectors.ranking import MAX_RANKED
from neuroasync.core.large_arrays import aligned, zeros_on_demand

__all__ = ["ScratchBuffers", "grown"]

_NONE: Final = immutable(np.empty(0, np.int64), np.int64)

_LOG: int = 2048
"""Initial number of slots of the delivery log, and of spikes beyond one per neuron."""


class ScratchBuffers:
    """Scratch buffers, which one session at a time uses.

    ``kernels.layout`` documents the arrays.

    Args:
        packed: the packed network.

    Attributes:
        packed: the packed network.
        context: i64[69], the addresses and sizes of all arrays.
        address: address of the context, with which kernels are called.
    """

    def __init__(self, packed: PackedNetwork) -> None:
        self.packed = packed
        self.context = packed.context.copy()
        self.address: int = self.context.ctypes.data
        self._arrays: dict[int, NDArray[Any]] = {}
        n, populations = packed.model.size, len(packed.model.populations)
        # In most passes, a neuron fires at most once. `make_room` grows the arrays if needed.
        room = n + MAX_RANKED
        self._hold(Context.CURRENT, aligned(np.zeros(n, np.float32)))
        self._hold(Context.TOUCHED, np.zeros(n, np.int64))
        self._hold(Context.FIRED, np.zeros(n + FIRED_AT_ONCE, np.int64))
        self._hold(Context.COUNTS, np.zeros((len(StepCounts), populations), np.int64))
        words = packed.model.input_size // 64 + 1
        self._hold(Context.INPUT_BITS, np.zeros(words, np.uint64))
        self._hold(Context.INPUT_RANKS, np.zeros(words, np.int64))
        self._hold(Context.PENDING, np.zeros((len(Pending), room), np.int32))
        self._hold(Context.KEYS, np.zeros(room, np.uint64))
        self._hold(Context.CHOSEN, np.zeros(room, np.int64))
        self._hold(Context.GROUP, np.zeros((len(Group), room), np.int64))
        self.context[Context.PENDING_CAPACITY] = self.context[Context.GROUP_CAPACITY] = room
        self._events: tuple[NDArray[Any] | None, ...] = ()

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied, because kernels have the addresses of its arrays."""
        raise cannot_copy(self, "each session has its own")

    @property
    def current(self) -> NDArray[np.float32]:
        """Synaptic input of the group, f32[N]."""
        return self._arrays[Context.CURRENT]

    @property
    def fired(self) -> NDArray[np.int64]:
        """Neurons that fire, i64[N + 4]; each population writes from its own offset."""
        return self._arrays[Context.FIRED]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Counts of a step for each population, rows ``layout.StepCounts``: i64[4, P]."""
        return self._arrays[Context.COUNTS]

    @property
    def pending(self) -> NDArray[np.int32]:
        """Pending spikes, i32[3, K]."""
        return self._arrays[Context.PENDING]

    @property
    def chosen(self) -> NDArray[np.int64]:
        """Positions of the selected pending spikes, i64[K]."""
        return self._arrays[Context.CHOSEN]

    @property
    def group(self) -> NDArray[np.int64]:
        """The group being delivered, i64[5, K]."""
        return self._arrays[Context.GROUP]

    @property
    def spike_log(self) -> NDArray[np.int64]:
        """Log of spikes, i64[5, R]."""
        return self._arrays[Context.SPIKE_LOG]

    @property
    def spike_log_momentum(self) -> NDArray[np.float32]:
        """Momentum of each logged spike, f32[R]."""
        return self._arrays[Context.SPIKE_LOG_MOMENTUM]

    @property
    def delivery_log(self) -> NDArray[np.int64]:
        """Log of delivered spike events, i64[6, S]."""
        return self._arrays[Context.DELIVERY_LOG]

    @property
    def has_logs(self) -> bool:
        """Whether spikes and deliveries are logged."""
        return Context.SPIKE_LOG in self._arrays

    def slots(self, control: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return a copy of the slots of the group, all rows ``layout.Group``: i64[5, slots]."""
        slots = self.group[:, : int(control[Control.GROUP])].copy()
        if (owner := int(control[Control.GROUP_OWNER])) != FULL:
            slots[Group.KEY], slots[Group.MULTIPLICITY] = slots[Group.ORIGIN], 1
            slots[Group.CONNECTION], slots[Group.OWNER] = -1, owner
            if owner == MIXED:
                starts = self.packed.model.starts
                slots[Group.OWNER] = np.searchsorted(starts, slots[Group.ORIGIN], side="right") - 1
        return slots

    def feed(
        self,
        t_us: NDArray[np.int64],
        index: NDArray[np.int64],
        value: NDArray[np.float32] | None = None,
    ) -> None:
        """Set the available input events: i64[events] each, ascending in time.

        Their values are f32[events], or None if they are spikes.

        Raises:
            ValueError: they are not contiguous arrays of these types and of the same length.
        """
        if t_us.dtype != index.dtype or t_us.dtype != np.int64 or t_us.size != index.size:
            raise ValueError("events must be two int64 arrays of the same length")
        if not (t_us.flags.c_contiguous and index.flags.c_contiguous):
            raise ValueError("events must be contiguous arrays")
        if t_us.flags.writeable or index.flags.writeable:
            # The kernel takes read-only arrays, so that it is compiled once.
            t_us, index = _read_only(t_us), _read_only(index)
        self._events = t_us, index
        feed(self.address, t_us, index)
        if value is not None:
            if value.dtype != np.float32 or value.size != index.size:
                raise ValueError("values must be a float32 array, as long as the events")
            if not value.flags.c_contiguous:
                raise ValueError("values must be a contiguous array")
            self._events = t_us, index, value
            self.context[Context.VALUE] = value.ctypes.data

    def run(self, begins: bool, events: MergedEvents | None, end_us: int, work: int) -> int:
        """Run the compiled engine and return its ``Interrupt``; feed it ``events`` before, if any.

        The events must be those of a spike train, or as valid: kernels index memory with them.

        Args:
            begins: whether to start a sample from rest before.
            events: times, indices and values, as for :meth:`feed`, in arrays that are read-only.
            end_us: run the passes at virtual times up to this one, µs.
            work: approximate number of synaptic operations after which to return.
        """
        if events is None:
            return run_compiled(self.address, begins, False, _NONE, _NONE, 0, end_us, work)  # type: ignore[no-any-return]
        self._events = events  # kernels have the addresses of the arrays
        t_us, index, value = events
        values = 0 if value is None else value.ctypes.data
        return run_compiled(self.address, begins, True, t_us, index, values, end_us, work)  # type: ignore[no-any-return]

    def start_logs(self) -> None:
        """Start to log spikes and deliveries."""
        if not self.has_logs:
            self.grow_logs(self.packed.model.size + _LOG, _LOG)

    def grow_logs(self, rows: int, slots: int) -> None:
        """Grow the logs to at least this many columns, and keep their contents."""
        empty = np.zeros((len(SpikeLog), 0), np.int64)
        self._hold(Context.SPIKE_LOG, grown(self._arrays.get(Context.SPIKE_LOG, empty), rows))
        potential = self._arrays.get(Context.SPIKE_LOG_MOMENTUM, np.zeros(0, np.float32))
        self._hold(Context.SPIKE_LOG_MOMENTUM, grown(potential, self.spike_log.shape[1]))
        empty = np.zeros((len(DeliveryLog), 0), np.int64)
        self._hold(
            Context.DELIVERY_LOG, grown(self._arrays.get(Context.DELIVERY_LOG, empty), slots)
        )
        self.context[Context.SPIKE_LOG_CAPACITY] = self.spike_log.shape[1]
        self.context[Context.DELIVERY_LOG_CAPACITY] = self.delivery_log.shape[1]

    def make_room(self, control: NDArray[np.int64]) -> None:
        """Make room for the group and the pending spikes that ``control`` asks for.

        Kernels ask for it when these arrays hold nothing, so nothing is copied. Memory that is not
        written yet costs nothing.
        """
        slots, room = int(control[Control.NEEDED_SLOTS]), int(control[Control.NEEDED_PENDING])
        if room > self.pending.shape[1]:
            room = max(room, 2 * self.pending.shape[1])
            self._hold(Context.PENDING, zeros_on_demand((len(Pending), room), np.int32))
            self._hold(Context.KEYS, zeros_on_demand((room,), np.uint64))
            self._hold(Context.CHOSEN, zeros_on_demand((room,), np.int64))
            self.context[Context.PENDING_CAPACITY] = room
        if slots > self.group.shape[1]:
            slots = max(slots, 2 * self.group.shape[1])
            self._hold(Context.GROUP, zeros_on_demand((len(Group), slots), np.int64))
            self.context[Context.GROUP_CAPACITY] = slots

    def forget_events(self) -> None:
        """Release the input events."""
        self._events = ()
        self.context[Context.EVENTS] = self.context[Context.VALUE] = 0

    def _hold(self, column: int, array: NDArray[Any]) -> None:
        """Keep an array alive, and write its address to the context."""
        self._arrays[column] = array
        self.context[column] = array.ctypes.data


def _read_only(array: NDArray[np.int64]) -> NDArray[np.int64]:
    view = array.view()
    view.flags.writeable = False
    return view


def grown(array: NDArray[Any], room: int) -> NDArray[Any]:
    """Return the array, or a copy at least twice as long if its last axis is below ``room``."""
    if array.shape[-1] >= room:
        return array
    longer = np.zeros((*array.shape[:-1], max(room, 2 * array.shape[-1])), array.dtype)
    longer[..., : array.shape[-1]] = array
    return longer
