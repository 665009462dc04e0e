"""Fuzz one reader, or all of them one after the other.

python -m tests.fuzzing bundle --seconds 600      guided by atheris (Linux)
python -m tests.fuzzing all --mutants 100000      the same mutants in every run
python -m tests.fuzzing bundle --input FILE       read one file that a run has kept
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from tests.fuzzing.guided import run_guided


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        "python -m tests.fuzzing", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("target", help="name of a target of tests/fuzzing/targets.py, or all")
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--seconds", type=int, help="fuzz with guidance for so long")
    mode.add_argument("--mutants", type=int, help="read so many mutants")
    mode.add_argument("--input", type=Path, help="read this file")
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--folder", type=Path, default=Path(".fuzzing"), help="where inputs go")
    options = parser.parse_args()
    if options.seconds is not None and options.target != "all":
        run_guided(options.target, options.seconds, options.folder)
        return
    from tests.fuzzing.targets import TARGETS

    names = list(TARGETS) if options.target == "all" else [options.target]
    for name in names:
        if missing := TARGETS[name].missing():
            print(f"{name}: skipped, because {missing} is not installed")
        elif options.seconds is not None:  # a guided run ends its process
            arguments = ["--seconds", str(options.seconds), "--folder", str(options.folder)]
            subprocess.run([sys.executable, "-m", "tests.fuzzing", name, *arguments], check=True)
        else:
            _read(TARGETS[name], options)


def _read(target, options) -> None:
    from tests.fuzzing.blind import run_mutants
    from tests.fuzzing.guard import Guard

    if options.input is not None:
        guard = Guard(target)
        guard.check(options.input.read_bytes())
        print(f"{target.name}: {'accepted' if guard.accepted else 'refused'}")
        return
    start_s = time.perf_counter()
    guard = run_mutants(target, options.first, options.mutants)
    seconds = time.perf_counter() - start_s
    print(
        f"{target.name}: {options.mutants} mutants in {seconds:.0f} s, {guard.accepted} accepted, "
        f"{guard.refused} refused with a documented error",
        flush=True,
    )


if __name__ == "__main__":
    main()
