"""Check that the tests take nearly all branches of the core and of the runtime.

Usage: ``python -m tools.branch_coverage`` after ``pytest --cov``. Exits with status 1 if a folder
is below its floor. The floor of all statements and branches is in ``pyproject.toml``.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

FLOORS = {"neuroasync/core/": 95.0, "neuroasync/runtime/": 95.0}
"""Percentage of the branches of a folder that tests must take."""


def branch_rates(files: dict[str, Any]) -> dict[str, float]:
    """Return the percentage of branches taken in each folder, from the JSON of coverage."""
    rates = {}
    for folder in FLOORS:
        summaries = [
            report["summary"]
            for path, report in files.items()
            if path.replace("\\", "/").startswith(folder)
        ]
        branches = sum(summary["num_branches"] for summary in summaries)
        taken = sum(summary["covered_branches"] for summary in summaries)
        rates[folder] = 100 * taken / branches if branches else 0.0
    return rates


def main() -> int:
    """Print the rate of each folder, and return the exit status."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "coverage.json"
        command = [sys.executable, "-m", "coverage", "json", "-q", "--fail-under=0", "-o"]
        subprocess.run([*command, str(path)], check=True)
        rates = branch_rates(json.loads(path.read_text("utf-8"))["files"])
    for name, rate in rates.items():
        print(f"{name}: {rate:.1f} % of branches, at least {FLOORS[name]:.0f} % are required")
    return int(any(rate < FLOORS[name] for name, rate in rates.items()))


if __name__ == "__main__":
    sys.exit(main())
