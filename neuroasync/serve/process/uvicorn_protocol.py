"""A websocket protocol for uvicorn, with a fast path for ordinary messages.

The throughput of a server depends mostly on the cost of a message. The ``websockets`` library
parses frames in Python, with a generator and several objects for each frame. This module parses a
frame in place if it is complete, masked and a whole message, and writes a response in one piece.
The library does everything else: handshake, fragments, pings, closing, and protocol errors.
"""

import select
from typing import Any, Final, cast

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State

try:
    from websockets.speedups import apply_mask
except ImportError:  # the library was built without its C extension
    from websockets.utils import apply_mask

from neuroasync.serve.connection.websocket import RAW_CONNECTION_EXTENSION
from neuroasync.serve.process.connection_table import (
    CloseReason,
    ConnectionSlot,
    ConnectionTable,
)

__all__ = ["WebsocketProtocol"]

_LINGER_S: Final = 5.0
"""How long a closing connection may take to send what is in its buffer, in seconds."""

_MAX_MESSAGES_AHEAD: Final = 16
_MAX_BYTES_AHEAD: Final = 2**16
"""Limits for messages that are parsed before the app asks for them. Further data stays unparsed."""

_MAX_FRAGMENTS: Final = 1024
"""Maximum number of frames of one message. A frame without content takes memory, too."""

_MIN_HELD_BYTES: Final = 2**12
"""Smaller parts of messages are not counted in the connection table."""

_FIN: Final = 0x80
_TEXT: Final = _FIN | Opcode.TEXT
_BINARY: Final = _FIN | Opcode.BINARY
_PING: Final = _FIN | Opcode.PING
_PONG: Final = _FIN | Opcode.PONG
_CONTROL: Final = frozenset(_FIN | kind for kind in (Opcode.CLOSE, Opcode.PING, Opcode.PONG))
_KINDS: Final = _CONTROL | {
    fin | kind for fin in (0, _FIN) for kind in (Opcode.CONT, Opcode.TEXT, Opcode.BINARY)
}
"""Valid first bytes of frames."""


