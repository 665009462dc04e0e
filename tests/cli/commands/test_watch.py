"""``neuroasync watch`` shows the decisions of a stream on a terminal, in a file and in a pipe."""

import asyncio
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import serve

from neuroasync import Decision, Network, SpikeTrain
from neuroasync.cli.commands.watch.command import show_windows
from neuroasync.cli.commands.watch.display import (
    JsonDisplay,
    LineDisplay,
    Losses,
    TerminalDisplay,
    WindowReport,
)
from neuroasync.cli.commands.watch.event_input import EventInput, InputOptions, event_input
from neuroasync.cli.commands.watch.windows import WindowMeter
from neuroasync.cli.exit_codes import CliError
from neuroasync.core.formats.spike_file import read_spikes
from neuroasync.messages import EventMessage, format_events
from neuroasync.runtime.clock import ManualClock, VirtualClock
from neuroasync.runtime.counts import Counts
from neuroasync.shipped import shipped_bundle
from neuroasync.sources import CameraFileSource, SpikeFileSource, UdpSource, View, send_udp
from neuroasync.sources.counts import SourceCounts
from tests.helpers.paths import ROOT

RECORDING = ROOT / "tests" / "data" / "camera" / "dvs.es"
NETWORK = "nmnist-unlayered"
SHAPE = (2, 34, 34)
LINE = re.compile(r" *\d+\.\d{3} s +\d  .{20}  +[\d.]+k? events/s(  outside [\d,]+)?")
posix = pytest.mark.skipif(os.name != "posix", reason="needs pseudo-terminals and POSIX signals")


def watched(*args):
    """Return a command line that watches the recording."""
    return ("watch", NETWORK, "--camera", RECORDING, "--speed", "inf", *args)


async def streamed(window_us=50_000, **options):
    """Return the decisions of the recording by a session."""
    async with (
        Network(shipped_bundle(NETWORK)) as network,
        network.session(**options) as session,
        CameraFileSource(RECORDING, SHAPE) as source,
    ):
        stream = session.stream(source, window=f"time({window_us})")
        return [decision async for decision in stream]


def decision(votes=(0, 7, 2), name="one"):
    """Return a decision with these votes."""
    label = int(np.argmax(votes)) if any(votes) else None
    return Decision(
        label=label, class_name=None if label is None else name, votes=np.array(votes),
        stopped=False, t_us=0, passes=1, steps=1, rounds=1, spikes={"out": 9}, input_events=5,
        synops=3, first_spike=None, first_led={}, undelivered=0, wall_s=0.0015,
    )  # fmt: skip


def report(end_us=1_250_000, events=2_500, losses=None, **options):
    return WindowReport(decision(**options), end_us, events, 50_000, losses or Losses())


def test_piped_text_has_a_line_for_each_window_and_a_summary(cli):
    result = cli(*watched())
    assert (result.exit_code, result.stderr) == (0, "")
    *lines, summary = result.stdout.splitlines()
    assert len(lines) == 20
    assert all(LINE.fullmatch(line) for line in lines)
    assert lines[-1].startswith("    1.000 s ")
    assert summary.startswith("20 windows of 50 ms, 27,855 events; class ")
    assert summary.endswith("; 1,734 events outside the view")


@pytest.mark.parametrize("window", ["20ms", "0.05s"])
def test_json_lines_are_the_decisions_of_a_session(cli, window):
    lines = cli(*watched("--json", "--window", window, "--until", "margin(2)")).stdout.splitlines()
    window_us = {"20ms": 20_000, "0.05s": 50_000}[window]
    expected = asyncio.run(streamed(window_us, until="margin(2)"))
    messages = [json.loads(line) for line in lines]
    assert [message["sample"] for message in messages] == list(range(len(expected)))
    assert [message["votes"] for message in messages] == [d.votes.tolist() for d in expected]
    assert [message["label"] for message in messages] == [d.label for d in expected]


def test_json_tells_losses_on_stderr(cli):
    assert cli(*watched("--json")).stderr == "note: 1,734 events outside the view\n"


