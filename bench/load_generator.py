"""Load for a server: many websocket connections in one process, each sending samples on schedule.

The frames are made beforehand and answers are only noted, because clients run on the same cores
as the server that they measure: a websocket library would cost as much here as the server does.
The schedule does not wait for answers, so that a slow server is not asked less (no coordinated
omission); but a connection whose socket is full sends no more until it is not, and counts what it
withheld.
"""

import asyncio
import base64
import os
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, cast

import msgspec
import numpy as np
import uvloop

from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.messages import EventMessage, format_events

__all__ = [
    "Client",
    "ConnectionOutcome",
    "Load",
    "WebsocketClient",
    "frame",
    "run_load",
    "sample_frames",
    "samples_of",
]

_BINARY: Final = 0x82
_CLOSE: Final = 0x88
_SETTLE_S: Final = 60.0


class Response(msgspec.Struct):
    """Response to a sample: a decision, or the reason why there is none."""

    sample: int | None = None
    label: int | None = None
    votes: list[int] = []
    spikes: int = 0
    rounds: int = 0
    latency_ms: float = 0.0
    error: str = ""
    dropped: bool = False


_DECODER: Final = msgspec.msgpack.Decoder(Response)


@dataclass(frozen=True, slots=True)
class Load:
    """The load of one client process.

    Attributes:
        host, port: address of the server.
        connections: number of connections.
        first: number of the first connection. Connection c has the seed c, begins with sample
            7 * c of the file and wraps around at its end.
        samples_per_s: rate of all connections together; they take turns.
        seconds: duration of sending.
        query: query parameters besides the seed.
    """

    host: str
    port: int
    connections: int
    first: int
    samples_per_s: float
    seconds: float
    query: str = ""


@dataclass(slots=True)
class ConnectionOutcome:
    """The outcome of one connection.

    Attributes:
        number: number of the connection, and its seed.
        sent: samples sent.
        withheld: samples that were due while the socket was full.
        decided: (label, votes, spikes, rounds) by sample number.
        latency_ms: time from the due time of each decided sample to its decision.
        server_ms: the latency that the server reports.
        dropped, refused: numbers of the samples that were dropped or refused.
        twice: responses to samples that already had one.
        code: close code of the server; 0 if the server did not close the connection.
    """

    number: int
    sent: int = 0
    withheld: int = 0
    decided: dict[int, tuple[int | None, tuple[int, ...], int, int]] = field(default_factory=dict)
    latency_ms: list[float] = field(default_factory=list)
    server_ms: list[float] = field(default_factory=list)
    dropped: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    twice: int = 0
    code: int = 0

    @property
    def answered(self) -> int:
        """Number of samples with a response of any kind."""
        return len(self.decided) + len(self.dropped) + len(self.refused)


def frame(payload: bytes, opcode: int = _BINARY) -> bytes:
    """Return a websocket frame of a client, masked with zeros, which change nothing."""
    if len(payload) < 126:
        head = struct.pack("!BB", opcode, 0x80 | len(payload))
    elif len(payload) < 2**16:
        head = struct.pack("!BBH", opcode, 0xFE, len(payload))
    else:
        head = struct.pack("!BBQ", opcode, 0xFF, len(payload))
    return head + bytes(4) + payload


def sample_frames(spikes: SpikeTrains) -> list[bytes]:
    """Return one frame for each sample of a file."""
    frames = []
    for events in spikes:
        payload = format_events(EventMessage(events, end=True), binary=True)
        assert isinstance(payload, bytes)
        frames.append(frame(payload))
    return frames


