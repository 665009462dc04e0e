"""``neuroasync watch`` writes the decisions of a recording as text or JSON, or one error."""

import asyncio
import json
import re
from dataclasses import replace

import pytest

from neuroasync.cli.commands.watch.event_input import InputOptions, event_input
from neuroasync.cli.exit_codes import CliError
from neuroasync.shipped import shipped_bundle
from neuroasync.sources import View
from tests.helpers.watched_recording import NETWORK, RECORDING, streamed, watched

LINE = re.compile(r" *\d+\.\d{3} s +\d  .{20}  +[\d.]+k? events/s(  outside [\d,]+)?")


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
