"""``python -m bench``: ask the questions, print tables, save a JSON file and pictures."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.answer import Answer, CheckError, Question, Scale, Unavailable
from bench.machine import describe
from bench.pairing import run_in_loop
from bench.plots import draw
from bench.questions import (
    activity,
    engines,
    frameworks,
    lateness,
    many,
    neurons,
    policies,
    sessions,
    sizes,
    start,
)
from bench.report import as_json, print_answer, save

__all__ = ["QUESTIONS", "main"]

QUESTIONS: Final[dict[str, Question]] = {
    module.__name__.rpartition(".")[2]: module.ask
    for module in (
        engines, frameworks, policies, sizes, neurons, activity, lateness, sessions, start, many,
    )
}  # fmt: skip
FULL: Final = Scale(rounds=50, calls=40, seconds=10.0)
QUICK: Final = Scale(rounds=5, calls=20, seconds=1.0, quick=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    asked = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 160)
    machine, answers = describe(), []
    for name in asked.only or QUESTIONS:
        try:
            answer: Answer = run_in_loop(QUESTIONS[name](QUICK if asked.quick else FULL))
        except Unavailable as missing:
            console.print(f"{name}: left out: {missing}\n", markup=False)
            continue
        except CheckError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        print_answer(answer, console)
        answers.append(answer)
    path = save(as_json(answers, machine), asked.out)
    for written in (path, *draw(answers, path.parent, path.stem)):
        console.print(f"wrote {written}", highlight=False)
    return 0


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
