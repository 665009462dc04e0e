"""What a pass needs while it is under way: scratch arrays, logs, and the context of kernels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.kernels import layout as lay

__all__ = ["ScratchBuffers", "grown"]

_LOG: int = 2048


class ScratchBuffers:
    """Scratch for one session at a time; see ``kernels.layout`` for what the arrays hold.

    Args:
        wiring: the network.

    Attributes:
        wiring: the network.
        context: where kernels find everything.
        address: of the context, which is what they are called with.
    """

    def __init__(self, wiring: PackedNetwork) -> None:
        self.wiring = wiring
        self.context = wiring.context.copy()
        self.address: int = self.context.ctypes.data
        self._arrays: dict[int, NDArray[Any]] = {}
        n, populations = wiring.model.size, len(wiring.model.populations)
        room = n + 64
        self._hold(lay.CURRENT, np.zeros(n, np.float32))
        self._hold(lay.TOUCHED, np.zeros(n, np.int64))
        self._hold(lay.FIRED, np.zeros(n, np.int64))
        self._hold(lay.COUNTS, np.zeros((3, populations), np.int64))
        self._hold(lay.BITS, np.zeros(wiring.model.input_size // 64 + 1, np.uint64))
        self._hold(lay.PENDING_, np.zeros((lay.PENDING_COLUMNS, room), np.int64))
        self._hold(lay.KEYS, np.zeros(room, np.uint64))
        self._hold(lay.CHOSEN, np.zeros(room, np.int64))
        self._hold(lay.GROUP_, np.zeros((lay.GROUP_COLUMNS, room), np.int64))
        self.context[lay.PENDING_ROOM] = self.context[lay.GROUP_ROOM] = room
        self.feed(np.empty(0, np.int64), np.empty(0, np.int64))

    @property
    def current(self) -> NDArray[np.float32]:
        """f32[N]."""
        return self._arrays[lay.CURRENT]

    @property
    def fired(self) -> NDArray[np.int64]:
        """i64[N]."""
        return self._arrays[lay.FIRED]

    @property
    def counts(self) -> NDArray[np.int64]:
        """i64[3, P]."""
        return self._arrays[lay.COUNTS]

    @property
    def pending(self) -> NDArray[np.int64]:
        """i64[4, K]."""
        return self._arrays[lay.PENDING_]

    @property
    def chosen(self) -> NDArray[np.int64]:
        """i64[K]."""
        return self._arrays[lay.CHOSEN]

    @property
    def group(self) -> NDArray[np.int64]:
        """i64[5, K]."""
        return self._arrays[lay.GROUP_]

    @property
    def rows(self) -> NDArray[np.int64]:
        """i64[5, R]."""
        return self._arrays[lay.ROWS_]

    @property
    def row_potential(self) -> NDArray[np.float32]:
        """f32[R]."""
        return self._arrays[lay.ROW_POTENTIAL]

    @property
    def slots(self) -> NDArray[np.int64]:
        """i64[6, S]."""
        return self._arrays[lay.SLOTS_]

    @property
    def has_logs(self) -> bool:
        """Whether spikes and deliveries are logged."""
        return lay.ROWS_ in self._arrays

    def feed(self, t_us: NDArray[np.int64], index: NDArray[np.int64]) -> None:
        """The input events at hand: i64[events] each, ascending in time.

        Raises:
            ValueError: they are no contiguous arrays of one length.
        """
        if t_us.dtype != index.dtype or t_us.dtype != np.int64 or t_us.size != index.size:
            raise ValueError("events: expected two int64 arrays of one length")
        if not (t_us.flags.c_contiguous and index.flags.c_contiguous):
            raise ValueError("events: expected contiguous arrays")
        self._events: tuple[NDArray[np.int64], ...] = t_us, index
        self.context[lay.T_US : lay.EVENTS + 1] = t_us.ctypes.data, index.ctypes.data, t_us.size

    def start_logs(self) -> None:
        """Log spikes and deliveries from now on."""
        if not self.has_logs:
            self.grow_logs(self.wiring.model.size + _LOG, _LOG)

    def grow_logs(self, rows: int, slots: int) -> None:
        """Make the logs at least this long; what they hold stays."""
        empty = np.zeros((lay.ROW_COLUMNS, 0), np.int64)
        self._hold(lay.ROWS_, grown(self._arrays.get(lay.ROWS_, empty), rows))
        potential = self._arrays.get(lay.ROW_POTENTIAL, np.zeros(0, np.float32))
        self._hold(lay.ROW_POTENTIAL, grown(potential, self.rows.shape[1]))
        empty = np.zeros((lay.SLOT_COLUMNS, 0), np.int64)
        self._hold(lay.SLOTS_, grown(self._arrays.get(lay.SLOTS_, empty), slots))
        self.context[lay.ROWS_ROOM] = self.rows.shape[1]
        self.context[lay.SLOTS_ROOM] = self.slots.shape[1]

    def make_room(self, control: NDArray[np.int64]) -> None:
        """Make room for ``control[NEEDED]`` spike events more; what is pending stays."""
        needed, waiting = int(control[lay.NEEDED]), int(control[lay.PENDING])
        if head := int(control[lay.HEAD]):
            self.pending[:, :waiting] = self.pending[:, head : head + waiting].copy()
            control[lay.HEAD] = 0
        room = waiting + needed + self.wiring.model.size
        self._hold(lay.PENDING_, grown(self.pending, room))
        room = self.pending.shape[1]
        self._hold(lay.KEYS, grown(self._arrays[lay.KEYS], room))
        self._hold(lay.CHOSEN, grown(self.chosen, room))
        self._hold(lay.GROUP_, grown(self.group, max(room, needed)))
        self.context[lay.PENDING_ROOM] = room
        self.context[lay.GROUP_ROOM] = self.group.shape[1]

    def forget_events(self) -> None:
        """Let go of the input events."""
        self._events = ()
        self.context[lay.EVENTS] = 0

    def _hold(self, column: int, array: NDArray[Any]) -> None:
        """Keep an array alive, and tell kernels where it is."""
        self._arrays[column] = array
        self.context[column] = array.ctypes.data


def grown(array: NDArray[Any], room: int) -> NDArray[Any]:
    """The array, or a copy at least twice as long if its last axis is shorter than ``room``."""
    if array.shape[-1] >= room:
        return array
    longer = np.zeros((*array.shape[:-1], max(room, 2 * array.shape[-1])), array.dtype)
    longer[..., : array.shape[-1]] = array
    return longer
