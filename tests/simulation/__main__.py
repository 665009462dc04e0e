"""Run schedules from the command line: ``python -m tests.simulation --help``."""

import argparse
import sys
import time
import traceback

from tests.simulation.schedule import run_schedule

_SHOWN = 20
"""Number of failures of which the traceback is printed."""


def main() -> int:
    """Run one schedule or many; return 1 if one of them failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay the schedule of this seed")
    parser.add_argument("--schedules", type=int, default=500, help="number of schedules to run")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    options = parser.parse_args()
    if options.seed is not None:
        print(run_schedule(options.seed))
        return 0
    began_s, failed = time.perf_counter(), []
    for seed in range(options.first, options.first + options.schedules):
        try:
            run_schedule(seed)
        except Exception:
            failed.append(seed)
            if len(failed) <= _SHOWN:
                traceback.print_exc()
    seconds = time.perf_counter() - began_s
    print(f"{options.schedules} schedules in {seconds:.0f} s, {len(failed)} failed: {failed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
