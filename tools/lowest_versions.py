"""Print the lowest version of each dependency, as constraints for pip.

Usage: ``python -m tools.lowest_versions > lowest.txt``.
Only the dependencies of users are listed. Tools for development stay at their newest version,
and so do packages that ``constraints.txt`` pins.
"""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("camera", "serve", "viz", "websocket")


def lowest_versions() -> list[str]:
    """Return lines such as ``numpy==2.0``, sorted by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    pinned = {name.lower() for name in re.findall(r"^([\w-]+)==", _constraints(), re.M)}
    optional = project["optional-dependencies"]
    requirements = [*project["dependencies"], *(r for extra in EXTRAS for r in optional[extra])]
    lowest: dict[str, str] = {}
    for requirement in requirements:
        match = re.fullmatch(r"([\w-]+)>=([\d.]+)(?:;.*)?", requirement.replace("; ", ";"))
        if match is None:
            raise ValueError(f"{requirement!r} must have the form 'name>=version'")
        if match[1].lower() not in pinned:
            # An extra may ask for a higher version than another one; pip needs the highest.
            lowest[match[1]] = max(lowest.get(match[1], "0"), match[2], key=_as_numbers)
    return [f"{name}=={version}" for name, version in sorted(lowest.items())]


def _constraints() -> str:
    return (ROOT / "constraints.txt").read_text("utf-8")


def _as_numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


if __name__ == "__main__":
    print("\n".join(lowest_versions()))
