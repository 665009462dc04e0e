"""A websocket protocol for uvicorn, with a fast path for ordinary messages.

The ``websockets`` library parses frames in Python, with a generator and several objects for each.
This module parses a frame in place if it is complete, masked and a whole message, and writes a
response in one piece. The library does everything else: handshake, fragments, pings, closing, and
protocol errors.
"""

import asyncio
from typing import Any, Final, cast

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State

from neuroasync.serve.connection.websocket import RAW_CONNECTION_EXTENSION, Receiver
from neuroasync.serve.process import websocket_frames as frames
from neuroasync.serve.process.connection_table import ConnectionSlot, ConnectionTable
from neuroasync.serve.process.message_queue import MessageQueue
from neuroasync.serve.process.socket_state import is_closed_by_peer

__all__ = ["WebsocketProtocol"]

_LINGER_S: Final = 5.0
"""How long a closing connection may take to send what is in its buffer, in seconds."""

_MAX_MESSAGES_AHEAD: Final = 16
_MAX_BYTES_AHEAD: Final = 2**16
"""Limits for messages that are parsed before the app asks for them. Further data stays unparsed."""

_MAX_FRAGMENTS: Final = 1024
"""Maximum number of frames of one message. A frame without content takes memory, too."""

_MAX_FRAMES_PER_TURN: Final = 128
"""Maximum number of control frames and fragments that are parsed in one turn of the event loop."""

_LIBRARY_BYTES_PER_TURN: Final = 2**12
"""Maximum amount of data that the library parses in one turn. A frame may have six bytes."""

_MIN_HELD_BYTES: Final = 2**12
"""Smaller parts of messages are not counted in the connection table."""