def test_speed_changes_no_decision(cli):
    fast, paced = (
        cli(*watched("--json", "--window", "200ms", "--speed", speed)).stdout
        for speed in ("inf", "1e6")
    )
    without_times = [re.sub(r'"latency_ms":[\d.]+', "", text) for text in (fast, paced)]
    assert without_times[0] == without_times[1]
    assert fast.count("\n") == 5


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (["watch", NETWORK], "give one of --camera, --udp and --websocket"),
        (["watch", NETWORK, "--udp", "1", "--camera", RECORDING], "give one of --camera, --udp"),
        (["watch", NETWORK, "--udp", "x"], "--udp must be PORT or HOST:PORT with a port from 0 to"),
        (["watch", NETWORK, "--udp", "70000"], "with a port from 0 to 65535, got '70000'"),
        (["watch", NETWORK, "--udp", "no.such.host.invalid:1"], "cannot listen there"),
        (["watch", NETWORK, "--camera", "no.raw"], "'no.raw': cannot be read: No such file"),
        (["watch", NETWORK, "--websocket", "x"], "'x' is not a websocket address ("),
        (watched("--window", "50"), "must be a whole number of µs with a unit"),
        (watched("--window", "0ms"), "must be at least 1 µs"),
        (watched("--view", "1,2"), "--view must be X,Y,BINNING, such as 100,60,4, got '1,2'"),
        (watched("--view", "1,2,0"), "--view: `binning` must be an integer from 1 to 65535"),
        (watched("--view", "9000,0,1"), "the network sees none of the 29,589 events; choose"),
        (watched("--sensor", "640"), "--sensor must be 2 integers such as 640x480, got '640'"),
        (watched("--sensor", "20x20"), "sees 34 x 34 pixels, but the sensor has only 20 x 20\n"),
        (watched("--until", "x"), "must be"),
        (watched("--speed", "0"), "--speed must be above 0, got 0"),
        (watched("--speed", "nan"), "--speed must be above 0, got nan"),
        (watched("--sensor", "640,480"), "got '640,480'; did you mean '640x480'?"),
        (watched("--packet-format", "spif"), "--packet-format applies to --udp only"),
        (["watch", NETWORK, "--udp", "1", "--packet-format", "spiff"], "did you mean 'spif'?"),
        (["watch", NETWORK, "--udp", "1", "--speed", "2"], "--speed applies to --camera only"),
        (["watch", NETWORK, "--websocket", "ws://x", "--view", "0,0,1"],
         "--view applies to --camera and --udp only"),
        (["watch", NETWORK, "--websocket", "ws://x", "--sensor", "9x9"],
         "--sensor applies to --camera and --udp only"),
        (["watch", NETWORK, "--websocket", "http://x"], "'http://x' is not a websocket address ("),
    ],
    ids=lambda value: "-".join(map(str, value[2:]))[-40:] if isinstance(value, list) else None,
)  # fmt: skip
def test_bad_input_gives_one_line_of_error(cli, args, error):
    result = cli(*args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert error in result.stderr
    assert result.stderr.count("\n") == 1


def test_network_without_an_image_as_input_is_refused_for_a_camera():
    model = replace(shipped_bundle("unlayered").model, input_shape=(64,))
    with pytest.raises(
        CliError, match=r"net expects an input of shape \(64,\), but a camera sends"
    ):
        event_input(InputOptions(camera=str(RECORDING)), model, "net")


def test_sensor_centres_the_view_of_udp_packets():
    model = shipped_bundle(NETWORK).model
    events = event_input(InputOptions(udp=("127.0.0.1", 0), sensor=(640, 480)), model, "net")
    assert events.source._view == View(82, 2, 14)


def test_line_shows_time_label_votes_rate_and_losses():
    assert str(report()) == ("    1.250 s     one    7 votes,   5 ahead   50.0k events/s")
    losses = Losses.of(
        SourceCounts(outside=1200, late=2, dropped=1, malformed=4, clock_jumps=1),
        Counts(late=3, dropped=5),
    )
    assert str(report(votes=(0, 0, 0), events=0, losses=losses)) == (
        "    1.250 s       -  no vote                    0 events/s"
        "  outside 1,200, late 5, dropped 6, malformed 4, clock jumps 1"
    )


@pytest.mark.parametrize(
    ("events", "rate"),
    [(0, "0"), (49, "980"), (50, "1.00k"), (625, "12.5k"), (49_970, "999k"), (60_000, "1.20M"),
     (10**9, "20.0G"), (10**12, "20000G")],
)  # fmt: skip
def test_rates_have_three_digits_and_a_unit(events, rate):
    assert f" {rate} events/s" in str(report(events=events))


def test_names_of_classes_cannot_drive_the_terminal(capsys):
    LineDisplay().show(report(name="a\x1b[2Jb\nc"))
    assert "a\\x1b[2Jb" in (text := capsys.readouterr().out)
    assert text.count("\n") == 1


def test_single_vote_window_and_event_have_no_plural(capsys):
    assert "    1 vote,    1 ahead   20 events/s" in str(report(votes=(0, 1, 0), events=1)).replace(
        "      20", "   20"
    )
    display = LineDisplay()
    display.show(report(events=1))
    display.finish(Losses())
    assert capsys.readouterr().out.endswith("\n1 window of 50 ms, 1 event; class one: 1 window\n")


def test_summary_counts_labels_and_windows_without_a_vote(capsys):
    display = LineDisplay()
    for votes in ((0, 1, 0), (0, 0, 0), (0, 3, 0)):
        display.show(report(votes=votes))
    display.finish(Losses())
    assert capsys.readouterr().out.splitlines()[-1] == (
        "3 windows of 50 ms, 7,500 events; class one: 2 windows, no vote: 1"
    )


@pytest.mark.parametrize(
    ("display", "shown"),
    [
        (LineDisplay(), ("no window has ended; 3 malformed\n", "")),
        (TerminalDisplay(), ("no window has ended; 3 malformed\n", "")),
        (JsonDisplay(), ("", "note: no window has ended; 3 malformed\n")),
    ],
)  # fmt: skip
def test_summary_without_a_window_says_so(display, shown, capsys):
    display.finish(Losses(malformed=3))
    assert capsys.readouterr() == shown


def test_losses_are_told_in_words():
    assert str(Losses(1, 2000, 3, 4, 5, 1)) == (
        "1 event outside the view, 2,000 events late, 3 events dropped, 4 events refused, "
        "5 malformed, 1 clock jump"
    )


@posix
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_silent_udp_port_is_announced_and_summarised_after_ctrl_c(options):
    code, text = in_terminal("watch", NETWORK, "--udp", "0", *options, until=b"listening on ")
    assert code == 130
    assert re.fullmatch(
        r"(note: compiling .*\r\n)?listening on 127\.0\.0\.1:\d+\r\n"
        r"(\^C)?(note: )?no window has ended\r\n",
        text,
    )


def test_terminal_line_never_wraps_and_ends_with_the_last_window(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    times = iter([0.0, 0.01, 0.02])  # Only the first window is drawn at once.
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    display = TerminalDisplay()
    for k in range(3):
        display.show(report(end_us=k * 1_000_000))
    display.finish(Losses())
    drawn = capsys.readouterr().out.split("\r")
    assert [line[:11] for line in drawn[1:]] == ["    0.000 s", "    2.000 s"]
    assert all(line.split("\x1b")[0].endswith("  one") for line in drawn[1:])


@pytest.mark.parametrize(
    ("width", "end"),
    [
        (8, "1.25"), (19, "one"), (40, "one"), (41, "ahead"), (57, "ahead"), (58, "events/s"),
    ],
)  # fmt: skip
def test_line_that_is_too_narrow_shows_whole_fields(width, end):
    assert report().line(width).endswith(end)
    assert len(report().line(width)) <= width


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


def in_terminal(*args, until=None, meanwhile=lambda: None):
    """Run the command on a terminal; return its exit code and what it has written.

    If ``until`` is given, press Ctrl-C once it was written.
    """
    terminal, end = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "neuroasync", *map(str, args)],
        stdout=end, stderr=end, env=os.environ | {"COLUMNS": "80"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    os.close(end)
    text, is_interrupted = b"", False
    try:
        while True:
            meanwhile()
            if not select.select([terminal], [], [], 0.02)[0]:
                continue
            try:
                text += os.read(terminal, 4096)
            except OSError:  # A terminal reports in this way that its other end was closed.
                break
            if until is not None and not is_interrupted and until in text:
                is_interrupted = True
                process.send_signal(signal.SIGINT)
        return process.wait(timeout=60), text.decode()
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


@posix
def test_terminal_shows_one_line_that_is_updated():
    code, text = in_terminal(*watched())
    assert code == 0
    status, summary, rest = text.split("\r\n")
    assert rest == ""
    drawn = status.removesuffix("\x1b[K").split("\x1b[K\r")
    assert drawn[-1].startswith("    1.000 s ")
    assert all(len(line.strip("\r")) < 80 for line in drawn)
    assert summary.startswith("20 windows of 50 ms, ")


@posix
def test_ctrl_c_ends_a_udp_stream_quietly_with_its_summary():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def send():
        asyncio.run(send_udp([SpikeTrain([0], [5])], SHAPE, "127.0.0.1", port, timestamps=False))

    code, text = in_terminal(
        "watch", NETWORK, "--udp", port, until=b"events/s", meanwhile=lambda: send()
    )
    assert code == 130
    assert "Traceback" not in text
    assert "error" not in text
    assert re.search(r"\d+ windows? of 50 ms, [\d,]+ events; ", text)


def test_encoded_recording_has_the_windows_that_are_watched(cli, tmp_path):
    path = tmp_path / "windows.npz"
    result = cli("encode", RECORDING, "--shape", "2x34x34", "-o", path)
    assert result.exit_code == 0
    assert "1,734 events outside the view" in result.stdout
    spikes = read_spikes(path)
    expected = asyncio.run(streamed())
    assert (spikes.shape, spikes.labels) == (SHAPE, None)
    assert [len(train) for train in spikes] == [d.input_events for d in expected]
    assert all(train.t_us[-1] < 50_000 for train in spikes)


def test_encoded_recording_has_the_name_of_the_recording(cli, tmp_path):
    assert cli("encode", RECORDING, "--shape", "1x8x8", "--window", "100ms").exit_code == 0
    assert len(read_spikes(tmp_path / "dvs.npz")) == 10


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (["digts"], "'digts' is neither a data set nor a file; did you mean 'digits'? data sets:"),
        ([RECORDING], "--shape is required for a recording: the input shape of the network"),
        ([RECORDING, "--shape", "34x34"], "--shape must be 3 integers such as 2x34x34"),
        ([RECORDING, "--shape", "3x34x34"], "`shape` must be an input shape (2, H, W)"),
        ([RECORDING, "--shape", "2x34x34", "--data", "x"], "--data applies to a data set only"),
        ([RECORDING, "--shape", "2x9x9", "--coding", "rate"], "--coding applies to a data set"),
        ([RECORDING, "--shape", "2x9x9", "--window", "1 h"], "must be a whole number of µs"),
        ([RECORDING, "--shape", "2x9x9", "--view", "999,0,1"], "none of the 29,589 events"),
        (["digits", "--window", "50ms"], "--window applies to a recording only"),
        (["digits", "--sensor", "9x9"], "--sensor applies to a recording only"),
        ([__file__, "--shape", "2x9x9"], "the file must be a recording in AEDAT4"),
    ],
)  # fmt: skip
def test_encode_tells_what_is_wrong(cli, tmp_path, args, error):
    result = cli("encode", *args, "-o", tmp_path / "out.npz")
    assert (result.exit_code, result.stdout) == (2, "")
    assert error in result.stderr
    assert not (tmp_path / "out.npz").exists()
