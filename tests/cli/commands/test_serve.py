"""``neuroasync serve``: its arguments are checked before the server starts."""

from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="needs the extra serve")

from neuroasync import write_bundle
from neuroasync.serve.process import supervisor
from neuroasync.shipped import NETWORK_FILES
from tests.helpers.small_networks import chain


@pytest.fixture
def served(monkeypatch):
    """Return the options of the servers that the command starts, which end immediately."""
    started = []

    def serve(options, on_ready, on_stopping):
        started.append(options)
        on_ready("http://127.0.0.1:8000")
        on_stopping()
        return True

    monkeypatch.setattr(supervisor, "serve", serve)
    return started


@pytest.fixture
def bundles(tmp_path, monkeypatch):
    """Write ``net.nab`` in this folder and in two others."""
    monkeypatch.chdir(tmp_path)
    paths = [Path("net.nab"), Path("day/net.nab"), Path("night/net.nab")]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        write_bundle(chain(), path)
    return [str(path) for path in paths]


def test_serve_says_what_it_serves_where_and_that_it_stops(cli, served, bundles):
    result = cli("serve", *bundles[:2])
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "serving net, day/net at http://127.0.0.1:8000",
        "open this address in a browser to watch; press Ctrl-C to stop",
        "stopping: answering the samples that were accepted",
        "stopped",
    ]


def test_serve_without_arguments_has_the_shipped_networks(cli, served):
    assert cli("serve").exit_code == 0
    assert served[0].networks == {name: name for name in NETWORK_FILES}


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["day/net.nab"], ["net"]),
        (["day/net.nab", "night/net.nab"], ["day/net", "night/net"]),
        (["unlayered", "net.nab"], ["unlayered", "net"]),
    ],
)
def test_networks_are_named_like_their_files(cli, served, bundles, arguments, names):
    assert cli("serve", *arguments).exit_code == 0
    assert dict(served[0].networks) == dict(zip(names, arguments, strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["net.nab", "net.nab"], "error: net.nab is given twice"),
        (["unlayered", "unlayered"], "error: unlayered is given twice"),
        (["missing.nab"], "missing.nab"),
        (["net.nab", "unlayred"], "unlayred"),
    ],
)
def test_wrong_networks_are_reported_before_the_server_starts(
    cli, served, bundles, arguments, message
):
    result = cli("serve", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert served == []
