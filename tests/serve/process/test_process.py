"""``neuroasync serve`` as a process with real sockets: output, exit code and guarantees."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from multiprocessing.context import SpawnProcess

import httpx
import msgspec
import pytest
import websockets.sync.client
from rich.console import Console

from bench.load_generator import frame
from bench.server_guarantees import LoadPlan
from bench.server_process import ServerProcess
from bench.serving import measure
from neuroasync import SpikeTrains, write_bundle, write_spikes
from neuroasync.messages import EventMessage, format_events
from neuroasync.serve.limits import ServerLimits
from neuroasync.serve.process.connection_limits import ConnectionLimits
from neuroasync.serve.process.supervisor import ServerOptions, serve
from tests.helpers.small_networks import chain, sample

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

EMPTY_SAMPLE = frame(b'{"end": true}', 0x81)
"""A frame with a complete sample that has no events."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """Path of a bundle with a small network."""
    path = tmp_path_factory.mktemp("served") / "net.nab"
    write_bundle(chain(), path)
    return path


def request_decision(port, train, query=""):
    """Send a sample over a websocket and return the decision."""
    with websockets.sync.client.connect(f"ws://127.0.0.1:{port}/stream{query}") as client:
        client.send(format_events(EventMessage(train, True)))
        return msgspec.json.decode(client.recv(timeout=30))


def test_load_test_confirms_every_guarantee_at_a_small_size(bundle, tmp_path):
    events = tmp_path / "events.npz"
    write_spikes(SpikeTrains.from_trains([sample(seed=k) for k in range(6)], (12,)), events)
    plan = LoadPlan(bundle, events, 8, 2, 2, seconds=0.5, search_s=0.2, rest_s=7.0, rate=100.0)
    answers = list(measure(plan, Console(quiet=True)))
    assert [a.name for a in answers] == ["hold", "overload", "hostile", "end"]
    assert all(a.checks for a in answers)
    hold = answers[0].lines[0]
    assert hold.figures["samples"] == hold.values.n == 50


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_signal_ends_the_server_with_exit_code_0_and_says_so(bundle, number, workers):
    command = [sys.executable, "-m", "neuroasync", "serve", str(bundle), "--port", "0"]
    process = subprocess.Popen(
        [*command, "--workers", workers], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        line = process.stdout.readline()
        assert line.startswith("serving net at http://127.0.0.1:")
        assert "Ctrl-C" in process.stdout.readline()
        process.send_signal(number)
        rest, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, errors) == (0, "")
    assert rest == "stopping: answering the samples that were accepted\nstopped\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_while_workers_start_ends_them_cleanly(bundle, number, monkeypatch, capfd):
    options = ServerOptions(
        {"net": str(bundle)}, "127.0.0.1", 0, 2, ServerLimits(), ConnectionLimits(), "block", None,
        (), (), 10.0,
    )  # fmt: skip
    start = SpawnProcess.start

    def start_and_signal(process):
        start(process)
        # Like a terminal, which sends a signal to all processes of a group.
        for pid in (process.pid, os.getpid()) if number != signal.SIGTERM else (os.getpid(),):
            os.kill(pid, number)

    monkeypatch.setattr(SpawnProcess, "start", start_and_signal)
    stops = []
    assert serve(options, stops.append, lambda: stops.append("stopping"))
    assert stops == ["stopping"]
    assert capfd.readouterr().err == ""


def test_hang_up_of_the_whole_group_ends_the_server_once_and_nohup_ignores_it(bundle):
    for workers in ("1", "2"):
        with ServerProcess(bundle, "--workers", workers) as server:
            os.killpg(server._process.pid, signal.SIGHUP)
            assert server._process.wait(60) == 0
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ServerProcess(bundle) as server:
            os.killpg(server._process.pid, signal.SIGHUP)
            assert httpx.get(f"http://127.0.0.1:{server.port}/health").status_code == 200
            assert server.end()[0] == 0
    finally:
        signal.signal(signal.SIGHUP, previous)


def test_shutdown_does_not_wait_for_the_rest_of_a_body(bundle):
    with ServerProcess(bundle, "--shutdown-timeout", "30") as server:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(b"POST /decide HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            httpx.get(f"http://127.0.0.1:{server.port}/health")  # The server has read the head.
            code, seconds = server.end()
            assert client.recv(99).startswith(b"HTTP/1.1 503")
        assert code == 0
        assert seconds < 20


def test_silent_connections_do_not_keep_others_out_with_few_open_files(bundle):
    limited = ["sh", "-c", 'ulimit -n 128 && exec "$@"', "sh", sys.executable, "-m", "neuroasync"]
    process = subprocess.Popen(
        [*limited, "serve", str(bundle), "--port", "0"], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        port = int(process.stdout.readline().rpartition(":")[2])
        with contextlib.ExitStack() as stack:
            for _ in range(200):
                with contextlib.suppress(OSError):
                    stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
            assert _becomes_true(lambda: _is_healthy(port))
        process.terminate()
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "allows 64 connections" in errors
    assert errors.count("\n") == 1


def _is_healthy(port):
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
    return False


def _send_until_blocked(server, client):
    """Send samples until the queue is full and the server waits for the client to read."""
    counts = server.counts()
    while True:
        with contextlib.suppress(BlockingIOError):
            client.send(EMPTY_SAMPLE * 1000)
        before, counts = counts, server.counts()
        if counts["samples_waiting"] >= 8 and counts["decisions"] == before["decisions"]:
            return


def test_shutdown_with_a_client_that_reads_nothing_ends_with_exit_code_0(bundle):
    with (
        ServerProcess(
            bundle, "--shutdown-timeout", "2", "--max-messages-per-s", "100000"
        ) as server,
        _silent_client(server.port) as client,
    ):
        client.setblocking(False)
        _send_until_blocked(server, client)
        code, _ = server.end()
        assert code == 0


def test_shutdown_waits_for_the_answer_to_its_close_frame(bundle):
    """Closing earlier would reset a connection whose client sends, and lose unread responses."""
    with ServerProcess(bundle) as server, _silent_client(server.port) as client:
        client.sendall(EMPTY_SAMPLE)
        received = client.recv(1000)
        server._process.send_signal(signal.SIGTERM)
        while b"\x03\xe9the server is shutting down" not in received:
            received += client.recv(1000)
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(60)
        client.sendall(EMPTY_SAMPLE + frame(b"\x03\xe9", 0x88))
        assert client.recv(1) == b""
        assert server._process.wait(30) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_second_signal_stops_waiting_without_a_traceback(bundle, workers, capfd):
    options = ("--shutdown-timeout", "60", "--max-messages-per-s", "100000", "--workers", workers)
    with ServerProcess(bundle, *options) as server, _silent_client(server.port) as client:
        client.setblocking(False)
        _send_until_blocked(server, client)
        server._process.send_signal(signal.SIGINT)
        while "stopping" not in server._process.stdout.readline():
            pass
        server._process.send_signal(signal.SIGINT)
        assert server._process.wait(30) == 0  # The client reads nothing.
    assert "Traceback" not in capfd.readouterr().err


def test_killed_worker_ends_the_server_with_exit_code_1(bundle):
    with ServerProcess(bundle, "--workers", "2") as server:
        os.kill(server._pids()[-1], signal.SIGKILL)
        assert server._process.wait(60) == 1


def test_workers_end_when_their_parent_is_killed(bundle):
    with ServerProcess(bundle, "--workers", "2") as server:
        _, *workers = server._pids()
        server._process.kill()
        server._process.wait()
        for pid in workers:
            _wait_for_end(pid)


def _wait_for_end(pid):
    """Wait until the process has ended, for at most 30 s."""
    watched = os.pidfd_open(pid)
    try:
        assert select.select([watched], [], [], 30)[0], "the process did not end"
    finally:
        os.close(watched)


def test_address_in_use_is_reported_in_one_line(bundle):
    with ServerProcess(bundle, "--workers", "2") as server:
        for workers in ("1", "2"):
            done = subprocess.run(
                [sys.executable, "-m", "neuroasync", "serve", str(bundle), "--port",
                 str(server.port), "--workers", workers],
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert done.returncode == 2
            assert done.stderr == f"error: 127.0.0.1:{server.port}: Address already in use\n"


def test_token_can_be_set_by_an_environment_variable(bundle, monkeypatch):
    monkeypatch.setenv("NEUROASYNC_TOKEN", "secret")
    with ServerProcess(bundle) as server:
        url = f"http://127.0.0.1:{server.port}"
        assert httpx.post(f"{url}/decide", content="{}").status_code == 401
        assert httpx.post(f"{url}/decide?token=secret", content="{}").status_code == 200
        with pytest.raises(websockets.exceptions.InvalidStatus, match="401"):
            request_decision(server.port, sample())
        assert request_decision(server.port, sample(), "?token=secret")["sample"] == 0


def test_refused_handshake_writes_nothing_to_the_log(bundle, capfd):
    with ServerProcess(bundle) as server:
        for query, headers in (("?network=other", {}), ("", {"Origin": "https://example.com"})):
            with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
                websockets.sync.client.connect(
                    f"ws://127.0.0.1:{server.port}/stream{query}", additional_headers=headers
                )
            assert b'"error"' in refused.value.response.body
        assert server.end()[0] == 0
    assert capfd.readouterr().err == ""


def test_too_large_message_closes_its_connection_with_1009(bundle):
    with (
        ServerProcess(bundle, "--max-message-bytes", "1000") as server,
        websockets.sync.client.connect(f"ws://127.0.0.1:{server.port}/stream") as client,
    ):
        client.send(b"x" * 1001)
        with pytest.raises(websockets.exceptions.ConnectionClosedError, match="1009"):
            client.recv(timeout=30)


def test_client_that_reads_nothing_is_disconnected_and_leaves_no_open_file(bundle):
    with ServerProcess(bundle, "--send-timeout", "0.2", "--max-messages-per-s", "100000") as server:
        server.counts()
        before = server.files()
        with _silent_client(server.port) as client, pytest.raises(ConnectionError):
            while True:
                client.sendall(EMPTY_SAMPLE * 1000)
        # The client notices before the server has finished. Requests for metrics open files.
        assert _becomes_true(lambda: server.counts()["sessions_open"] == 0)
        counts = server.counts()
        assert counts['connections_cut_total{reason="slow-reader"}'] == 1
        assert counts["samples_open"] == 0
        assert _becomes_true(lambda: server.files() <= before)


def _becomes_true(condition):
    """Return whether a condition becomes true within 30 seconds."""
    return any(condition() or time.sleep(0.01) for _ in range(3000))


def _silent_client(port):
    """Return the socket of a client that opens a websocket and then reads nothing."""
    client = socket.create_connection(("127.0.0.1", port))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.sendall(
        b"GET /stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    client.settimeout(60)
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += client.recv(1)
    assert answer.startswith(b"HTTP/1.1 101 ")
    return client
