"""``neuroasync watch`` in a process on a terminal, until the stream ends or Ctrl-C."""

import asyncio
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time

import pytest

from neuroasync import SpikeTrain
from neuroasync.sources import send_udp
from tests.helpers.watched_recording import NETWORK, SHAPE, watched

posix = pytest.mark.skipif(os.name != "posix", reason="needs pseudo-terminals and POSIX signals")


def in_terminal(*args, until=None, meanwhile=lambda: None):
    """Run the command on a terminal; return its exit code and its output.

    If ``until`` is given, press Ctrl-C once it was written.
    """
    terminal, end = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "neuroasync", *map(str, args)],
        stdout=end, stderr=end, env=os.environ | {"COLUMNS": "80"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    os.close(end)
    text, is_interrupted, began_s = b"", False, time.monotonic()
    try:
        while True:
            assert time.monotonic() - began_s < 120, f"the command has not ended: {text}"
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
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_silent_udp_port_is_announced_and_summarised_after_ctrl_c(options):
    code, text = in_terminal("watch", NETWORK, "--udp", "0", *options, until=b"listening on ")
    assert code == 130
    assert re.fullmatch(
        r"(note: compiling .*\r\n)?listening on 127\.0\.0\.1:\d+\r\n"
        r"(\^C)?(note: )?no window has ended\r\n",
        text,
    )


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

    code, text = in_terminal("watch", NETWORK, "--udp", port, until=b"events/s", meanwhile=send)
    assert code == 130
    assert "Traceback" not in text
    assert "error" not in text
    assert re.search(r"\d+ windows? of 50 ms, [\d,]+ events; ", text)
