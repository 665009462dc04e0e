"""``neuroasync watch`` reads a websocket or packets, and counts the events of its windows."""

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import serve

from neuroasync import Network, SpikeTrain
from neuroasync.cli.commands.watch.command import show_windows
from neuroasync.cli.commands.watch.display import LineDisplay, TerminalDisplay
from neuroasync.cli.commands.watch.event_input import EventInput, InputOptions, event_input
from neuroasync.cli.commands.watch.windows import WindowMeter
from neuroasync.cli.exit_codes import CliError
from neuroasync.messages import EventMessage, format_events
from neuroasync.runtime.clock import ManualClock, VirtualClock
from neuroasync.shipped import shipped_bundle
from neuroasync.sources import SpikeFileSource, UdpSource, send_udp
from tests.helpers.watched_recording import NETWORK, SHAPE


@given(
    st.lists(st.lists(st.integers(0, 2_000), max_size=20), min_size=1, max_size=8),
    st.integers(1, 300),
)
def test_meter_counts_the_events_of_each_window(chunks, window_us):
    times = sorted(t for chunk in chunks for t in chunk)
    trains, at = [], 0
    for chunk in chunks:
        trains.append(SpikeTrain(times[at : at + len(chunk)], [0] * len(chunk)))
        at += len(chunk)

    async def chunks_of():
        for train in trains:
            yield train

    async def read():
        meter = WindowMeter(chunks_of(), window_us)
        return meter, [len(chunk) async for chunk in meter]

    meter, sizes = asyncio.run(read())
    assert sizes == [len(train) for train in trains]
    assert meter.events == len(times)
    if times:
        for window in range(times[0] // window_us, times[-1] // window_us + 1):
            inside = sum(t // window_us == window for t in times)
            assert meter.take() == ((window + 1) * window_us, inside)


async def test_websocket_stream_is_shown_until_it_ends(capsys):
    model = shipped_bundle(NETWORK).model
    train = read_back()

    async def send(connection):
        await connection.send(format_events(EventMessage(train, end=True)))
        await connection.wait_closed()

    async with serve(send, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        events = event_input(InputOptions(websocket=f"ws://127.0.0.1:{port}"), model, NETWORK)
        await show_windows(Network(shipped_bundle(NETWORK)), events, 100_000, LineDisplay())
    shown = capsys.readouterr()
    *lines, summary = shown.out.splitlines()
    assert [line.split()[0] for line in lines] == ["0.100", "0.200", "0.300", "0.400"]
    assert summary.startswith(f"4 windows of 100 ms, {len(train):,} events; ")
    assert shown.err == f"connected to ws://127.0.0.1:{port}\n"


def read_back():
    """Return 0.35 s of events of all pixels."""
    t_us = np.arange(0, 350_000, 100)
    return SpikeTrain(t_us, t_us // 100 % 2312)


class Ending(TerminalDisplay):
    """A display that ends the watch after some windows."""

    def __init__(self, windows, event):
        super().__init__()
        self.ends = []
        self._windows, self._event = windows, event

    def show(self, report):
        super().show(report)
        self.ends.append(report.end_us)
        if len(self.ends) == self._windows:
            self._event.set()


async def test_silent_udp_stream_shows_windows_by_the_clock(no_leaks, capsys):
    clock, done = ManualClock(), asyncio.Event()
    source = UdpSource(SHAPE, clock=clock)
    display = Ending(3, done)
    events = EventInput(source, clock, source.counts)
    network = Network(shipped_bundle(NETWORK), clock=clock)
    watching = asyncio.create_task(show_windows(network, events, 50_000, display))
    while source.address[1] == 0:
        await asyncio.sleep(0)
    await send_udp([SpikeTrain([0], [5])], SHAPE, *source.address)
    while not source.counts.accepted:
        await asyncio.sleep(0)
    while not done.is_set():
        await clock.advance(10_000)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
    assert display.ends[:3] == [50_000, 100_000, 150_000]
    assert " of 50 ms, 1 event; " in capsys.readouterr().out


async def test_stream_without_an_event_is_an_error(tmp_path):
    class Silent(SpikeFileSource):
        async def _next(self):
            return None

        async def _open(self):
            pass

    source = Silent(tmp_path / "none.npz")
    events = EventInput(source, VirtualClock(), source.counts)
    with pytest.raises(CliError, match="the stream ended without an event"):
        await show_windows(Network(shipped_bundle(NETWORK)), events, 50_000, LineDisplay())
