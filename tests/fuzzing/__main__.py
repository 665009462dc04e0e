"""Fuzz one reader, or all of them one after the other.

::

    python -m tests.fuzzing bundle --seconds 600     # guided by atheris (Linux)
    python -m tests.fuzzing all --mutants 100000     # the same mutants in every run
    python -m tests.fuzzing bundle --input FILE      # one file that a run has kept
    python -m tests.fuzzing bundle --choose          # a corpus from what guided runs have kept
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from tests.fuzzing.guided import run_guided


def main() -> None:
    """Parse the command line and run."""
    options = _parser().parse_args()
    if options.seconds is not None and options.target != "all":
        run_guided(options.target, options.seconds, options.folder)
        return
    # A guided run imports the package itself, so that it can instrument it.
    from tests.fuzzing.targets import TARGETS

    names = list(TARGETS) if options.target == "all" else [options.target]
    for name in names:
        if missing := TARGETS[name].missing():
            print(f"{name}: skipped, because {missing} is not installed")
        elif options.seconds is not None:  # a guided run ends its process
            arguments = ["--seconds", str(options.seconds), "--folder", str(options.folder)]
            subprocess.run([sys.executable, "-m", "tests.fuzzing", name, *arguments], check=True)
        elif options.choose:
            _choose(TARGETS[name], options.folder / name)
        elif options.input is not None:
            _read(TARGETS[name], options.input)
        else:
            _run_mutants(TARGETS[name], options.first, options.mutants)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m tests.fuzzing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", help="name of a target of tests/fuzzing/targets.py, or all")
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--seconds", type=int, help="fuzz with guidance for so long")
    mode.add_argument("--mutants", type=int, help="read so many mutants")
    mode.add_argument("--input", type=Path, help="read this file")
    mode.add_argument("--choose", action="store_true", help="write the corpus in tests/")
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--folder", type=Path, default=Path(".fuzzing"), help="where inputs go")
    return parser


def _choose(target, kept: Path) -> None:
    from tests.fuzzing.choose import chosen
    from tests.fuzzing.corpus_files import read_corpus, write_corpus

    inputs = [path.read_bytes() for path in kept.glob("*")]
    write_corpus(target.name, corpus := chosen(target, [*inputs, *read_corpus(target.name)]))
    print(f"{target.name}: chose {len(corpus)} of {len(inputs)} inputs")


def _read(target, path: Path) -> None:
    from tests.fuzzing.guard import Guard

    guard = Guard(target)
    accepted = guard.accepted
    guard.check(path.read_bytes())
    print(f"{target.name}: {'accepted' if guard.accepted > accepted else 'refused'}")


def _run_mutants(target, first: int, count: int) -> None:
    from tests.fuzzing.blind import run_mutants

    start_s = time.perf_counter()
    guard = run_mutants(target, first, count)
    seconds = time.perf_counter() - start_s
    print(
        f"{target.name}: {count} mutants in {seconds:.0f} s, {guard.accepted} accepted, "
        f"{guard.refused} refused with a documented error",
        flush=True,
    )


if __name__ == "__main__":
    main()
