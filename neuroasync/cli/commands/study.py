"""``neuroasync study``: what asynchrony does to trained networks, measured."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from neuroasync.cli.commands.train import check_torch
from neuroasync.cli.exit_codes import CliError
from neuroasync.cli.options import DataOption, DatasetName
from neuroasync.cli.output_paths import check_folder
from neuroasync.cli.progress import progress
from neuroasync.cli.tables import echo, key_value_table
from neuroasync.cli.user_data_options import (
    TestFileOption,
    TopologyOption,
    TrainFileOption,
    ValidationFileOption,
    check_user_files,
    user_files,
)

if TYPE_CHECKING:
    from neuroasync.datasets.user_data import UserFiles
    from neuroasync.study import Case

__all__ = ["study"]

_SEEDS: Final = 3
_QUICK_SEEDS: Final = 2
_PROGRESS_TOTAL: Final = 1000
"""Of the progress bar, for a whole study."""

SetsArgument = Annotated[
    list[DatasetName] | None,
    typer.Argument(
        metavar="[DATASET]...", show_default=False,
        help="Data sets, see `neuroasync encode`. Default: those that ship, in part or whole; of "
        "a quick study, three of them.",
    ),
]  # fmt: skip
OutOption = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="DIR",
        help="Folder for everything, made if it is not there. The same command goes on in it.",
    ),
]  # fmt: skip
QuickOption = Annotated[
    bool,
    typer.Option(
        "--quick", help="Fewer samples, epochs and seeds: some 5 minutes on 2 cores. Default: all."
    ),
]
RegimesOption = Annotated[
    bool,
    typer.Option(
        "--regimes", help="Where does training for an order matter? Runs the table of "
        "neuroasync.study.design.regimes. Default: the data sets.",
    ),
]  # fmt: skip
SeedsOption = Annotated[
    int | None,
    typer.Option(
        "--seeds", min=1, max=1000, metavar="N", show_default=False,
        help=f"Train everything with seeds 0 to N-1. Default: {_SEEDS}, of a quick study "
        f"{_QUICK_SEEDS}.",
    ),
]  # fmt: skip


def study(
    datasets: SetsArgument = None,
    quick: QuickOption = False,
    regimes: RegimesOption = False,
    seeds: SeedsOption = None,
    data: DataOption = None,
    train: TrainFileOption = None,
    validation: ValidationFileOption = None,
    test: TestFileOption = None,
    topology: TopologyOption = None,
    output: OutOption = Path("neuroasync-study"),
) -> None:
    """Train networks, run them under every order, and report.

    \b
    Examples:
      neuroasync study --quick
      neuroasync study digits spoken-digits --seeds 5 -o out
      neuroasync study --train my-train.npz --test my-test.npz --topology \\
        "timestep_us=1000; input 64; hidden d32; output d10"

    Writes results.json, report.md, report.html, pictures, recordings and the trained bundles.
    After Ctrl-C, the same command goes on where it was, and ends with the same results.
    """  # noqa: D301  # \b keeps the examples' lines
    own = user_files(train, validation, test)
    check_user_files(own, topology, dataset=datasets or regimes, data=data)
    if own is not None and own.test is None:
        raise CliError("--train: expected --test FILE with it, to measure on")
    if regimes and (datasets or quick):
        raise CliError("--regimes: expected neither a DATASET nor --quick with it")
    check_folder(output)
    _check_extras()
    from neuroasync.datasets.files import data_folder
    from neuroasync.study import StudyPlan, run_study

    try:
        cases = _cases([name.value for name in datasets or ()], quick, regimes, own, topology)
        count = seeds or (_QUICK_SEEDS if quick else _SEEDS)
        folder = None if own is not None else data_folder(data)
        plan = StudyPlan(
            cases, tuple(range(count)), None if folder is None else str(folder.resolve())
        )
        with progress("study", _PROGRESS_TOTAL) as advance:
            run_study(plan, output, lambda part, what: advance(round(part * _PROGRESS_TOTAL), what))
    except (ImportError, ValueError, FloatingPointError) as error:
        raise CliError(str(error)) from error
    names = ("report.md", "report.html", "results.json", "timings.json")
    echo(key_value_table([("written", output / name) for name in names]))


def _check_extras() -> None:
    """Raise CliError unless torch and matplotlib are installed."""
    check_torch()
    try:
        import neuroasync.plot  # noqa: F401
    except ImportError as error:
        raise CliError(
            "the report's pictures need matplotlib: install neuroasync with its extra 'viz'"
        ) from error


def _cases(
    names: list[str], quick: bool, regimes: bool, own: "UserFiles | None", topology: str | None
) -> "tuple[Case, ...]":
    """What is asked for."""
    from neuroasync.study.design.builtin_cases import CASES, DEFAULT, QUICK, own_case, quickly
    from neuroasync.study.design.regimes import REGIMES

    if regimes:
        return REGIMES
    if own is not None and topology is not None:
        cases = [own_case(own, topology)]
    else:
        cases = [CASES[name] for name in names or (QUICK if quick else DEFAULT)]
    return tuple(map(quickly, cases)) if quick else tuple(cases)
