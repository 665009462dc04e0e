"""Fixtures: a small network with its input, and a function that calls the command line."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from neuroasync import write_bundle, write_spikes
from neuroasync.cli.app import app
from neuroasync.cli.commands.warm import _use_all_kernels
from neuroasync.core.kernels import jit
from neuroasync.shipped import NETWORKS
from tests.helpers.cli_files import Files, golden_bundle, some_trains

Invoke = Callable[..., Result]


@pytest.fixture(scope="session", autouse=True)
def _compiled_kernels() -> None:
    """Compile the kernels first, so that no command writes a note about that to stderr."""
    jit._DiskCache._has_announced = True  # Kernels of the trainer may still be compiled.
    asyncio.run(_use_all_kernels())


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A bundle and a spike file in a temporary folder."""
    write_bundle(golden_bundle(), tmp_path / "net.nab")
    write_spikes(some_trains(), tmp_path / "events.npz")
    return Files(tmp_path / "net.nab", tmp_path / "events.npz", tmp_path)


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Invoke:
    """Call the command line in this process. It may fail, but not with a traceback."""
    monkeypatch.chdir(tmp_path)

    def invoke(*args: object) -> Result:
        result = CliRunner().invoke(app, [str(arg) for arg in args])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Replace the shipped networks and samples by small ones."""
    folder = tmp_path_factory.mktemp("shipped")
    for k, name in enumerate(NETWORKS):
        policy = "layer-sync" if name.startswith("layered") else "random"
        write_bundle(golden_bundle(seed=k, policy=policy), folder / f"digits-{name}.nab")
    write_spikes(some_trains(), folder / "digits-test-rate.npz")
    monkeypatch.setattr("neuroasync.shipped._FOLDER", folder)
    return folder
