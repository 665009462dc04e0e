"""An HTTP protocol for uvicorn that limits what a client may send, hold and wait for.

uvicorn closes connections that stay idle after a response, and nothing more: a request may be as
long and as slow as its client likes. This module adds limits to the protocol for ``httptools``, the
parser of Node. uvicorn's protocol for ``h11`` limits the size of a request head by itself, but it
takes about 150 µs longer for each request. Other servers for ASGI have no limit for each address
either, and no access to the connection below a websocket, to cut off a client that reads nothing.
"""

import asyncio
from enum import Enum
from http import HTTPStatus
from typing import Any, Final, NoReturn, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from neuroasync.serve.error_messages import format_error
from neuroasync.serve.process.connection_table import (
    CloseReason,
    ConnectionSlot,
    ConnectionTable,
)
from neuroasync.serve.process.read_turns import TurnFlowControl
from neuroasync.serve.process.uvicorn_protocol import WebsocketProtocol
from neuroasync.serve.process.websocket_handshake import handshake_error

__all__ = ["HttpProtocol"]

_MAX_LINE_BYTES: Final = 8000
"""Maximum size of a request target and of a header. The websocket library accepts 8,192 bytes."""

_MAX_HEADERS: Final = 100
"""Maximum number of headers. The websocket library accepts 128."""

_MAX_PIPELINED: Final = 8
"""Maximum number of requests that wait for the response to an earlier one."""

_MAX_OVERHEAD: Final = 4
"""Maximum ratio between the received size of a body, with its chunk sizes, and its limit."""

_LINGER_S: Final = 2.0
"""How long a client may go on sending a body after the response, in seconds. Closing at once could
reset the connection before the client has read the response."""

_WRITE_BUFFER_BYTES: Final = 2**13
"""Responses above this size count as unread until the client has read them."""

_MIN_HELD_BYTES: Final = 2**12
"""Smaller requests are not counted while they wait for the server, and smaller parts of bodies do
not wait for their turn."""


class _Phase(Enum):
    """What a connection waits for."""

    IDLE = "the next request"
    HEAD = "the rest of a request head"
    BODY = "the rest of a request body"
    SERVER = "the server"
    UNREAD = "a client that does not read its responses"
    DISCARDING = "the end of a body whose request is answered"


class _RefusedError(Exception):
    """A request that the server does not read any further."""


