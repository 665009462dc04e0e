"""What the shell completes in the place of a network, of samples, and of a stop rule."""

from collections.abc import Iterable
from pathlib import Path

__all__ = ["network_names", "sample_names"]


def network_names(incomplete: str) -> list[str]:
    """Return the shipped networks and the bundles whose name or path begins so."""
    from neuroasync.shipped import NETWORK_FILES

    return [*_beginning(incomplete, NETWORK_FILES), *_files(incomplete, ".nab")]


def sample_names(incomplete: str) -> list[str]:
    """Return the shipped samples and the ``.npz`` files whose name or path begins so."""
    from neuroasync.shipped import SAMPLE_FILES

    return [*_beginning(incomplete, SAMPLE_FILES), *_files(incomplete, ".npz")]


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _files(incomplete: str, suffix: str) -> list[str]:
    """Return the paths of files with this suffix that begin with ``incomplete``, sorted."""
    head, slash, _ = incomplete.rpartition("/")
    try:
        found = [f"{head}{slash}{path.name}" for path in Path(head + slash or ".").iterdir()]
    except (OSError, ValueError):
        return []
    return sorted(_beginning(incomplete, (path for path in found if path.endswith(suffix))))