class WebsocketProtocol(WebSocketsSansIOProtocol):
    """A websocket that a client cannot keep open by not reading; the app's ``RawConnection``."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._unread = bytearray()
        self._needed = self._bytes_ahead = self._fragment_bytes = 0
        self._was_heard = self._is_fragmented = self._is_pong_unread = self._is_yielding = False
        self.queue = self._messages = MessageQueue()
        self._abort_timer: asyncio.TimerHandle | None = None
        self._table: ConnectionTable | None = None
        self._slot: ConnectionSlot | None = None
        # The fast path cannot read compressed frames.
        self._uses_library = self.config.ws_per_message_deflate

    def take_slot(self, table: ConnectionTable, slot: ConnectionSlot) -> None:
        """Take over the slot of the HTTP connection that became this websocket."""
        self._table, self._slot = table, slot
        slot.close = lambda _reason: self.transport.abort()
        if self.disconnected:
            table.release(slot)
        elif not self.handshake_complete:
            # The app accepts soon. The library, which would parse what arrives before, is slow.
            self._pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Return the slot."""
        super().connection_lost(exc)
        self._messages.receiver = None
        if self._abort_timer is not None:
            self._abort_timer.cancel()
        self._unread.clear()
        self.frames = []
        if self._table is not None and self._slot is not None:
            self._table.release(self._slot)
        self._slot = None  # without reference cycles, all memory is free at once
        self.conn.parser.close()

    def abort(self) -> None:
        """Close the connection without waiting for the client."""
        self.transport.abort()

    def write(self, data: str | bytes) -> None:
        """Send a message, which requires :attr:`can_write`."""
        if isinstance(data, str):
            self.transport.write(frames.make_frame(frames.TEXT, data.encode()))
        else:
            self.transport.write(frames.make_frame(frames.BINARY, data))

    def set_receiver(self, receiver: Receiver | None) -> None:
        """Offer messages to a receiver first, or no longer."""
        self._messages.receiver = receiver

    def deliver(self, data: str | bytes) -> None:
        """Queue a message for the app."""
        self._messages.put_message(data)

    @property
    def can_write(self) -> bool:
        """Whether a message can be sent without a wait, and without the library."""
        is_open = self.handshake_complete and not (self.disconnected or self.close_sent)
        # The library also answers protocol errors, after which it accepts no messages.
        is_simple = not self._uses_library and self.conn.state is State.OPEN
        return is_open and is_simple and self.writable.is_set()

    def has_left(self) -> bool:
        """Return whether the client has closed the connection, even if data is still unread."""
        return is_closed_by_peer(self.transport.get_extra_info("socket"))

    async def run_asgi(self) -> None:
        """Run the app for this connection."""
        extensions, app = cast("dict[str, object]", self.scope["extensions"]), self.app
        extensions[RAW_CONNECTION_EXTENSION] = self

        async def run_app(*arguments: Any) -> None:
            await app(*arguments)
            if self.initial_response is not None:  # uvicorn would log an error for each refusal
                raise ClientDisconnected

        self.app = run_app
        try:
            await super().run_asgi()
        finally:
            self.app = app
            del extensions[RAW_CONNECTION_EXTENSION]
            self._abort_later()

    def send_keepalive_ping(self) -> None:
        """Send a ping to find out whether the client is still connected."""
        self._was_heard = False
        super().send_keepalive_ping()

    def keepalive_timeout(self) -> None:
        """Close the connection after a ping without a pong, unless the client may be alive."""
        # Any data proves that it is, and the pong may be queued behind data that was not read yet.
        if self._was_heard or self.read_paused:
            self.pong_timer = self.pending_ping_payload = None
            self.schedule_ping()
            return
        super().keepalive_timeout()
        self._abort_later()

    def data_received(self, data: bytes) -> None:
        """Parse received data. The library handles the handshake and all data before its end."""
        self._was_heard = True
        if not self.handshake_complete:
            # Earlier data goes to the library's buffer, so that it must also parse all later data.
            self._uses_library |= self.handshake_initiated
            super().data_received(data)
            return
        if not self._unread and not self._uses_library:
            self._parse(data)  # the usual case, without a copy
        else:
            self._unread += data
            self._parse_unread()
        if len(self._unread) >= _MIN_HELD_BYTES and not self.read_paused:
            self._hold(len(self._unread))
            self._yield_turn()

    def resume_writing(self) -> None:
        """Read on if a pong has waited for the client to read."""
        super().resume_writing()
        if self._is_pong_unread:
            self._is_pong_unread = False
            if self._slot is not None and self._table is not None:
                self._table.stop_waiting(self._slot)
            self._read_on()

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
        self._fragment_bytes += len(event.data)
        if self._fragment_bytes >= _MIN_HELD_BYTES:
            self._hold(self._fragment_bytes)
        super().handle_cont(event)
        if event.fin:
            self._fragment_bytes = 0
            self._hold(0)

    async def receive(self) -> Any:
        """Wait for the next message for the app and return it."""
        if self.queue.empty():
            self._bytes_ahead = 0
            self._read_on()
        return await self._messages.get()

    async def send(self, message: Any) -> None:
        """Send a message of the app. Cancellation: safe; it was sent completely or not at all."""
        if message["type"] != "websocket.send" or not self.handshake_complete:
            await super().send(message)
            if message["type"] in ("websocket.accept", "websocket.close"):
                self._read_on()
            return
        if not self.writable.is_set():
            await self.writable.wait()
        if self.disconnected or self.close_sent:  # the library may have closed the connection
            raise ClientDisconnected
        if self.can_write:
            text = message.get("text")
            self.write(message["bytes"] if text is None else text)
        else:
            await super().send(message)

    def _parse_unread(self) -> None:
        """Parse what has arrived and was not parsed, if it has a whole frame."""
        if self._uses_library:
            self._parse_by_library()
        elif len(self._unread) >= self._needed:
            data = bytes(self._unread)
            self._unread.clear()
            if self._slot is not None and self._slot.held:
                self._hold(0)
            self._parse(data)

    def _parse(self, data: bytes) -> None:
        """Parse frames that are complete, as long as the app is not too far behind."""
        at, others, size, self._needed = 0, 0, len(data), 0
        # The first frame needs no check: reading is paused while the app is behind.
        while at < size and not (at and self._is_ahead()):
            span = frames.find_payload(data, at, self.config.ws_max_size)
            if span is None:
                self._uses_library = True
                self._unread += data[at:]
                self._parse_by_library()
                return
            payload, end = span
            if end > size:
                self._needed = end - at
                break
            kind = data[at]
            if kind in frames.MESSAGES and not (self._is_fragmented or self.close_sent):
                self._deliver(kind, frames.unmask(data, payload, end), end - at)
            else:
                self._handle_other(kind, data, at, payload, end)
                others += 1
            if self.transport.is_closing():
                return
            at = end
            if others == _MAX_FRAMES_PER_TURN and at < size:
                self._yield_turn()
        if at < size:
            self._unread += data[at:]
        # If the receiver has taken the only message, nothing has changed.
        if (others or self._bytes_ahead or at < size) and self._is_ahead():
            self._pause_reading()

    def _parse_by_library(self) -> None:
        """Let the library parse some received data in this turn of the event loop."""
        if self._is_yielding or self.transport.is_closing():
            return
        part = bytes(self._unread[:_LIBRARY_BYTES_PER_TURN])
        del self._unread[:_LIBRARY_BYTES_PER_TURN]
        super().data_received(part)
        if self._unread and not self.transport.is_closing():
            self._yield_turn()

    def _yield_turn(self) -> None:
        """Stop parsing and reading until it is the turn of this connection."""
        self._is_yielding = True
        self._pause_reading()
        if self._table is None:
            self.loop.call_soon(self._take_turn)
        else:
            self._table.read_turns.wait(self.loop, self._take_turn)

    def _take_turn(self) -> None:
        self._is_yielding = False
        if not self.disconnected and not self.transport.is_closing():
            self._read_on()

    def _read_on(self) -> None:
        """Parse what has arrived, then read on."""
        if self._unread and not self._is_ahead():
            self._parse_unread()
        self._resume_reading()

    def _deliver(self, kind: int, message: bytes, frame_bytes: int) -> None:
        """Offer a whole message to the receiver, or queue it for the app."""
        try:
            content = message if kind == frames.BINARY else message.decode()
        except UnicodeDecodeError:
            # The library does the same, but writes a traceback to the log.
            self.conn.send_close(1007)
            self.handle_parser_exception()
            return
        if not self._messages.offer(content):
            self._bytes_ahead += frame_bytes
            self.deliver(content)

    def _handle_other(self, kind: int, data: bytes, at: int, payload: int, end: int) -> None:
        """Answer a ping, or leave the frame to the library, which drops messages after a close."""
        if kind == frames.PING and self.conn.state is State.OPEN:
            self.transport.write(frames.make_frame(frames.PONG, frames.unmask(data, payload, end)))
            self._check_pongs()
            return
        if kind & 0x0F <= Opcode.BINARY:
            self._is_fragmented = not kind & frames.FIN
        super().data_received(data[at:end])

    def _is_ahead(self) -> bool:
        is_full = self.queue.qsize() >= _MAX_MESSAGES_AHEAD or self._bytes_ahead >= _MAX_BYTES_AHEAD
        # After a close frame, messages are discarded, and the client's own one may follow many.
        return (is_full and not self.close_sent) or self._is_pong_unread or self._is_yielding

    def _pause_reading(self) -> None:
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if self.read_paused and not self._is_ahead():
            self.read_paused = False
            self.transport.resume_reading()

    def _check_pongs(self) -> None:
        """Stop reading if the client does not read its pongs, which the app knows nothing of."""
        if self.writable.is_set() or self._is_pong_unread:
            return
        self._is_pong_unread = True
        self._pause_reading()
        if self._table is not None and self._slot is not None:
            self._table.wait_for_client(self._slot, self._table.limits.send_timeout_s)

    def _hold(self, size: int) -> None:
        """Tell the connection table how much of an incomplete message waits for its rest."""
        if self._table is not None and self._slot is not None:
            self._table.hold(self._slot, size)

    def _abort_later(self) -> None:
        """Abort the connection after a while, as it cannot close while its client does not read."""
        if not self.disconnected and self._abort_timer is None:
            self._abort_timer = self.loop.call_later(_LINGER_S, self.transport.abort)
