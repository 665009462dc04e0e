"""Websockets under uvicorn, by the library, with a short way for the messages that are usual.

What decides how many samples a server takes is what a message costs. The library reads frames in
Python, with a generator and some objects for each; here a frame that is whole, masked and a message
by itself is read in place, and an answer is written in one piece. All else is left to the library:
the handshake, fragments, pings, closing, and whatever breaks the protocol.
"""

from typing import Any, Final, cast

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Opcode
from websockets.protocol import State

try:
    from websockets.speedups import apply_mask
except ImportError:  # built without its extension
    from websockets.utils import apply_mask

from neuroasync.serve.connection.websocket import LINE_EXTENSION

__all__ = ["WebsocketProtocol"]

_LINGER_S: Final = 5.0
_MAX_AHEAD: Final = 16
_MAX_BYTES_AHEAD: Final = 2**16
"""Messages that are taken apart before the app asks for them, and their bytes; the rest waits."""
_FIN: Final = 0x80
_TEXT: Final = _FIN | Opcode.TEXT
_BINARY: Final = _FIN | Opcode.BINARY
_CONTROL: Final = frozenset(_FIN | kind for kind in (Opcode.CLOSE, Opcode.PING, Opcode.PONG))
_KINDS: Final = _CONTROL | {
    fin | kind for fin in (0, _FIN) for kind in (Opcode.CONT, Opcode.TEXT, Opcode.BINARY)
}
"""First bytes of frames."""


class WebsocketProtocol(WebSocketsSansIOProtocol):
    """A connection that is cheap by the message, and that no client can keep open by not reading.

    The app finds it in its scope, as ``socket.RawConnection``.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._unread = bytearray()
        self._needed = 0
        self._bytes_ahead = 0
        self._was_heard = False
        self._is_fragmented = False
        # With an extension, frames are more than they seem.
        self._by_library = self.config.ws_per_message_deflate

    def cut(self) -> None:
        """End the connection, without waiting for anything."""
        self.transport.abort()

    def is_full(self) -> bool:
        """Whether an answer would have to wait for the client to read."""
        return not self.writable.is_set()

    async def run_asgi(self) -> None:
        """Run the app for this connection."""
        extensions = cast("dict[str, object]", self.scope["extensions"])
        extensions[LINE_EXTENSION] = self
        try:
            await super().run_asgi()
        finally:
            self._cut_later()

    def send_keepalive_ping(self) -> None:
        """Ask whether the client is still there."""
        self._was_heard = False
        super().send_keepalive_ping()

    def keepalive_timeout(self) -> None:
        """No answer came. It may wait behind messages that were not read yet."""
        if self._was_heard or self.read_paused:
            self.pong_timer = self.pending_ping_payload = None
            self.schedule_ping()
            return
        super().keepalive_timeout()
        self._cut_later()

    def data_received(self, data: bytes) -> None:
        """Read frames; those of the handshake and of what follows it too soon are the library's."""
        self._was_heard = True
        if self._by_library or not self.handshake_complete:
            self._by_library |= self.handshake_initiated
            super().data_received(data)
            return
        self._unread += data
        if len(self._unread) >= self._needed:
            self._read()

    async def receive(self) -> Any:
        """The app's next message."""
        if self.queue.empty():
            self._bytes_ahead = 0
            if self._unread and len(self._unread) >= self._needed:
                self._read()
            if self.read_paused and not self._is_ahead():
                self.read_paused = False
                self.transport.resume_reading()
        return await self.queue.get()

    async def send(self, message: Any) -> None:
        """Send what the app says. Cancellation: safe; the message was sent, or nothing of it."""
        if message["type"] != "websocket.send" or not self.handshake_complete:
            await super().send(message)
            return
        if not self.writable.is_set():
            await self.writable.wait()
        if self.disconnected or self.close_sent:  # maybe by the library
            raise ClientDisconnected
        if self._by_library or self.conn.state is not State.OPEN:
            await super().send(message)
            return
        text = message.get("text")
        if text is None:
            self.transport.write(_frame(_BINARY, message["bytes"]))
        else:
            self.transport.write(_frame(_TEXT, text.encode()))

    def _read(self) -> None:
        """Take frames from what has come, as far as they are whole and the app is not behind."""
        data, at = bytes(self._unread), 0
        self._unread.clear()
        self._needed = 0
        while at < len(data) and not self._is_ahead():
            span = self._span(data, at)
            if span is None:
                super().data_received(data[at:])
                return
            payload, end = span
            if end > len(data):
                self._needed = end - at
                break
            if not self._take(data, at, payload, end):
                super().data_received(data[at:end])
            if self.close_sent or self.transport.is_closing():
                return
            at = end
        self._unread += data[at:]
        if self._is_ahead() and not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def _span(self, data: bytes, at: int) -> tuple[int, int] | None:
        """Where the payload of the frame at ``at`` begins, and where it ends.

        None from where on all is left to the library, which says what is wrong with it.
        """
        have = len(data) - at
        if have < 2:
            return at, at + 2
        length, payload = data[at + 1] & 0x7F, at + 6
        is_masked = data[at + 1] & 0x80
        if not is_masked or data[at] not in _KINDS or (data[at] in _CONTROL and length > 125):
            self._by_library = True
            return None
        if length >= 126:
            size = 2 if length == 126 else 8
            payload += size
            if have < 2 + size:
                return payload, payload
            length = int.from_bytes(data[at + 2 : at + 2 + size], "big")
        if length > self.config.ws_max_size:
            self._by_library = True
            return None
        return payload, payload + length

    def _take(self, data: bytes, at: int, payload: int, end: int) -> bool:
        """Hand a frame to the app, if it is a message by itself; return whether it was."""
        kind = data[at]
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
            self.conn.send_close(1007)  # as the library does, but without a line in the log
            self.handle_parser_exception()
        return True

    def _is_ahead(self) -> bool:
        return self.queue.qsize() >= _MAX_AHEAD or self._bytes_ahead >= _MAX_BYTES_AHEAD

    def _cut_later(self) -> None:
        """Until a transport's buffer is empty, closing it has no effect."""
        self.loop.call_later(_LINGER_S, self.transport.abort)


def _frame(kind: int, payload: bytes) -> bytes:
    """A server's frame, unmasked."""
    n = len(payload)
    if n < 126:
        return bytes((kind, n)) + payload
    if n < 2**16:
        return bytes((kind, 126)) + n.to_bytes(2, "big") + payload
    return bytes((kind, 127)) + n.to_bytes(8, "big") + payload
