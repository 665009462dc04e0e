"""How long does a well-behaved client wait beside clients whose samples cost a lot?

Each way of costing much runs against a new server with default options. The well-behaved client
sends one digit after the other, alone at first and then beside the costly clients. The benchmark
stops with an error if its p99 rises by more than 250 ms, if a sample gets no decision, or if the
server grows by more than 64 MB. It also reports the CPU time of the costly clients, which share
the cores with the server.

::

    python -m bench.costly_clients [--connections N] [--seconds S] [WAY ...]
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import resource
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final, cast

import numpy as np
from rich.console import Console

from bench.environment import describe
from bench.load_generator import frame, sample_frames
from bench.paired_timing import quantiles
from bench.report import add_out_option, as_json, print_result, save
from bench.result import CheckError, Line, Result
from bench.server_process import ServerProcess
from neuroasync import SpikeTrain, read_spikes
from neuroasync.messages import EventMessage, format_events
from neuroasync.shipped import shipped_file

__all__ = ["WAYS", "main", "measure"]

_MAX_ADDED_MS: Final = 250.0
_MAX_GROWTH_MB: Final = 64.0
_PAUSE_S: Final = 0.02
_INPUTS: Final = 64
_HEAD: Final = (
    "GET /stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    "Sec-WebSocket-Version: 13\r\n\r\n"
)
_POST: Final = (
    "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    "Content-Length: {length}\r\n\r\n"
)


def _message(t_us: Sequence[int] | np.ndarray, index: np.ndarray, end: bool) -> bytes:
    return _framed(EventMessage(SpikeTrain(t_us, index), end))


def _framed(message: EventMessage) -> bytes:
    return frame(cast("bytes", format_events(message, binary=True)))


def _busy(first_ms: int, passes: int, events: int, end: bool) -> bytes:
    """Return a message with random events in these passes."""
    rng = np.random.default_rng(first_ms)
    t_us = np.sort(rng.integers(first_ms, first_ms + passes, events)) * 1000
    return _message(t_us, rng.integers(0, _INPUTS, events), end)


def _long_silence() -> Iterator[bytes]:
    """Yield samples of 45 bytes with as many passes as are allowed, 10 million."""
    yield frame(b'{"t_us":[9999999000],"index":[1],"end":true}', 0x81)


def _endless_sample() -> Iterator[bytes]:
    """Yield the chunks of samples with 99,000 passes full of events."""
    chunks = range(0, 99_000, 1000)
    yield from (_busy(first_ms, 1000, 20_000, first_ms == chunks[-1]) for first_ms in chunks)


def _large_samples() -> Iterator[bytes]:
    """Yield samples that nearly fill a message."""
    yield _busy(0, 1000, 40_000, True)


def _one_pass() -> Iterator[bytes]:
    """Yield chunks whose events all wait for the same pass."""
    yield _message(np.zeros(40_000, np.int64), np.arange(40_000) % _INPUTS, False)


def _tiny_samples() -> Iterator[bytes]:
    """Yield many samples without events."""
    yield frame(b'{"end":true}', 0x81) * 50


def _provisional() -> Iterator[bytes]:
    """Yield samples that ask for provisional decisions."""
    rng = np.random.default_rng(0)
    t_us, index = np.sort(rng.integers(0, 1000, 5000)) * 1000, rng.integers(0, _INPUTS, 5000)
    message = EventMessage(SpikeTrain(t_us, index), True, True)
    yield _framed(message)


def _body(passes: int, events: int) -> dict[str, list[int]]:
    rng = np.random.default_rng(1)
    t_us = np.sort(rng.integers(0, passes, events)) * 1000
    return {"t_us": t_us.tolist(), "index": rng.integers(0, _INPUTS, events).tolist()}


@dataclass(frozen=True, slots=True)
class Way:
    """A way of costing much.

    Attributes:
        path: Route of the requests.
        data: Makes the frames of a websocket in turn, or the body of a request.
        leaves: Whether a client leaves without waiting for the response.
    """

    path: str
    data: Callable[[], Iterator[bytes]]
    leaves: bool = False


def _decide_body() -> Iterator[bytes]:
    yield json.dumps(_body(90_000, 20_000)).encode()


def _trace_body() -> Iterator[bytes]:
    yield json.dumps({"events": _body(900, 10_000)}).encode()


WAYS: Final = {
    "long silence": Way("/stream", _long_silence),
    "endless sample": Way("/stream", _endless_sample),
    "large samples": Way("/stream", _large_samples),
    "one pass": Way("/stream", _one_pass),
    "tiny samples": Way("/stream", _tiny_samples),
    "provisional": Way("/stream", _provisional),
    "decide": Way("/decide", _decide_body),
    "decide and leave": Way("/decide", _decide_body, leaves=True),
    "trace": Way("/trace", _trace_body),
}


@contextlib.asynccontextmanager
async def _connection(
    port: int,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _stream(port: int, frames: Sequence[bytes], start: int) -> None:
    """Send frames for ever, and read what comes back."""
    async with _connection(port) as (reader, writer), asyncio.TaskGroup() as tasks:
        writer.write(_HEAD.format(port=port).encode())
        tasks.create_task(_discard(reader))
        await asyncio.sleep(0.001 * start)
        for data in itertools.cycle(frames):
            writer.write(data)
            await writer.drain()


async def _discard(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        pass
    raise ConnectionError


async def _request(port: int, way: Way, body: bytes, start: int) -> None:
    """Send a request and read the response, or leave after a while."""
    async with _connection(port) as (reader, writer):
        head = _POST.format(path=way.path, port=port, length=len(body))
        writer.write(head.encode() + body)
        await writer.drain()
        if way.leaves:
            await asyncio.sleep(0.05 + 0.001 * start)
            return
        while True:
            response = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(response.partition(b"content-length: ")[2].split()[0])
            await reader.readexactly(length)
            writer.write(head.encode() + body)


async def _attack(port: int, way: Way, connections: int) -> None:
    data = list(way.data())

    async def client(number: int) -> None:
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, ExceptionGroup):
                if way.path == "/stream":
                    await _stream(port, data, number)
                else:
                    await _request(port, way, data[0], number)
            await asyncio.sleep(0.1)

    await asyncio.gather(*(client(number) for number in range(connections)))


def _run_attack(port: int, name: str, connections: int) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_attack(port, WAYS[name], connections))


async def _wait_times_ms(port: int, frames: Sequence[bytes], seconds: float) -> list[float]:
    """Send samples one after the other, and return how long each decision took, ms."""
    waits, rng, end_s = [], random.Random(0), time.perf_counter() + seconds
    async with _connection(port) as (reader, writer):
        writer.write(_HEAD.format(port=port).encode())
        await reader.readuntil(b"\r\n\r\n")
        while time.perf_counter() < end_s:
            began_s = time.perf_counter()
            writer.write(rng.choice(frames))
            async with asyncio.timeout(30):
                kind, length = await reader.readexactly(2)
                if length == 126:
                    length = int.from_bytes(await reader.readexactly(2), "big")
                response = await reader.readexactly(length)
            if kind != 0x82 or b"votes" not in response:
                raise CheckError(f"a sample got no decision: {response!r:.200}")
            waits.append(1e3 * (time.perf_counter() - began_s))
            await asyncio.sleep(_PAUSE_S)
    return waits


def _children_cpu_s() -> float:
    """Return the CPU time of all child processes that have ended, s."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(name: str, connections: int, seconds: float, bundle: Path, events: Path) -> Result:
    """Measure a well-behaved client beside costly ones.

    Raises:
        CheckError: It waits too long or gets no decision, or the server grows too much.
    """
    frames = sample_frames(read_spikes(events))
    with ServerProcess(bundle) as server:
        asyncio.run(_wait_times_ms(server.port, frames, 1.0))  # compiles and loads everything
        alone_ms = asyncio.run(_wait_times_ms(server.port, frames, seconds))
        before_mb, began_cpu_s = server.rss_mb(), _children_cpu_s()
        attack = get_context("spawn").Process(
            target=_run_attack, args=(server.port, name, connections), daemon=True
        )
        attack.start()
        time.sleep(1.0)
        try:
            beside_ms = asyncio.run(_wait_times_ms(server.port, frames, seconds))
            growth_mb = server.rss_mb() - before_mb
        except TimeoutError:
            raise CheckError(f"{name}: a decision took more than 30 s") from None
        finally:
            attack.terminate()
            attack.join()
        # Only children that have ended count, so the server, which still runs, does not.
        attack_cpu_s = _children_cpu_s() - began_cpu_s
    alone, beside = quantiles(alone_ms), quantiles(beside_ms)
    if beside.p99 - alone.p99 > _MAX_ADDED_MS or growth_mb > _MAX_GROWTH_MB:
        raise CheckError(
            f"{name}: p99 {alone.p99:.0f} ms alone, {beside.p99:.0f} ms beside; the server grew by "
            f"{growth_mb:.0f} MB; the costly clients used {attack_cpu_s:.1f} s of CPU time"
        )
    return Result(
        name, f"a client beside {connections} costly ones: {name}", "ms from sample to decision",
        "", (
            Line("alone", alone, figures={"samples": float(len(alone_ms))}),
            Line(
                "beside", beside,
                figures={
                    "samples": float(len(beside_ms)), "MB": growth_mb, "attack CPU s": attack_cpu_s,
                },
            ),
        ),
        ("every sample of the well-behaved client got a decision",),
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 1 if a client waits too long."""
    parser = argparse.ArgumentParser("python -m bench.costly_clients", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("ways", nargs="*", metavar="WAY", help=f"of {', '.join(WAYS)}")
    parser.add_argument("--connections", type=int, default=140, metavar="N")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S")
    add_out_option(parser)
    options = parser.parse_args(arguments)
    console, results, is_fine = Console(width=None if sys.stdout.isatty() else 160), [], True
    with (
        shipped_file("digits-unlayered.nab") as bundle,
        shipped_file("digits-test-rate.npz") as events,
    ):
        for name in options.ways or WAYS:
            try:
                result = measure(name, options.connections, options.seconds, bundle, events)
            except CheckError as error:
                print(f"does not hold: {error}", file=sys.stderr)
                is_fine = False
            else:
                print_result(result, console)
                results.append(result)
    if is_fine:
        console.print(f"wrote {save(as_json(results, describe()), options.out)}", highlight=False)
    return 0 if is_fine else 1


if __name__ == "__main__":
    sys.exit(main())
