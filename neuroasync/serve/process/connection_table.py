"""All connections of a worker: how many there are, for whom they wait, and how much they hold."""

import gc
import ipaddress
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from neuroasync.serve.process.allocator import return_free_memory, set_mmap_threshold
from neuroasync.serve.process.connection_limits import ConnectionLimits
from neuroasync.serve.process.read_turns import ReadTurns

__all__ = ["CloseReason", "ConnectionSlot", "ConnectionTable", "address_key"]

CloseReason: TypeAlias = Literal["timeout", "room"]
"""Why the table closes a connection: its client was too slow, or the room is needed."""

_Close: TypeAlias = Callable[[CloseReason], None]

_DEFAULT_PER_ADDRESS: Final = 256
_MUCH_HELD_BYTES: Final = 2**22
"""Bytes of unfinished requests and messages that honest clients do not reach. Above them, the
allocator is set for large blocks, which costs about 10 % of the CPU time of a sample."""

_LARGE_BLOCK_BYTES: Final = 2**14
_USUAL_BLOCK_BYTES: Final = 2**22
"""Size of blocks that return to the system at once, while clients hold much and otherwise."""

_MANY_ENDED: Final = 128
"""Number of connections that have ended from which their memory is returned to the system."""

_LOCAL: Final = "local"
_IPV6_PREFIX: Final = 64
"""An IPv6 client usually has a whole /64 network, whose addresses it may choose freely."""


@dataclass(slots=True, eq=False)
class ConnectionSlot:
    """The place of one connection in the table.

    Attributes:
        key: Address of the client, as the table counts it.
        close: Closes the connection.
        held: Number of bytes that are held for the connection.
        is_websocket: Whether the connection is a websocket.
    """

    key: str
    close: _Close
    held: int = 0
    is_websocket: bool = False


