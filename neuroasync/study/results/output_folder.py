"""The folder of a study: what lies where, and whether it goes on there.

::

    study.json        what is studied; the same study goes on, another one is refused
    bundles/          CASE-TRAINING-SEED.nab
    checkpoints/      of the training that is under way
    networks/         CASE-TRAINING-SEED.json: what was measured; .timings.json: how long it took
    recordings/       CASE-TRAINING-SEED-ORDER.npz: one sample under each order, and -own.npz: all
                      held-out samples in the order trained for
    results.json, report.md, report.html, pictures/
    timings.json      wall times, the only numbers that differ from one run to the next
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from neuroasync.core.formats.atomic_write import atomic_file
from neuroasync.errors import NeuroasyncError
from neuroasync.study.design.case import Mode, StudyPlan
from neuroasync.study.results.records import Measured

__all__ = ["Folder", "StudyError"]

_FORMAT: Final = "neuroasync-study-1"


class StudyError(NeuroasyncError, ValueError):
    """A folder is of another study or damaged, or a study found two engines at odds."""


class Folder:
    """A study's folder.

    Args:
        root: made if it is not there.
        plan: the study.
        versions: of what it is made with, by name.

    Raises:
        StudyError: the folder holds something else, another study, or one by other versions; or
            the file system refuses.
    """

    def __init__(self, root: Path, plan: StudyPlan, versions: dict[str, str]) -> None:
        self.root = root
        described = {"format": _FORMAT, "versions": versions, **plan.to_json()}
        # Through JSON and back: tuples become lists, as they will be read.
        expected = json.loads(json.dumps(described))
        path = root / "study.json"
        try:
            if is_known := path.exists():
                _check_same(path, self.read(path), expected)
            elif root.exists() and any(root.iterdir()):
                raise StudyError(
                    f"{str(root)!r}: is not empty and has no study.json; expected a new folder, or "
                    "that of the study that is to go on"
                )
            for name in ("bundles", "checkpoints", "networks", "recordings", "pictures"):
                (root / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(f"{str(root)!r}: {error.strerror or error}") from error
        if not is_known:
            self.write_json(path, expected)

    def bundle(self, name: str) -> Path:
        """Of a network."""
        return self.root / "bundles" / f"{name}.nab"

    def checkpoint(self, name: str) -> Path:
        """Of its training; there while that is under way."""
        return self.root / "checkpoints" / f"{name}.ckpt"

    def recording(self, name: str) -> Path:
        """A recording."""
        return self.root / "recordings" / f"{name}.npz"

    def picture(self, name: str) -> Path:
        """A picture."""
        return self.root / "pictures" / f"{name}.png"

    def timings(self, name: str) -> Path:
        """How long a network took."""
        return self.root / "networks" / f"{name}.timings.json"

    def wall_ms(self, name: str, mode: Mode) -> list[float]:
        """Wall times of a network's decisions in one mode under the chosen rule, ms.

        Raises:
            StudyError: they are missing or damaged.
        """
        path = self.timings(name)
        rows = self.read(path)
        try:
            return next(row["chosen"] for row in rows if _mode_of(row) == mode)
        except (KeyError, TypeError, ValueError, StopIteration) as error:
            measured = str(self._measured(name))
            raise StudyError(
                f"{str(path)!r}: damaged; remove {measured!r} to measure that network anew, which "
                "writes both"
            ) from error

    def all_timings(self, found: Sequence[Measured]) -> dict[str, Any]:
        """Wall times of every network's decisions, by its name."""
        names = [measured.network.name for measured in found]
        return {name: self.read(self.timings(name)) for name in names}

    def measured(self, name: str) -> Measured | None:
        """What was measured of a network, if that is done.

        Raises:
            StudyError: it is damaged.
        """
        path = self._measured(name)
        if not path.exists():
            return None
        value = self.read(path)
        try:
            return Measured.from_json(value)
        except (KeyError, TypeError, ValueError) as error:
            raise StudyError(f"{str(path)!r}: damaged; remove it to measure anew") from error

    def keep(self, measured: Measured) -> None:
        """Write down what was measured of a network."""
        self.write_json(self._measured(measured.network.name), measured.to_json())

    def read(self, path: Path) -> Any:
        """The JSON of a file.

        Raises:
            StudyError: it cannot be read.
        """
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise StudyError(f"{str(path)!r}: {error}; cannot be read") from error

    def write_json(self, path: Path, value: Any) -> None:
        """Write JSON, atomically; the same value gives the same bytes."""
        self.write_text(path, json.dumps(value, allow_nan=False, separators=(",", ":")) + "\n")

    def write_text(self, path: Path, text: str) -> None:
        """Write UTF-8, atomically."""
        with atomic_file(path, StudyError) as file:
            file.write(text.encode())

    def _measured(self, name: str) -> Path:
        return self.root / "networks" / f"{name}.json"


def _mode_of(row: Any) -> Mode:
    return Mode(row["policy"], row["group_size"], row["input"])


def _check_same(path: Path, found: Any, expected: Any) -> None:
    if where := _difference(found, expected, "study"):
        raise StudyError(
            f"{str(path)!r}: of another study; it differs in {where}. Expected a new folder, or "
            "the same command as before"
        )


def _difference(found: Any, expected: Any, where: str) -> str | None:
    """The first place where two JSON values differ, as a path; None if they do not."""
    if isinstance(found, dict) and isinstance(expected, dict):
        pairs = [(f"{where}.{k}", found.get(k), expected.get(k)) for k in {**expected, **found}]
    elif isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        both = zip(found, expected, strict=True)
        pairs = [(f"{where}[{k}]", one, other) for k, (one, other) in enumerate(both)]
    else:
        return None if found == expected else f"{where} ({found!r:.60} there, {expected!r:.60} now)"
    return next((d for place, a, b in pairs if (d := _difference(a, b, place))), None)
