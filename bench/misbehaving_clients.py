"""Misbehaving clients: they vanish, send garbage, or read nothing."""

import contextlib
import random
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final

from bench.load_generator import frame

__all__ = ["harass"]

_TEXT: Final = 0x81
_NOTHING: Final = frame(b'{"end": true}', _TEXT)
"""A complete sample without events."""


def harass(port: int, frames: Sequence[bytes], seconds: float, seed: int) -> dict[str, int]:
    """Connect repeatedly, misbehave in each way in turn, and return the counts by way."""
    rng = random.Random(seed)
    done = dict.fromkeys((*(_name(way) for way in _WAYS), "cut off for not reading"), 0)
    end_s = time.monotonic() + seconds
    silent = [_Silent(port) for _ in range(3)]
    while time.monotonic() < end_s:
        for way in _WAYS:
            done[_name(way)] += 1
            with contextlib.suppress(OSError), _connected(port) as client:
                way(client, frames, rng)
        for k, mute in enumerate(silent):
            if not mute.send():
                mute.close()
                silent[k] = _Silent(port)
                done["cut off for not reading"] += 1
    for mute in silent:
        mute.close()
    return done


def _vanish_within_a_message(
    client: socket.socket, frames: Sequence[bytes], rng: random.Random
) -> None:
    client.sendall(rng.choice(frames) + rng.choice(frames)[: rng.randrange(1, 60)])


def _vanish_within_a_sample(
    client: socket.socket, frames: Sequence[bytes], rng: random.Random
) -> None:
    del frames
    for _ in range(rng.randrange(1, 5)):
        client.sendall(frame(b'{"t_us": [0, 5], "index": [1, 2]}', _TEXT))


def _reset(client: socket.socket, frames: Sequence[bytes], rng: random.Random) -> None:
    client.sendall(b"".join(rng.choices(frames, k=5)))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def _send_garbage(client: socket.socket, frames: Sequence[bytes], rng: random.Random) -> None:
    del frames
    for _ in range(12):
        client.sendall(frame(rng.randbytes(rng.randrange(200))))
        client.sendall(frame(b'{"t_us": "now", "index": [[[', _TEXT))
    client.settimeout(0.2)  # Such a client does not answer a close frame.
    while client.recv(65536):  # Read until the server closes the connection.
        pass


def _break_the_protocol(client: socket.socket, frames: Sequence[bytes], rng: random.Random) -> None:
    del frames
    client.sendall(rng.randbytes(500))
    client.settimeout(0.2)  # The server may wait for the rest of an incomplete message.
    while client.recv(65536):
        pass


_WAYS: Final = (
    _vanish_within_a_message, _vanish_within_a_sample, _reset, _send_garbage, _break_the_protocol,
)  # fmt: skip


def _name(way: Callable[..., None]) -> str:
    return way.__name__.strip("_").replace("_", " ")


def _connected(port: int) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(20)
    client.connect(("127.0.0.1", port))
    client.sendall(
        b"GET /stream HTTP/1.1\r\nHost: hostile\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        part = client.recv(1)  # Read nothing beyond the response head.
        if not part:
            raise OSError("no websocket")
        answer += part
    return client


class _Silent:
    """A client that sends samples without events and never reads."""

    def __init__(self, port: int) -> None:
        self._socket = _connected(port)
        self._socket.setblocking(False)
        self._unsent = b""

    def send(self) -> bool:
        """Send as much as the socket accepts; return whether the connection is still open."""
        self._unsent = self._unsent or _NOTHING * 100
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()
