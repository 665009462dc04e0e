"""The environment of a benchmark: machine (as pyperf describes it), versions and commit."""

import importlib.metadata
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import neuroasync

__all__ = ["describe"]

_PACKAGES: Final = (
    "numpy", "numba", "uvloop", "torch", "snntorch", "norse", "spikingjelly", "sinabs", "pyperf",
    "scikit-learn",
)  # fmt: skip
_KEYS: Final = (
    "cpu_model_name", "cpu_count", "cpu_affinity", "cpu_freq", "cpu_config", "load_avg_1min",
    "platform", "python_version", "python_compiler",
)  # fmt: skip


def describe() -> dict[str, str]:
    """Return a description of machine, versions, commit and date; unknown entries are absent.

    Raises:
        ModuleNotFoundError: pyperf is not installed; it is part of the extra ``bench``.
    """
    import pyperf

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "machine.json")
        command = [sys.executable, "-m", "pyperf", "collect_metadata", "-o", path]
        subprocess.run(command, check=True, capture_output=True)
        metadata = pyperf.Benchmark.load(path).get_metadata()
    known = {key: str(metadata[key]) for key in _KEYS if key in metadata}
    return known | _versions() | {"date": datetime.now(UTC).isoformat(timespec="seconds")}


def _versions() -> dict[str, str]:
    versions = {"neuroasync": neuroasync.__version__, "commit": _commit()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _commit() -> str:
    """Return the commit of the checkout, followed by ``+`` if files differ from it."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit, changes = (
            subprocess.run([*git, *rest], check=True, capture_output=True, text=True).stdout
            for rest in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit.strip() + ("+" if changes.strip() else "")
