"""``python -m bench``: answer the questions, print tables, and save a JSON file and figures."""

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from rich.console import Console

from bench.environment import describe
from bench.paired_timing import run_in_loop
from bench.plots import draw
from bench.questions import (
    activity,
    all_cores,
    engines,
    event_loop_lateness,
    frameworks,
    idle_neurons,
    policies,
    real_time_passes,
    sessions,
    single_events,
    sizes,
    startup,
)
from bench.report import add_out_option, as_json, print_result, save
from bench.result import CheckError, Question, Result, Scale

__all__ = ["QUESTIONS", "main"]

QUESTIONS: Final[dict[str, Question]] = {
    "engines": engines.measure,
    "frameworks": frameworks.measure,
    "policies": policies.measure,
    "sizes": sizes.measure,
    "neurons": idle_neurons.measure,
    "activity": activity.measure,
    "lateness": event_loop_lateness.measure,
    "pace": real_time_passes.measure,
    "sessions": sessions.measure,
    "events": single_events.measure,
    "start": startup.measure,
    "many": all_cores.measure,
}
"""Each question by the name that ``--only`` takes."""
FULL: Final = Scale(rounds=50, calls=40, seconds=10.0)
QUICK: Final = Scale(rounds=5, calls=20, seconds=1.0, quick=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    The status is 1 if a check failed or a package is missing.
    """
    options = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 160)
    try:
        machine = describe()
        results = _measure(
            options.only or list(QUESTIONS), QUICK if options.quick else FULL, console
        )
        path = save(as_json(results, machine), options.out)
        for written in (path, *draw(results, path.parent, path.stem)):
            console.print(f"wrote {written}", highlight=False)
    except ModuleNotFoundError as missing:
        print(f"{missing}: pip install -c constraints.txt -e '.[bench]'", file=sys.stderr)
        return 1
    except CheckError as error:
        print(f"results differ: {error}", file=sys.stderr)
        return 1
    return 0


def _measure(names: Sequence[str], scale: Scale, console: Console) -> list[Result]:
    results = []
    for name in names:
        try:
            results.append(run_in_loop(QUESTIONS[name](scale)))
        except CheckError as error:
            raise CheckError(f"{name}: {error}") from error
        print_result(results[-1], console)
    return results


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="run about a minute, with few calls and wide tails"
    )
    parser.add_argument("--only", nargs="+", choices=QUESTIONS, metavar="QUESTION",
                        help=f"measure only these of {', '.join(QUESTIONS)}")  # fmt: skip
    add_out_option(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
