"""Write ``.ci/requirements.txt``: the version and the hashes of each package that the checks need.

Usage: ``python -m tools.lock_dependencies``, with uv installed. The requirements come from
``pyproject.toml``. torch and the libraries that only torch needs are left out: each platform has
its own builds of them, and ``constraints.txt`` pins the version.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / ".ci" / "requirements.txt"
HEADER = "# Written by `python -m tools.lock_dependencies`; do not edit.\n"
OF_TORCH = re.compile(r"(torch|triton|cuda-[\w-]+|nvidia-[\w-]+)==")


def without_torch(compiled: str) -> str:
    """Return the requirements of others, without comments."""
    lines = [line for line in compiled.splitlines() if not line.strip().startswith("#")]
    blocks = re.split(r"\n(?=\S)", "\n".join(lines))
    return "\n".join(block for block in blocks if not OF_TORCH.match(block)) + "\n"


def main() -> None:
    """Resolve all requirements and write the file."""
    options = ["--extra", "dev", "-c", "constraints.txt", "--generate-hashes", "--universal"]
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "-", *options]
    compiled = subprocess.run(
        [*command, "--python-version", "3.11", "--quiet", "--no-annotate", "--upgrade"],
        input="hatchling\n",  # which builds the package
        cwd=ROOT,
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    ).stdout
    LOCK.write_text(HEADER + without_torch(compiled), "utf-8")


if __name__ == "__main__":
    main()
