"""The output folder of a study, and how an interrupted study continues in it.

::

    study.json        the study; the same study continues here, another one is rejected
    study.lock        exists while a process runs the study
    bundles/          CASE-TRAINING-SEED.nab
    checkpoints/      of the training in progress
    networks/         CASE-TRAINING-SEED.json: measurements; .timings.json: wall times
    recordings/       CASE-TRAINING-SEED-POLICY.npz: one sample under each ordering policy;
                      -own.npz: all held-out samples under the policy that was trained for
    results.json, report.md, report.html, pictures/
    timings.json      wall times, the only numbers that differ from one run to the next
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from neuroasync.core.formats.atomic_write import atomic_file
from neuroasync.core.formats.bounded_open import path_problem
from neuroasync.core.formats.bundle import Bundle, read_bundle
from neuroasync.core.formats.file_lock import lock_file
from neuroasync.core.recording.file import read_recording
from neuroasync.core.recording.recording import Recording
from neuroasync.errors import BundleError, NeuroasyncError, RecordingError
from neuroasync.study.design.case import Mode, StudyPlan
from neuroasync.study.results.records import Measurement

__all__ = ["OutputFolder", "StudyError", "locked_folder"]

_FORMAT: Final = "neuroasync-study-1"
_LOCK: Final = "study.lock"


class StudyError(NeuroasyncError, ValueError):
    """The folder is in use, damaged or of another study, or two engines gave different results."""


@contextmanager
def locked_folder(root: Path) -> Iterator[None]:
    """Keep other processes from running a study in a folder, which is created if necessary.

    Raises:
        StudyError: Another process runs a study there, or the file system reports an error.
    """
    if (reason := path_problem(str(root))) is not None:
        raise StudyError(f"{str(root)!r}: cannot be a folder, because {reason}")
    if root.exists() and not root.is_dir():
        raise StudyError(f"{str(root)!r}: must be a folder, but is a file")
    with _named_errors(root):
        root.mkdir(parents=True, exist_ok=True)
    with lock_file(root / _LOCK, root, StudyError, "running a study in this folder"):
        yield


class OutputFolder:
    """The output folder of a study.

    Args:
        root: Path of the folder; created if it does not exist.
        plan: The study.
        versions: Versions of the packages that the study runs with, by name.

    Raises:
        StudyError: The folder holds something else, another study, or the same study made with
            other versions; or the file system reports an error.
    """

    def __init__(self, root: Path, plan: StudyPlan, versions: dict[str, str]) -> None:
        self.root = root
        described = {"format": _FORMAT, "versions": versions, **plan.to_json()}
        # The round trip through JSON turns tuples into lists, as the file will be read.
        expected = json.loads(json.dumps(described))
        path = root / "study.json"
        with _named_errors(root):
            if path.exists():
                _check_same(path, _read_json(path, "use a new folder"), expected)
            else:
                if root.exists() and any(entry.name != _LOCK for entry in root.iterdir()):
                    raise StudyError(
                        f"{str(root)!r} is not empty and has no study.json; use a new folder, or "
                        "the folder of the study to continue"
                    )
                root.mkdir(parents=True, exist_ok=True)
                self.write_json(path, expected)
            for name in ("bundles", "checkpoints", "networks", "recordings", "pictures"):
                (root / name).mkdir(exist_ok=True)

    def bundle(self, name: str) -> Path:
        """Return the path of the bundle of a network."""
        return self.root / "bundles" / f"{name}.nab"

    def checkpoint(self, name: str) -> Path:
        """Return the path of a training checkpoint, which exists while the network is trained."""
        return self.root / "checkpoints" / f"{name}.ckpt"

    def recording(self, name: str) -> Path:
        """Return the path of a recording."""
        return self.root / "recordings" / f"{name}.npz"

    def read_bundle(self, name: str) -> Bundle:
        """Read the bundle of a network.

        Raises:
            StudyError: The file is damaged.
        """
        try:
            return read_bundle(self.bundle(name))
        except BundleError as error:
            raise StudyError(f"{error}; remove this file to train the network again") from error

    def check_bundle(self, name: str, measurement: Measurement) -> None:
        """Check that the bundle of a network holds the weights that were measured.

        Raises:
            StudyError: It holds others, or the file is damaged.
        """
        if self.read_bundle(name).digest.hex() != measurement.network.bundle_digest:
            raise StudyError(
                f"{str(self.bundle(name))!r} is not the network that was measured; remove this "
                "file to train the network again"
            )

    def read_recording(self, network: str, policy: str, *, stopped: bool = False) -> Recording:
        """Read the recording of one sample under an ordering policy.

        Args:
            network: Name of the network.
            policy: The policy.
            stopped: Whether the chosen stop rule ended the sample.

        Raises:
            StudyError: The file is missing or damaged.
        """
        name = f"{network}-{policy}-stopped" if stopped else f"{network}-{policy}"
        try:
            return read_recording(self.recording(name))
        except RecordingError as error:
            raise StudyError(f"{error}; {self._how_to_measure_again(network)}") from error

    def figure(self, name: str) -> Path:
        """Return the path of a figure."""
        return self.root / "pictures" / f"{name}.png"

    def timings(self, name: str) -> Path:
        """Return the path of the wall times of a network."""
        return self.root / "networks" / f"{name}.timings.json"

    def wall_ms(self, name: str, mode: Mode) -> list[float]:
        """Read the wall times of the decisions of a network in one mode with the chosen rule, ms.

        Raises:
            StudyError: The file is missing or damaged.
        """
        path, advice = self.timings(name), self._how_to_measure_again(name)
        rows = _read_json(path, advice)
        try:
            return next(row["chosen"] for row in rows if _mode_of(row) == mode)
        except (KeyError, TypeError, ValueError, StopIteration) as error:
            raise StudyError(f"{str(path)!r} is damaged; {advice}") from error

    def all_timings(self, measurements: Sequence[Measurement]) -> dict[str, Any]:
        """Read the wall times of the decisions of every network, by its name.

        Raises:
            StudyError: A file is missing or damaged.
        """
        names = [measurement.network.name for measurement in measurements]
        return {
            name: _read_json(self.timings(name), self._how_to_measure_again(name)) for name in names
        }

    def measurement(self, name: str) -> Measurement | None:
        """Read the measurement of a network, or return None if it is not finished.

        Raises:
            StudyError: The file is damaged.
        """
        path = self._measurement(name)
        if not path.exists():
            return None
        advice = "remove it to measure the network again"
        value = _read_json(path, advice)
        try:
            return Measurement.from_json(value)
        except (KeyError, TypeError, ValueError) as error:
            raise StudyError(f"{str(path)!r} is damaged; {advice}") from error

    def write_measurement(self, measurement: Measurement) -> None:
        """Write the measurement of a network."""
        self.write_json(self._measurement(measurement.network.name), measurement.to_json())

    def write_json(self, path: Path, value: Any) -> None:
        """Write a JSON file atomically; the same value gives the same bytes."""
        self.write_text(path, json.dumps(value, allow_nan=False, separators=(",", ":")) + "\n")

    def write_text(self, path: Path, text: str) -> None:
        """Write a UTF-8 file atomically."""
        with atomic_file(path, StudyError) as file:
            file.write(text.encode())

    def _measurement(self, name: str) -> Path:
        return self.root / "networks" / f"{name}.json"

    def _how_to_measure_again(self, name: str) -> str:
        measured = str(self._measurement(name))
        return f"remove {measured!r} to measure the network again, which writes all its files"


def _read_json(path: Path, advice: str) -> Any:
    """Read a JSON file; an error ends with the advice."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise StudyError(f"{str(path)!r} cannot be read: {reason}; {advice}") from error


