"""``python -m bench``: ask the questions, print tables, save a JSON file and pictures."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
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
    sizes,
    startup,
)
from bench.report import as_json, print_answer, save
from bench.result import Answer, CheckError, Question, Scale

__all__ = ["QUESTIONS", "main"]

QUESTIONS: Final[dict[str, Question]] = {
    module.__name__.rpartition(".")[2]: module.ask
    for module in (
        engines, frameworks, policies, sizes, idle_neurons, activity,
        event_loop_lateness, real_time_passes, sessions, startup, all_cores,
    )
}  # fmt: skip
FULL: Final = Scale(rounds=50, calls=40, seconds=10.0)
QUICK: Final = Scale(rounds=5, calls=20, seconds=1.0, quick=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 1 if a check failed or a package is missing."""
    asked = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 160)
    try:
        machine = describe()
        answers = _ask(asked.only or list(QUESTIONS), QUICK if asked.quick else FULL, console)
        path = save(as_json(answers, machine), asked.out)
        for written in (path, *draw(answers, path.parent, path.stem)):
            console.print(f"wrote {written}", highlight=False)
    except ModuleNotFoundError as missing:
        print(f"{missing}: pip install -c constraints.txt -e '.[bench]'", file=sys.stderr)
        return 1
    except CheckError as error:
        print(f"results differ: {error}", file=sys.stderr)
        return 1
    return 0


def _ask(names: Sequence[str], scale: Scale, console: Console) -> list[Answer]:
    answers = []
    for name in names:
        try:
            answers.append(run_in_loop(QUESTIONS[name](scale)))
        except CheckError as error:
            raise CheckError(f"{name}: {error}") from error
        print_answer(answers[-1], console)
    return answers


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about a minute: small n, wide tails")
    parser.add_argument("--only", nargs="+", choices=QUESTIONS, metavar="QUESTION",
                        help=f"ask these of {', '.join(QUESTIONS)}")  # fmt: skip
    results = Path(__file__).parent / "results"
    parser.add_argument("--out", type=Path, default=results, help="folder of the results")
    return parser


if __name__ == "__main__":
    sys.exit(main())
