"""Files that ``neuroasync train`` writes."""

from pathlib import Path
from typing import TYPE_CHECKING

from neuroasync.cli.exit_codes import CliError
from neuroasync.cli.output_paths import check_output

if TYPE_CHECKING:
    from neuroasync.cli.commands.train.run_file import RunFile
    from neuroasync.core.formats.bundle import Bundle

__all__ = ["check_outputs", "write_outputs"]


def check_outputs(
    path: Path, checkpoint: Path | None, resume: bool, run: "RunFile", config: Path | None
) -> Path:
    """Return the path of the configuration to write beside the bundle.

    Raises:
        CliError: A file cannot be written, or would replace another one of the run. It is better
            to learn this before the training than after it.
    """
    inputs = [name for key in ("train", "validation", "from") if (name := run.text(key))]
    files = inputs if config is None else [*inputs, str(config)]
    check_output(path, *files)
    written = path.with_suffix(".toml")
    if written == path:
        raise CliError(
            f"{str(path)!r}: the name of the bundle must not end in .toml, because the "
            "configuration is written under that name"
        )
    check_output(written, *inputs)
    if checkpoint is not None:
        states = [checkpoint, Path(f"{checkpoint}.all")] if run.flag("all_data") else [checkpoint]
        for state in states:
            check_output(state, path, written, *files)
    elif resume:
        raise CliError("--resume also requires --checkpoint FILE")
    return written


def write_outputs(bundle: "Bundle", path: Path, used: "RunFile", written: Path) -> None:
    """Write the bundle, and the configuration beside it unless that file was the input."""
    from neuroasync import __version__
    from neuroasync.cli.commands.train.run_file import is_kept, write_run_file
    from neuroasync.core.formats.bundle import write_bundle

    write_bundle(bundle, path)
    if not is_kept(used, written):
        write_run_file(used, written, __version__)