class HttpProtocol(HttpToolsProtocol):
    """An HTTP connection that ends if its client is too slow or takes too much.

    Args:
        table: All connections of the worker.
        *args: Arguments of uvicorn.
        **options: Arguments of uvicorn.
    """

    def __init__(self, table: ConnectionTable, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._table = table
        self._slot: ConnectionSlot | None = None
        self._phase = _Phase.HEAD
        self._has_begun = self._is_in_head = self._is_in_body = self._is_upgrading = False
        self._received = self._ignored = 0
        self._refusal = (400, "the request is not valid HTTP")
        self._answered: Any = None  # the request that the app answers; later ones may wait

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a slot of the table, or refuse the connection."""
        super().connection_made(transport)
        self.flow = self._turn_flow = TurnFlowControl(transport, self._table.read_turns)
        address = None if self.client is None else self.client[0]
        self._slot = self._table.admit(address, self._end)
        if self._slot is None:
            self._close_with_error(503, "the server has too many connections; try again later")
            return
        transport.set_write_buffer_limits(_WRITE_BUFFER_BYTES)
        self._table.wait_for_client(self._slot, self._table.limits.request_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Return the slot."""
        self._abandon(self._answered)  # uvicorn only abandons the latest request
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        if self.cycle is not None:
            self.cycle.body.clear()
        if self._slot is not None:
            self._table.release(self._slot)
        # Without reference cycles, all memory is free at once, and not at the next collection.
        self._slot = None
        self.cycle = self._answered = cast(Any, None)
        self.pipeline.clear()

    def data_received(self, data: bytes) -> None:
        """Parse received data."""
        if self.transport.is_closing():
            return
        limits = self._table.limits
        self._has_begun = False
        super().data_received(data)
        if self._has_begun:
            # The data may also contain earlier requests.
            self._received = self._ignored = len(data)
        else:
            self._received += len(data)
        new = self._received - self._ignored
        if self._is_in_head and new > limits.max_head_bytes:
            self._refusal = 431, f"the head of the request has over {limits.max_head_bytes} bytes"
            self.send_400_response("")
        elif self._is_in_body and new > _MAX_OVERHEAD * limits.max_body_bytes:
            self._refusal = 413, f"the body must have at most {limits.max_body_bytes} bytes"
            self.send_400_response("")
        self._update()
        if self._is_in_body and len(data) >= _MIN_HELD_BYTES and not self.transport.is_closing():
            self._turn_flow.wait_turn(self.loop)

    def on_message_begin(self) -> None:
        """Begin a request, unless too many others wait."""
        if len(self.pipeline) >= _MAX_PIPELINED:
            self._refuse(400, f"more than {_MAX_PIPELINED} requests wait for a response")
        self._has_begun = self._is_in_head = True
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Append a part of the request target."""
        super().on_url(url)
        if len(self.url) > _MAX_LINE_BYTES:
            self._refuse(414, f"the address has over {_MAX_LINE_BYTES} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Append a header. Headers after the body are ignored."""
        if not self._is_in_head:
            return
        if len(name) + len(value) > _MAX_LINE_BYTES or len(self.headers) >= _MAX_HEADERS:
            limits = f"{_MAX_HEADERS} headers of at most {_MAX_LINE_BYTES} bytes"
            self._refuse(431, f"the request must have at most {limits}")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the app, if the head of the request is acceptable."""
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        limits = self._table.limits
        if size > limits.max_head_bytes:
            self._refuse(431, f"the head of the request has over {limits.max_head_bytes} bytes")
        if not self.url.startswith(b"/"):
            self._read_host_of_target()
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            self._refuse(400, "the request must have one header Host")
        if int(dict(self.headers).get(b"content-length", b"0")) > limits.max_body_bytes:
            self._refuse(413, f"the body must have at most {limits.max_body_bytes} bytes")
        self._is_in_head, self._is_in_body = False, True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End a request."""
        self._is_in_body = False
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Refuse the handshake of a websocket, or accept it in the turn of this connection."""
        slot, cycle, parser = self._slot, self.cycle, self.parser
        refusal = handshake_error(parser.get_method(), parser.get_http_version(), self.headers)
        if slot is None or self.transport.is_closing():
            return
        if cycle is not None and not cycle.response_complete:
            self._close_with_error(400, "the websocket began before the last response")
        elif refusal is not None:
            self._close_with_error(*refusal)
        elif not self._table.upgrade(slot):
            self._close_with_error(503, "the server has too many websockets; try again later")
        else:
            # A websocket takes several times as long to begin as a request.
            self._is_upgrading = True
            self.transport.pause_reading()
            self._table.hold(slot, 0)
            self._table.read_turns.wait(self.loop, self._upgrade)

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that cannot be read any further, and close the connection."""
        del msg
        if not self.transport.is_closing():
            self._table.count_malformed()
            self._close_with_error(*self._refusal)

    def on_response_complete(self) -> None:
        """Continue with the next request, if there is one."""
        super().on_response_complete()
        self._update()

    def pause_writing(self) -> None:
        """Note that the client does not read."""
        super().pause_writing()
        self._update()

    def resume_writing(self) -> None:
        """Note that the client has read."""
        super().resume_writing()
        self._update()

    def stop_receiving(self) -> None:
        """Close the connection if it waits for a request or for the rest of one."""
        if self._phase is _Phase.BODY or (self._phase is _Phase.HEAD and self._is_in_head):
            self._close_with_error(503, "the server is shutting down")
        elif self._phase in (_Phase.IDLE, _Phase.HEAD):
            self.transport.close()

    def _upgrade(self) -> None:
        """Hand the connection over to the websocket protocol."""
        slot = self._slot
        if slot is None or self.transport.is_closing():
            return
        self.transport.set_write_buffer_limits()
        super().handle_websocket_upgrade()
        self._slot = None
        self.cycle = self.parser = cast(Any, None)
        websocket = cast(WebsocketProtocol, self.transport.get_protocol())
        websocket.take_slot(self._table, slot)

    def _update(self) -> None:
        """Find out what the connection waits for, and tell the table."""
        slot, table = self._slot, self._table
        if slot is None:
            return
        phase = self._next_phase()
        if phase is _Phase.BODY or (phase is _Phase.HEAD and self._is_in_head):
            table.hold(slot, self._received)
        elif phase is _Phase.UNREAD:
            table.hold(slot, self.transport.get_write_buffer_size())
        elif phase is not _Phase.SERVER and slot.held:
            table.hold(slot, 0)
        if phase is self._phase:
            return
        self._phase = phase
        limits = table.limits
        if phase is _Phase.SERVER:
            if self._received >= _MIN_HELD_BYTES:
                table.hold(slot, self._received)
            table.stop_waiting(slot)
        elif phase is _Phase.UNREAD:
            table.wait_for_client(slot, limits.send_timeout_s)
        elif phase is _Phase.DISCARDING:
            self.cycle.body.clear()
            table.wait_for_client(slot, _LINGER_S)
        elif phase is _Phase.IDLE:
            table.wait_for_client(slot, limits.keep_alive_s)
        else:
            table.wait_for_client(slot, limits.request_timeout_s)

    def _next_phase(self) -> _Phase:
        if self.flow.write_paused or self.transport.is_closing():
            return _Phase.UNREAD
        is_answered = self.cycle is None or self.cycle.response_complete
        if self._is_in_body:
            return _Phase.DISCARDING if is_answered else _Phase.BODY
        if not is_answered or self._is_upgrading:
            return _Phase.SERVER
        # Before its first request, a connection has no more time than for a request head.
        is_new = self.cycle is None
        return _Phase.HEAD if self._is_in_head or is_new else _Phase.IDLE

    def _end(self, reason: CloseReason) -> None:
        """Close the connection, as the table demands."""
        is_late = reason == "timeout"
        if is_late and self._phase is _Phase.BODY:
            self._close_with_error(408, "the body of the request took too long")
        elif is_late and self._phase is _Phase.HEAD and self._is_in_head:
            self._close_with_error(408, "the head of the request took too long")
        elif is_late and self._phase in (_Phase.HEAD, _Phase.IDLE):
            self.transport.close()
            self._update()
        elif self._phase in (_Phase.BODY, _Phase.SERVER):
            self._close_with_error(503, "the server holds too many unfinished requests; try again")
            self.loop.call_later(_LINGER_S, self.transport.abort)
        else:
            self.transport.abort()

    def _close_with_error(self, status: int, error: str) -> None:
        """Send an error, unless a response has begun, and close the connection."""
        cycle = self.cycle
        has_begun = cycle is not None and cycle.response_started and not cycle.response_complete
        # While requests wait in the pipeline, the response to an earlier one may have begun.
        is_discarding = self._is_in_body and cycle is not None and cycle.response_complete
        if not has_begun and not is_discarding and not self.pipeline:
            self.transport.write(_error_response(status, error))
        self._abandon(cycle, self._answered)
        self.transport.close()
        self._update()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """Let the app answer a request, after the earlier ones."""
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def _abandon(self, *cycles: Any) -> None:
        """Send nothing more in response to requests, which may be None, and tell the app."""
        for cycle in filter(None, cycles):
            cycle.disconnected = True
            cycle.message_event.set()

    def _refuse(self, status: int, error: str) -> NoReturn:
        """Stop the parser, which calls this from within :meth:`data_received`."""
        self._refusal = status, error
        raise _RefusedError

    def _read_host_of_target(self) -> None:
        """Let the host of a target such as ``http://host/path`` replace the header ``Host``."""
        target = httptools.parse_url(self.url)
        if target.host is None:
            return  # ``OPTIONS *``
        port = b"" if target.port is None else b":%d" % target.port
        # The list is a part of the scope, so it must remain the same.
        self.headers[:] = [header for header in self.headers if header[0] != b"host"]
        self.headers.append((b"host", target.host + port))


def _error_response(status: int, error: str) -> bytes:
    body = cast(str, format_error(error)).encode()
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
    ]
    if status == 426:
        lines += ["Upgrade: websocket", "Sec-WebSocket-Version: 13"]
    if status == 503:
        lines.append("Retry-After: 1")
    return "\r\n".join([*lines, "", ""]).encode() + body