class ConnectionTable:
    """The connections of a worker.

    A table decides which connections may stay. Its methods never block, and it closes connections
    only through the functions that they pass to :meth:`admit`.

    Args:
        limits: Limits of the worker.
        clock: Returns the time in seconds.
        on_close: Called with the reason, for the metrics, if a connection is refused or closed.

    Attributes:
        limits: Limits of the worker.
        read_turns: Turns of the connections that read long requests and messages.
    """

    def __init__(
        self,
        limits: ConnectionLimits,
        clock: Callable[[], float],
        on_close: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self.limits = limits
        self.read_turns = ReadTurns()
        self._clock = clock
        self._on_close = on_close
        self._slots: set[ConnectionSlot] = set()
        self._by_address: Counter[str] = Counter()
        self._websockets = 0
        # Dictionaries keep the order in which connections began to wait, or to hold bytes.
        self._deadlines: dict[ConnectionSlot, float] = {}
        self._holders: dict[ConnectionSlot, None] = {}
        self._held = self._ended = 0
        self._is_threshold_low = self._is_uncollected = False
        # Requests other than websockets find room even if every client opens websockets.
        self._max_websockets = limits.max_connections - max(1, limits.max_connections // 10)

    def __len__(self) -> int:
        """Return the number of connections."""
        return len(self._slots)

    def admit(self, address: str | None, close: _Close) -> ConnectionSlot | None:
        """Return a slot for a new connection, or None if there is no room.

        Args:
            address: IP address of the client, or None if it is unknown.
            close: Closes the connection.
        """
        key = address_key(address)
        if self._is_full_for(key) and not self._make_room(key):
            self._on_close("room")
            return None
        if len(self._slots) >= self.limits.max_connections and not self._make_room(None):
            self._on_close("room")
            return None
        slot = ConnectionSlot(key, close)
        self._slots.add(slot)
        self._by_address[key] += 1
        return slot

    def release(self, slot: ConnectionSlot) -> None:
        """Remove a connection that has ended. You may call this more than once."""
        if slot not in self._slots:
            return
        self._slots.remove(slot)
        self._ended += 1
        self._by_address[slot.key] -= 1
        if not self._by_address[slot.key]:
            del self._by_address[slot.key]
        self._websockets -= slot.is_websocket
        self._deadlines.pop(slot, None)
        self._holders.pop(slot, None)
        self._held -= slot.held
        slot.held = 0

    def upgrade(self, slot: ConnectionSlot) -> bool:
        """Turn a connection into a websocket. Return whether there is room for another one."""
        if self._websockets >= self._max_websockets:
            self._on_close("room")
            return False
        slot.is_websocket = True
        self._websockets += 1
        return True

    def wait_for_client(self, slot: ConnectionSlot, timeout_s: float) -> None:
        """Note that the client has to act within a time. Until then, it may lose its room."""
        if slot in self._slots:
            self._deadlines.pop(slot, None)
            self._deadlines[slot] = self._clock() + timeout_s

    def stop_waiting(self, slot: ConnectionSlot) -> None:
        """Note that it is the server's turn. What is held remains counted."""
        self._deadlines.pop(slot, None)
        self._holders.pop(slot, None)

    def hold(self, slot: ConnectionSlot, size: int) -> None:
        """Set the number of bytes that are held for a client that has to act.

        If all connections together hold too much, the one that has held its share longest ends.
        """
        if slot not in self._slots:
            return
        self._held += size - slot.held
        slot.held = size
        if size:
            self._holders.setdefault(slot)
        else:
            self._holders.pop(slot, None)
        if self._held > _MUCH_HELD_BYTES and not self._is_threshold_low:
            self._is_threshold_low = True
            set_mmap_threshold(_LARGE_BLOCK_BYTES)
        while self._held > self.limits.max_unfinished_bytes and self._holders:
            self._evict(next(iter(self._holders)))

    def count_malformed(self) -> None:
        """Note that a connection ends because its request cannot be parsed."""
        self._on_close("malformed")

    def close_overdue(self) -> None:
        """Close all connections whose client has taken too long. Call this about once a second."""
        now_s = self._clock()
        for slot in [slot for slot, due_s in self._deadlines.items() if due_s <= now_s]:
            if self._deadlines.pop(slot, None) is not None:
                self._on_close("timeout")
                slot.close("timeout")

    def return_memory(self) -> None:
        """Return the memory of connections that have ended to the system. Call this once a second.

        What is left of a session is found only by a full collection, which takes 0.1 s beside a
        thousand other sessions and therefore waits until there are few.
        """
        if self._is_threshold_low and self._held < _MUCH_HELD_BYTES // 2:
            self._is_threshold_low = False
            set_mmap_threshold(_USUAL_BLOCK_BYTES)
        has_few = len(self._slots) < _MANY_ENDED
        if self._ended >= _MANY_ENDED or (self._is_uncollected and has_few):
            self._ended, self._is_uncollected = 0, not has_few
            if has_few:
                gc.collect()
            return_free_memory()

    def _is_full_for(self, key: str) -> bool:
        limit = self.limits.max_connections_per_address
        if limit is None:
            limit = self.limits.max_connections if key == _LOCAL else _DEFAULT_PER_ADDRESS
        return self._by_address[key] >= limit

    def _make_room(self, key: str | None) -> bool:
        """Close the connection that has waited longest for its client, from any or one address."""
        for slot in self._deadlines:
            if key is None or slot.key == key:
                self._evict(slot)
                return True
        return False

    def _evict(self, slot: ConnectionSlot) -> None:
        # The connection reports its end only later, but its room is needed now.
        self.release(slot)
        self._on_close("room")
        slot.close("room")


def address_key(address: str | None) -> str:
    """Return how an address is counted: this machine, an IPv4 address or a /64 network of IPv6."""
    try:
        ip = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:  # a Unix socket, or a name that a proxy has sent
        return address or _LOCAL
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is None:
            if ip.is_loopback:
                return _LOCAL
            return str(ipaddress.ip_network((ip, _IPV6_PREFIX), strict=False))
        ip = ip.ipv4_mapped
    return _LOCAL if ip.is_loopback else str(ip)
