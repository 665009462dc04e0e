"""Configuration files of ``neuroasync train``: what a run trains, and on which data.

A configuration file is TOML. Its keys are the names of options; the table ``training`` holds fields
of :class:`neuroasync.train.TrainConfig`, which replace those of the recipe::

    dataset = "digits"
    recipe = "unlayered-random"

    [training]
    epochs = 12
    lr = 0.002

Relative paths start at the folder of the file. TOML has no null, so the text ``"none"`` stands for
None.
"""

import json
import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from neuroasync.cli.exit_codes import CliError
from neuroasync.core.formats.atomic_write import atomic_file
from neuroasync.core.formats.bounded_open import open_bounded
from neuroasync.core.model.checks import did_you_mean, must_be, printable, shown
from neuroasync.errors import NeuroasyncError
from neuroasync.shipped import NETWORK_FILES

__all__ = ["RunFile", "check_kept", "check_utf8", "is_kept", "read_run_file", "write_run_file"]

_MAX_BYTES: Final = 2**20
_PATHS: Final = ("train", "validation", "data", "from")
_NONE: Final = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFile:
    """The content of a configuration file.

    Attributes:
        path: The file, for errors; empty if there is none.
        options: Value of each option that is set, by the key in the file.
        training: Fields of ``TrainConfig`` that replace those of the recipe.
    """

    path: str = ""
    options: Mapping[str, str | bool] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)

    def text(self, key: str) -> str | None:
        """Return the value of an option with text, or None if it is not set."""
        value = self.options.get(key)
        return value if isinstance(value, str) else None

    def flag(self, key: str) -> bool:
        """Return whether an option without a value is set."""
        return self.options.get(key) is True

    def with_options(self, options: Mapping[str, str | bool | None]) -> "RunFile":
        """Return a copy in which the options that are not None replace those of the file."""
        given = {key: value for key, value in options.items() if value is not None}
        return replace(self, options={**self.options, **given})


def read_run_file(path: Path, choices: Mapping[str, tuple[str, ...] | type]) -> RunFile:
    """Read a configuration file.

    Args:
        path: The file.
        choices: For each key: the values that it may have, or the type of its value.

    Raises:
        CliError: The file is missing or not TOML, a key is unknown, or a value is wrong. The
            message names the file and the key. The values in ``training`` are not checked.
    """
    with open_bounded(str(path), _MAX_BYTES, _RunFileError) as (file, _):
        data = file.read()
    name = str(path)
    try:
        content = tomllib.loads(data.decode("utf-8-sig"))  # some editors write a mark first
    except (ValueError, RecursionError) as error:
        raise CliError(f"{name!r} is not a TOML file: {error}") from error
    training = content.pop("training", {})
    if not isinstance(training, dict):
        raise CliError(f"{name!r}: {must_be('training', 'a table', shown(training))}")
    for key, value in content.items():
        _check(name, key, value, choices)
    at = path.parent
    options = {key: _from_folder(at, key, value) for key, value in content.items()}
    values = {key: None if value == _NONE else value for key, value in training.items()}
    return RunFile(path=name, options=options, training=values)


class _RunFileError(NeuroasyncError):
    """A configuration file cannot be read or written."""


def _check(
    name: str, key: str, value: object, choices: Mapping[str, tuple[str, ...] | type]
) -> None:
    """Raise CliError unless the key is known and its value is allowed."""
    if key not in choices:
        raise CliError(
            f"{name!r}: `{printable(key)}` is an unknown key{did_you_mean(key, choices) or ';'} "
            f"the keys are {', '.join(choices)} and the table training; settings such as epochs, "
            "keep and shift belong in that table"
        )
    allowed = choices[key]
    if isinstance(allowed, type):
        if type(value) is not allowed:
            expected = "text" if allowed is str else "true or false"
            raise CliError(f"{name!r}: {must_be(key, expected, shown(value))}")
    elif value not in allowed:
        expected = f"one of {', '.join(allowed)}"
        hint = did_you_mean(value, allowed)
        raise CliError(f"{name!r}: {must_be(key, expected, shown(value))}{hint}")


def _from_folder(folder: Path, key: str, value: str | bool) -> str | bool:
    """Return a path as seen from the current folder; other values stay as they are."""
    if not isinstance(value, str) or not _is_path(key, value):
        return value
    return os.path.join(folder, value)  # Path() would turn "./name" into the name of a network.


def _is_path(key: str, value: str) -> bool:
    return key in _PATHS and not (key == "from" and value in NETWORK_FILES)


def is_kept(run: RunFile, written: Path) -> bool:
    """Return whether the configuration to write is the file that was read, which stays as it is."""
    return bool(run.path) and written.exists() and written.samefile(run.path)


def check_utf8(run: RunFile) -> None:
    """Check that a configuration file can hold the options of a run.

    Raises:
        CliError: A value is no valid Unicode, such as the name of a file in another encoding.
    """
    for key, value in run.options.items():
        try:
            str(value).encode()
        except UnicodeEncodeError as error:
            requirement = "text that UTF-8 can encode, because it is written to the configuration"
            raise CliError(must_be(key, requirement, shown(value))) from error


def check_kept(file: RunFile, run: RunFile, training: Mapping[str, Any], written: Path) -> None:
    """Check that the file repeats the run, if no other configuration will be written.

    Args:
        file: The file as it was read, or an empty configuration.
        run: The same with the options of the command line.
        training: The fields of ``TrainConfig`` that the command line sets.
        written: Path of the configuration to write.

    Raises:
        CliError: Options change what the file says.
    """
    if not is_kept(file, written):
        return
    is_changed = {**file.training, **training} != file.training
    if is_changed or _normalized(run.options) != _normalized(file.options):
        raise CliError(
            f"{file.path!r} would not repeat this run, because options change it; choose another "
            "-o, so that the new configuration is written beside the new bundle"
        )


def _normalized(options: Mapping[str, str | bool]) -> dict[str, str | bool]:
    """Return options such that those of equal runs are equal."""
    return {
        key: os.path.abspath(value) if isinstance(value, str) and _is_path(key, value) else value
        for key, value in options.items()
        if value is not False
    }


def write_run_file(run: RunFile, path: Path, version: str) -> None:
    """Write a configuration file, with paths that start at its folder.

    Args:
        run: What to write.
        path: File to write; an existing file is replaced.
        version: Version of the package.

    Raises:
        NeuroasyncError: The file cannot be written.
    """
    lines = [f"# From neuroasync {version}. `neuroasync train --config FILE` repeats this run."]
    for key, value in run.options.items():
        if isinstance(value, str) and _is_path(key, value) and not os.path.isabs(value):
            value = os.path.relpath(value, path.parent)
            value = value if _is_path(key, value) else os.path.join(".", value)
        lines.append(f"{key} = {_toml(value)}")
    lines += ["", "[training]", *(f"{key} = {_toml(v)}" for key, v in run.training.items()), ""]
    with atomic_file(path, _RunFileError) as file:
        file.write("\n".join(lines).encode())


def _toml(value: object) -> str:
    """Return a value as TOML."""
    if value is None:
        return f'"{_NONE}"'
    if isinstance(value, str):
        # A string of JSON is one of TOML, except that TOML also escapes the last control character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value:f}"
    return repr(value)
