"""Clients that attack a server: they send without end, too slowly or too much, or read nothing."""

import contextlib
import socket
import time
from dataclasses import dataclass
from typing import Final

from bench.load_generator import frame

__all__ = ["ATTACKS", "Attack", "run_attack"]

_HANDSHAKE: Final = (
    b"GET /stream HTTP/1.1\r\nHost: attacker\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_GET: Final = b"GET %s HTTP/1.1\r\nHost: attacker\r\n"
_HEALTH: Final = _GET % b"/health" + b"\r\n"
_POST: Final = b"POST %s HTTP/1.1\r\nHost: attacker\r\nContent-Type: application/json\r\n"
_TRACE_HEAD: Final = _POST % b"/trace" + b"Content-Length: 1000000\r\n"
_TRACE: Final = _TRACE_HEAD + b"\r\n"
_PINGS: Final = frame(b"p" * 125, 0x89) * 200
_METRICS: Final = _GET % b"/metrics" + b"\r\n"
_RECONNECTS_PER_TURN: Final = 64
_MAX_UNSENT: Final = 2**20


@dataclass(frozen=True, slots=True)
class Attack:
    """What each connection of an attack sends.

    Attributes:
        name: Name of the attack.
        connections: Number of connections. Those that the server closes are opened again.
        first: Data to send first.
        after_response: Data to send once, after the first response.
        then: Data to repeat.
        every_s: Time between repetitions in seconds; 0 repeats as fast as possible.
        reads: Whether the client reads.
        leaves_after_s: Time after which the client leaves, in seconds.
    """

    name: str
    connections: int
    first: bytes = b""
    after_response: bytes = b""
    then: bytes = b""
    every_s: float = 0.0
    reads: bool = True
    leaves_after_s: float = 1e9


ATTACKS: Final = (
    Attack("endless headers", 4, _GET % b"/", then=b"Xabcdefgh: 0123456789abcdef\r\n" * 500),
    Attack("slow headers", 1100, _GET % b"/" + b"X: ", then=b"x", every_s=1.0),
    Attack("long addresses", 8, b"GET /" + b"a" * 30_000, then=b"a" * 1000),
    Attack("silent connections", 1100),
    Attack("idle after a response", 1100, _HEALTH),
    Attack("half-sent bodies", 1100, _TRACE + b"[" + b" " * 200_000),
    Attack("slow bodies", 1100, _TRACE, then=b" ", every_s=1.0),
    Attack("100-continue, then silence", 1100, _TRACE_HEAD + b"Expect: 100-continue\r\n\r\n"),
    Attack(
        "endless chunked bodies", 8, _POST % b"/decide" + b"Transfer-Encoding: chunked\r\n\r\n",
        then=b"1\r\nx\r\n" * 1000,
    ),
    Attack("pipelined requests, nothing read", 200, then=_HEALTH * 200, reads=False),
    Attack("responses not read", 1100, then=_METRICS, every_s=0.5, reads=False),
    Attack("connect and leave", 200, _HEALTH[:20], leaves_after_s=0.01),
    Attack("half-open handshakes", 1100, _HANDSHAKE[:-2]),
    Attack("silent websockets", 1100, _HANDSHAKE),
    Attack("ping flood, nothing read", 8, _HANDSHAKE, then=_PINGS, reads=False),
    Attack("ping flood", 8, _HANDSHAKE, then=_PINGS),
    Attack("fragments without end", 8, _HANDSHAKE, frame(b"", 0x01), frame(b"", 0x00) * 500),
    Attack("unfinished messages", 1100, _HANDSHAKE, frame(b"[" * 250_000, 0x81)[:-1]),
    Attack("nested messages", 8, _HANDSHAKE, then=frame(b'{"a":' * 2000, 0x81), every_s=0.01),
)  # fmt: skip


class _Connection:
    """One connection of an attack."""

    def __init__(self, attack: Attack, port: int) -> None:
        self._attack = attack
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        # Without a linger time, closed connections do not use up the ports of this machine.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            self._socket.connect(("127.0.0.1", port))
        self._unsent = bytearray(attack.first)
        self._has_response = not attack.first.startswith(_HANDSHAKE)
        self._due_s = time.monotonic() + attack.every_s
        self._leaves_s = time.monotonic() + attack.leaves_after_s

    def act(self) -> bool:
        """Receive and send without waiting. Return whether the connection is still open."""
        attack, now_s = self._attack, time.monotonic()
        try:
            if attack.reads or not self._has_response:
                self._receive()
            if self._has_response and attack.then and now_s >= self._due_s:
                self._due_s = now_s + attack.every_s
                if len(self._unsent) < _MAX_UNSENT:
                    self._unsent += attack.then
            if self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            return False
        return now_s < self._leaves_s

    def _receive(self) -> None:
        with contextlib.suppress(BlockingIOError):
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionResetError
            if not self._has_response:
                self._has_response = True
                self._unsent += self._attack.after_response

    def close(self) -> None:
        """Reset the connection."""
        self._socket.close()


def run_attack(attack: Attack, port: int, seconds: float) -> tuple[int, float]:
    """Attack for a time. Return how many connections were opened, and the CPU time used (s)."""
    end_s, opened, began_cpu_s = time.monotonic() + seconds, 0, time.process_time()
    connections: list[_Connection] = []
    while time.monotonic() < end_s:
        missing = min(attack.connections - len(connections), _RECONNECTS_PER_TURN)
        connections += [_Connection(attack, port) for _ in range(missing)]
        opened += missing
        still_open = []
        for connection in connections:
            if connection.act():
                still_open.append(connection)
            else:
                connection.close()
        connections = still_open
        time.sleep(0.02)
    for connection in connections:
        connection.close()
    return opened, time.process_time() - began_cpu_s