@contextmanager
def _named_errors(root: Path) -> Iterator[None]:
    """Turn errors of the file system inside the block into StudyErrors that name the folder."""
    try:
        yield
    except OSError as error:
        raise StudyError(f"{str(root)!r}: {error.strerror or error}") from error


def _mode_of(row: Any) -> Mode:
    return Mode(row["policy"], row["group_size"], row["input"])


def _check_same(path: Path, stored: Any, expected: Any) -> None:
    if difference := _difference(stored, expected, "study"):
        raise StudyError(
            f"{str(path)!r} describes another study; it differs in {difference}. Use a new folder, "
            "or the same command as before"
        )


def _difference(stored: Any, expected: Any, location: str) -> str | None:
    """Return the path of the first difference between two JSON values, or None if equal."""
    if isinstance(stored, dict) and isinstance(expected, dict):
        pairs = [
            (f"{location}.{k}", stored.get(k), expected.get(k)) for k in {**expected, **stored}
        ]
    elif isinstance(stored, list) and isinstance(expected, list) and len(stored) == len(expected):
        both = zip(stored, expected, strict=True)
        pairs = [(f"{location}[{k}]", one, other) for k, (one, other) in enumerate(both)]
    elif stored == expected:
        return None
    else:
        return f"{location} ({stored!r:.60} in the file, {expected!r:.60} in this command)"
    return next((d for place, a, b in pairs if (d := _difference(a, b, place))), None)