class WebsocketProtocol(WebSocketsSansIOProtocol):
    """A websocket connection that a client cannot keep open by not reading.

    The app finds it in the extensions of its scope, as a
    :class:`~neuroasync.serve.connection.websocket.RawConnection`.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._unread = bytearray()
        self._needed = 0
        self._bytes_ahead = 0
        self._was_heard = False
        self._is_fragmented = False
        self._is_pong_unread = False
        self._table: ConnectionTable | None = None
        self._slot: ConnectionSlot | None = None
        # The fast path cannot read compressed frames.
        self._uses_library = self.config.ws_per_message_deflate

    def take_slot(self, table: ConnectionTable, slot: ConnectionSlot) -> None:
        """Take over the slot of the HTTP connection that became this websocket."""
        self._table, self._slot = table, slot
        slot.close = self._end
        if self.disconnected:
            table.release(slot)

    def connection_lost(self, exc: Exception | None) -> None:
        """Return the slot."""
        super().connection_lost(exc)
        if self._table is not None and self._slot is not None:
            self._table.release(self._slot)

    def abort(self) -> None:
        """Close the connection without waiting for the client."""
        self.transport.abort()

    def is_full(self) -> bool:
        """Return whether the next response would have to wait for the client to read."""
        return not self.writable.is_set()

    def has_left(self) -> bool:
        """Return whether the client has closed the connection, even if data is still unread."""
        if not hasattr(select, "POLLRDHUP"):
            return False  # only Linux tells
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLRDHUP)
        return bool(poll.poll(0))

    async def run_asgi(self) -> None:
        """Run the app for this connection."""
        extensions = cast("dict[str, object]", self.scope["extensions"])
        extensions[RAW_CONNECTION_EXTENSION] = self
        try:
            await super().run_asgi()
        finally:
            self._abort_later()

    def send_keepalive_ping(self) -> None:
        """Send a ping to find out whether the client is still connected."""
        self._was_heard = False
        super().send_keepalive_ping()

    def keepalive_timeout(self) -> None:
        """Close the connection after a ping without a pong, unless the client may be alive."""
        # The pong may be queued behind data that was not read yet, and any data proves that the
        # client is alive.
        if self._was_heard or self.read_paused:
            self.pong_timer = self.pending_ping_payload = None
            self.schedule_ping()
            return
        super().keepalive_timeout()
        self._abort_later()

    def data_received(self, data: bytes) -> None:
        """Parse received data. The library handles the handshake and all data before its end."""
        self._was_heard = True
        if self._uses_library or not self.handshake_complete:
            # Data that arrives before the app has accepted goes to the library's own buffer, so the
            # library must also parse all later data of this connection.
            self._uses_library |= self.handshake_initiated
            super().data_received(data)
            return
        self._unread += data
        if len(self._unread) >= self._needed:
            self._parse()
        if len(self._unread) >= _MIN_HELD_BYTES and not self.read_paused:
            self._hold(len(self._unread))

    def resume_writing(self) -> None:
        """Read on if a pong has waited for the client to read."""
        super().resume_writing()
        if self._is_pong_unread:
            self._is_pong_unread = False
            if self._slot is not None and self._table is not None:
                self._table.stop_waiting(self._slot)
            if self._unread and len(self._unread) >= self._needed:
                self._parse()
            self._resume_reading()

    def handle_ping(self) -> None:
        """Send a pong. Stop reading while the client does not read the earlier ones."""
        super().handle_ping()
        self._check_pongs()

    def handle_cont(self, event: Frame) -> None:
        """Append a fragment to its message, unless the message has too many."""
        if self.close_sent:
            return
        if len(self.frames) >= _MAX_FRAGMENTS:
            self.frames = []
            self.conn.fail(CloseCode.MESSAGE_TOO_BIG, "the message has too many fragments")
            self.handle_parser_exception()
            return
        super().handle_cont(event)
        self._hold(sum(map(len, self.frames)))

    async def receive(self) -> Any:
        """Wait for the next message for the app and return it."""
        if self.queue.empty():
            self._bytes_ahead = 0
            if self._unread and len(self._unread) >= self._needed:
                self._parse()
            self._resume_reading()
        return await self.queue.get()

    async def send(self, message: Any) -> None:
        """Send a message of the app.

        Cancellation: safe. The message was sent completely or not at all.
        """
        if message["type"] != "websocket.send" or not self.handshake_complete:
            await super().send(message)
            return
        if not self.writable.is_set():
            await self.writable.wait()
        if self.disconnected or self.close_sent:  # the library may have closed the connection
            raise ClientDisconnected
        if self._uses_library or self.conn.state is not State.OPEN:
            await super().send(message)
            return
        text = message.get("text")
        if text is None:
            self.transport.write(_make_frame(_BINARY, message["bytes"]))
        else:
            self.transport.write(_make_frame(_TEXT, text.encode()))

    def _parse(self) -> None:
        """Parse received frames that are complete, as long as the app is not too far behind."""
        data, at = bytes(self._unread), 0
        self._unread.clear()
        self._needed = 0
        if self._slot is not None and self._slot.held:
            self._hold(0)
        while at < len(data) and not self._is_ahead():
            span = self._find_payload(data, at)
            if span is None:
                super().data_received(data[at:])
                return
            payload, end = span
            if end > len(data):
                self._needed = end - at
                break
            if not self._deliver(data, at, payload, end):
                super().data_received(data[at:end])
            if self.close_sent or self.transport.is_closing():
                return
            at = end
        self._unread += data[at:]
        if self._is_ahead() and not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def _find_payload(self, data: bytes, at: int) -> tuple[int, int] | None:
        """Find the payload of the frame at position ``at``.

        Returns:
            The positions where the payload begins and where it ends. If the header is incomplete,
            the end is where at least the next part of the header ends. None if the frame breaks the
            protocol: the library then parses the rest of the connection and reports the error.
        """
        available = len(data) - at
        if available < 2:
            return at, at + 2
        # The header of a short masked frame has two bytes and a mask of four.
        length, payload = data[at + 1] & 0x7F, at + 6
        is_masked = data[at + 1] & 0x80
        if not is_masked or data[at] not in _KINDS or (data[at] in _CONTROL and length > 125):
            self._uses_library = True
            return None
        if length >= 126:
            size = 2 if length == 126 else 8
            payload += size
            if available < 2 + size:
                return payload, payload
            length = int.from_bytes(data[at + 2 : at + 2 + size], "big")
        if length > self.config.ws_max_size:
            self._uses_library = True
            return None
        return payload, payload + length

    def _deliver(self, data: bytes, at: int, payload: int, end: int) -> bool:
        """Queue a whole message for the app, or answer a ping. Return whether it was either."""
        kind = data[at]
        if kind == _PING and self.conn.state is State.OPEN:
            pong = apply_mask(data[payload:end], data[payload - 4 : payload])
            self.transport.write(_make_frame(_PONG, pong))
            self._check_pongs()
            return True
        if kind not in (_TEXT, _BINARY) or self._is_fragmented:
            if kind & 0x0F <= Opcode.BINARY:
                self._is_fragmented = not kind & _FIN
            return False
        self._bytes_ahead += end - at
        message = apply_mask(data[payload:end], data[payload - 4 : payload])
        if kind == _BINARY:
            self.queue.put_nowait({"type": "websocket.receive", "bytes": message})
            return True
        try:
            self.queue.put_nowait({"type": "websocket.receive", "text": message.decode()})
        except UnicodeDecodeError:
            # The library does the same, but writes a traceback to the log.
            self.conn.send_close(1007)
            self.handle_parser_exception()
        return True

    def _is_ahead(self) -> bool:
        return (
            self.queue.qsize() >= _MAX_MESSAGES_AHEAD
            or self._bytes_ahead >= _MAX_BYTES_AHEAD
            or self._is_pong_unread
        )

    def _resume_reading(self) -> None:
        if self.read_paused and not self._is_ahead():
            self.read_paused = False
            self.transport.resume_reading()

    def _check_pongs(self) -> None:
        """Stop reading if the client does not read its pongs, which the app knows nothing of."""
        if self.writable.is_set() or self._is_pong_unread:
            return
        self._is_pong_unread = True
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()
        if self._table is not None and self._slot is not None:
            self._table.wait_for_client(self._slot, self._table.limits.send_timeout_s)

    def _hold(self, size: int) -> None:
        """Tell the connection table how much of an incomplete message waits for its rest."""
        if self._table is not None and self._slot is not None:
            self._table.hold(self._slot, size)

    def _end(self, reason: CloseReason) -> None:
        """Close the connection, as the table demands."""
        del reason
        self.transport.abort()

    def _abort_later(self) -> None:
        """Abort the connection after a while.

        A transport closes only once its buffer is empty, which may never happen if the client does
        not read.
        """
        self.loop.call_later(_LINGER_S, self.transport.abort)


def _make_frame(kind: int, payload: bytes) -> bytes:
    """Return a frame from the server, which is not masked."""
    n = len(payload)
    if n < 126:
        return bytes((kind, n)) + payload
    if n < 2**16:
        return bytes((kind, 126)) + n.to_bytes(2, "big") + payload
    return bytes((kind, 127)) + n.to_bytes(8, "big") + payload
