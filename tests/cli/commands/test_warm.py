"""``neuroasync warm`` compiles everything that the other commands call, and says where it is."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import httpx
import msgpack
import pytest

from neuroasync.cli.commands import warm as command
from neuroasync.core.compilation_log import compilation_log
from neuroasync.core.kernels.jit import counts
from neuroasync.serve import create_app
from neuroasync.shipped import shipped_bundle


def used() -> int:
    """Return how many functions this process has loaded or compiled so far."""
    return counts.loaded + counts.compiled


def test_other_commands_use_no_kernel_that_warm_does_not_use(cli, tmp_path):
    asyncio.run(command._use_all_kernels())
    before = used()
    for policy in ("layer-sync", "random", "momentum", "fifo"):
        cli(
            "run", "queued", "digits", "--samples", ":3", "--policy", policy, "--until", "margin(2)"
        )
    cli("run", "unlayered", "digits", "--samples", ":3", "--engine", "coroutines")
    cli("run", "unlayered", "digits", "--samples", ":3", "--record", tmp_path / "run.npz")
    cli("replay", tmp_path / "run.npz", "--bundle", "unlayered")
    cli("explain", tmp_path / "run.npz", "--bundle", "unlayered")
    cli("verify", "unlayered")
    assert used() == before


async def test_server_uses_no_kernel_that_warm_does_not_use():
    await command._use_all_kernels()
    before = used()
    app = create_app(shipped_bundle("unlayered"))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://server") as client,
    ):
        events = {"t_us": [0, 100, 2000], "index": [1, 2, 3]}
        for path, body in (("/decide", events), ("/trace", {"events": events})):
            response = await client.post(path, json=body)
            assert response.status_code == 200, response.text
        headers = {"Content-Type": "application/msgpack"}
        response = await client.post("/decide", content=msgpack.packb(events), headers=headers)
        assert response.status_code == 200, response.text
    assert used() == before


def test_every_command_shows_a_note_if_kernels_are_compiled(cli, capsys, monkeypatch):
    monkeypatch.setattr(compilation_log, "handlers", [])
    cli("inspect", "unlayered")
    compilation_log.info("compiling")
    assert capsys.readouterr().err == "note: compiling\n"


def run_warm(*args: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process, in which kernels are not used but only counted."""
    script = (
        "import sys\n"
        "from neuroasync.cli import main\n"
        "from neuroasync.cli.commands import warm\n"
        "async def use():\n"
        "    import numpy as np\n"
        "    from neuroasync.core.kernels.voting import leader\n"
        "    leader(np.zeros((8, 3), np.int64))\n"
        "warm._use_all_kernels = use\n"
        f"sys.argv = ['neuroasync', 'warm', *{args}]\n"
        "main()\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("args", [(), ("--target", "portable")])
def test_warm_fills_the_chosen_folder_once(tmp_path, args):
    first = run_warm(*args, NUMBA_CACHE_DIR=str(tmp_path))
    again = run_warm(*args, NUMBA_CACHE_DIR=str(tmp_path))
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.startswith("compiled ")
    assert f"saved in {tmp_path}" in first.stdout
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.startswith(f"nothing to compile: all functions were loaded from {tmp_path}")


def test_warm_for_this_processor_does_not_take_portable_code(tmp_path):
    run_warm("--target", "portable", NUMBA_CACHE_DIR=str(tmp_path))
    native = run_warm(NUMBA_CACHE_DIR=str(tmp_path))
    assert native.stdout.startswith("compiled ")


def test_unwritable_cache_is_refused_before_anything_is_compiled(tmp_path, cli, monkeypatch):
    from neuroasync.core.kernels import jit

    monkeypatch.setattr(jit, "cache_folders", lambda: (Path("/a"), Path("/b")))
    monkeypatch.setattr(jit, "is_writable", lambda folder: False)
    result = cli("warm")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: compiled code cannot be saved in /a or /b; set NUMBA_CACHE_DIR to a folder that "
        "can be written\n"
    )