class WebsocketClient(asyncio.Protocol):
    """One websocket connection, which opens itself and is told of messages.

    Args:
        path: path and query of the request.

    Attributes:
        opened, lost: futures that complete once the connection is open, and once it has ended.
        is_full: whether the socket is full.
        transport: the transport of the connection.
    """

    def __init__(self, path: str) -> None:
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()
        self.is_full = False
        self._path = path
        self._buffer = bytearray()
        self._is_open = self._is_leaving = False
        self.transport: asyncio.Transport

    def message_received(self, payload: bytes) -> None:
        """Handle a binary message."""
        raise NotImplementedError

    def close_received(self, code: int) -> None:
        """Handle that the server closes the connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the websocket handshake."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop has its own transport class.
        key = base64.b64encode(os.urandom(16)).decode()
        self.transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: load\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def pause_writing(self) -> None:
        """Note that the socket is full."""
        self.is_full = True

    def resume_writing(self) -> None:
        """Note that the socket has drained."""
        self.is_full = False

    def connection_lost(self, exc: Exception | None) -> None:
        """Complete the futures that wait for this connection."""
        self.is_full = True
        for future in (self.opened, self.lost):
            if not future.done():
                future.set_result(None)

    def leave(self) -> None:
        """Close the connection."""
        self._is_leaving = True
        if self.lost.done():
            return
        self.transport.write(frame(struct.pack("!H", 1000), _CLOSE))

    def data_received(self, data: bytes) -> None:
        """Parse the frames of the server."""
        buffer = self._buffer
        buffer += data
        if not self._is_open:
            head, found, rest = buffer.partition(b"\r\n\r\n")
            if not found:
                return
            self._is_open = head.startswith(b"HTTP/1.1 101")
            buffer[:] = rest
            if not self._is_open:
                self.transport.abort()
                return
            self.opened.set_result(None)
        at = 0
        while len(buffer) >= at + 2:
            length, start = buffer[at + 1], at + 2
            if length == 126:
                if len(buffer) < at + 4:
                    break
                length, start = int.from_bytes(buffer[at + 2 : at + 4], "big"), at + 4
            if len(buffer) < start + length:
                break
            self._take(buffer[at], bytes(buffer[start : start + length]))
            at = start + length
        del buffer[:at]

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == _BINARY:
            self.message_received(payload)
        elif opcode == _CLOSE and not self._is_leaving:
            self.close_received(int.from_bytes(payload[:2], "big"))
            self.transport.write(frame(payload[:2], _CLOSE))
        elif opcode == 0x89:
            self.transport.write(frame(payload, 0x8A))


class Client(WebsocketClient):
    """A connection that sends samples and records the responses."""

    def __init__(self, path: str, outcome: ConnectionOutcome) -> None:
        super().__init__(path)
        self.outcome = outcome
        self.due_s: list[float] = []

    def send(self, data: bytes, due_s: float) -> None:
        """Send the next sample, or withhold it while the socket is full."""
        if self.is_full:
            self.outcome.withheld += 1
            return
        self.due_s.append(due_s)
        self.outcome.sent += 1
        self.transport.write(data)

    def close_received(self, code: int) -> None:
        """Record why the server closes the connection."""
        self.outcome.code = code

    def message_received(self, payload: bytes) -> None:
        """Record the response to a sample."""
        response, now_s = _DECODER.decode(payload), time.monotonic()
        out, n = self.outcome, response.sample
        if n is None or n in out.decided or n in out.dropped or n in out.refused:
            out.twice += 1
        elif not response.error:
            out.decided[n] = (
                response.label,
                tuple(response.votes),
                response.spikes,
                response.rounds,
            )
            out.latency_ms.append(1e3 * (now_s - self.due_s[n]))
            out.server_ms.append(response.latency_ms)
        else:
            (out.dropped if response.dropped else out.refused).add(n)


def run_load(load: Load, spikes: SpikeTrains) -> list[ConnectionOutcome]:
    """Connect, send on schedule, wait for outstanding responses, and disconnect."""
    return uvloop.run(_run(load, sample_frames(spikes)))


async def _run(load: Load, frames: Sequence[bytes]) -> list[ConnectionOutcome]:
    clients = await _connect(load)
    await _send(load, clients, frames)
    deadline = time.monotonic() + _SETTLE_S
    while time.monotonic() < deadline:
        if all(c.outcome.answered >= c.outcome.sent or c.lost.done() for c in clients):
            break
        await asyncio.sleep(0.05)
    for client in clients:
        client.leave()
    await asyncio.wait([client.lost for client in clients], timeout=_SETTLE_S)
    for client in clients:
        client.transport.abort()
    return [client.outcome for client in clients]


async def _connect(load: Load) -> list[Client]:
    loop, clients = asyncio.get_running_loop(), []
    for number in range(load.first, load.first + load.connections):
        path = f"/stream?seed={number}{load.query}"
        make = partial(Client, path, ConnectionOutcome(number))
        _, client = await loop.create_connection(make, load.host, load.port)
        await client.opened
        clients.append(client)
    return clients


async def _send(load: Load, clients: Sequence[Client], frames: Sequence[bytes]) -> None:
    """Send on schedule, without waiting for responses."""
    total, gap_s = round(load.samples_per_s * load.seconds), 1 / load.samples_per_s
    begin_s, n = time.monotonic(), len(clients)
    for i in range(total):
        due_s = begin_s + i * gap_s
        if (ahead_s := due_s - time.monotonic()) > 0:
            await asyncio.sleep(ahead_s)
        elif i % 64 == 0:
            await asyncio.sleep(0)
        client = clients[i % n]
        sample = 7 * client.outcome.number + client.outcome.sent
        client.send(frames[sample % len(frames)], due_s)
        if all(c.lost.done() for c in clients[:1]) and all(c.lost.done() for c in clients):
            return


def samples_of(outcome: ConnectionOutcome, spikes: SpikeTrains) -> SpikeTrains:
    """Return the samples that a connection sent."""
    return spikes.take((7 * outcome.number + np.arange(outcome.sent)) % len(spikes))
