"""``neuroasync study``: train networks and measure them under every ordering policy."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from neuroasync.cli.data_options import (
    DataOption,
    DatasetName,
    TestFileOption,
    TopologyOption,
    TrainFileOption,
    ValidationFileOption,
    check_user_files,
    user_files,
)
from neuroasync.cli.exit_codes import CliError, report_line, require_packages
from neuroasync.cli.options import JsonOption
from neuroasync.cli.output import echo_json
from neuroasync.cli.output_paths import check_folder
from neuroasync.cli.progress import progress
from neuroasync.cli.tables import echo, key_value_table

if TYPE_CHECKING:
    from neuroasync.cluster import Cluster
    from neuroasync.datasets.user_data import UserFiles
    from neuroasync.study import Case

__all__ = ["study"]

_SEEDS: Final = 3
_QUICK_SEEDS: Final = 2
_PROGRESS_TOTAL: Final = 1000
"""Length of the progress bar of a study."""

SetsArgument = Annotated[
    list[DatasetName] | None,
    typer.Argument(
        metavar="[DATASET]...", show_default=False,
        help="Data sets, see `neuroasync encode`. Default: the data sets that ship with "
        "neuroasync, complete or in part; with --quick, three of them.",
    ),
]  # fmt: skip
OutOption = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="DIR",
        help="Folder for all results; created if it does not exist. If the study was interrupted, "
        "the same command continues it there.",
    ),
]  # fmt: skip
QuickOption = Annotated[
    bool,
    typer.Option(
        "--quick",
        help="Use fewer samples, epochs and seeds. Takes about 5 minutes on 2 cores.",
    ),
]
RegimesOption = Annotated[
    bool,
    typer.Option(
        "--regimes", help="Study in which regimes training for an ordering policy matters, with "
        "the cases of neuroasync.study.design.regimes instead of the data sets.",
    ),
]  # fmt: skip
SeedsOption = Annotated[
    int | None,
    typer.Option(
        "--seeds", min=1, max=1000, metavar="N", show_default=False,
        help=f"Train every network with the seeds 0 to N-1. Default: {_SEEDS}; with --quick, "
        f"{_QUICK_SEEDS}.",
    ),
]  # fmt: skip
RayOption = Annotated[
    str | None,
    typer.Option(
        "--ray", metavar="ADDRESS", show_default=False,
        help="Train and measure several networks at a time on a Ray cluster: local starts one on "
        "this machine; auto or HOST:PORT connects to one that this machine belongs to. Default: "
        "train and measure one network after the other here, without Ray.",
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
    ray: RayOption = None,
    json: JsonOption = False,
) -> None:
    """Train networks and report on them under every ordering policy.

    \b
    Examples:
      neuroasync study --quick
      neuroasync study digits spoken-digits --seeds 5 -o out
      neuroasync study --train my-train.npz --test my-test.npz --topology \\
        "timestep_us=1000; input 64; hidden d32; output d10"
      neuroasync study --ray auto

    Writes results.json, report.md, report.html, figures, recordings and the trained bundles. After
    an interruption with Ctrl-C, the same command continues the study with the same results.
    """  # noqa: D301  # \b keeps the line breaks of the examples
    user_data = user_files(train, validation, test)
    check_user_files(user_data, dataset=datasets or regimes, data=data)
    if user_data is None and topology is not None:
        raise CliError("--topology also requires --train FILE")
    if user_data is not None and topology is None:
        raise CliError("--train also requires --topology TEXT")
    if user_data is not None and user_data.test is None:
        raise CliError("--train also requires --test FILE, with the samples to measure on")
    if regimes and (datasets or quick):
        raise CliError("--regimes cannot be combined with a DATASET or --quick")
    check_folder(output)
    on_cluster = () if ray is None else (("ray", "ray", "--ray"),)
    require_packages(
        ("torch", "train", "training"), ("matplotlib", "viz", "the report"), *on_cluster
    )
    from neuroasync.datasets.files import data_folder
    from neuroasync.study import StudyPlan, run_study

    try:
        cases = _cases([name.value for name in datasets or ()], quick, regimes, user_data, topology)
        count = seeds or (_QUICK_SEEDS if quick else _SEEDS)
        folder = None if user_data is not None else data_folder(data)
        plan = StudyPlan(
            cases, tuple(range(count)), None if folder is None else str(folder.resolve())
        )
        with (
            _connected(ray) as cluster,
            _told_if_interrupted(output),
            progress("study", _PROGRESS_TOTAL) as advance,
        ):
            run_study(
                plan,
                output,
                lambda share, activity: advance(round(share * _PROGRESS_TOTAL), activity),
                cluster=cluster,
            )
    except (ImportError, ValueError, FloatingPointError) as error:
        raise CliError(str(error)) from error
    names = ("report.md", "report.html", "results.json", "timings.json")
    if json:
        echo_json({"written": [str(output / name) for name in names]})
        return
    echo(key_value_table([("written", output / name) for name in names]))


@contextmanager
def _told_if_interrupted(output: Path) -> Iterator[None]:
    """Tell what is kept if Ctrl-C ends the block."""
    try:
        yield
    except KeyboardInterrupt:
        trained = len(list((output / "bundles").glob("*.nab")))
        networks = "1 trained network" if trained == 1 else f"{trained} trained networks"
        report_line(
            f"interrupted: {networks} and all finished measurements are kept in {str(output)!r}; "
            "the same command continues the study"
        )
        raise


def _connected(address: str | None) -> "AbstractContextManager[Cluster | None]":
    """Return the Ray cluster at an address, which connects inside ``with``."""
    if address is None:
        return nullcontext()
    from neuroasync.cluster import Cluster

    try:
        return Cluster(address)
    except ValueError as error:
        raise CliError(str(error).replace("`address`", "--ray")) from error


def _cases(
    names: list[str],
    quick: bool,
    regimes: bool,
    user_data: "UserFiles | None",
    topology: str | None,
) -> "tuple[Case, ...]":
    """Return the cases that the options select."""
    from neuroasync.study.design.builtin_cases import CASES, DEFAULT, QUICK, quick_case, user_case
    from neuroasync.study.design.regimes import REGIMES

    if regimes:
        return REGIMES
    if user_data is not None and topology is not None:
        cases = [user_case(user_data, topology)]
    else:
        cases = [CASES[name] for name in names or (QUICK if quick else DEFAULT)]
    return tuple(map(quick_case, cases)) if quick else tuple(cases)
