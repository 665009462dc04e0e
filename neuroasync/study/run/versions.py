"""Versions of the packages that determine the results of a study."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from neuroasync.study.results.output_folder import StudyError

__all__ = ["check_versions", "package_versions"]

_PACKAGES: Final = ("neuroasync", "numpy", "numba", "torch")


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that are installed here, by name."""
    return {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}}


def check_versions(expected: dict[str, str]) -> None:
    """Check that a worker has the versions that the study runs with.

    Raises:
        StudyError: It has others.
    """
    installed = package_versions()
    for name, expected_version in expected.items():
        if installed[name] != expected_version:
            raise StudyError(
                f"the machine {platform.node()!r} has {name} {installed[name]}, but the study runs "
                f"with {expected_version}; install the same versions on all machines of the cluster"
            )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # a source tree that is not installed
        return "unknown"
