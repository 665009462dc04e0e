"""The processes of a local Ray cluster that this program has started, by their titles. Linux only.

Ray sets the title of a process to the name of the task or actor that it runs.
"""

import os
from pathlib import Path

__all__ = ["pids_titled"]


def pids_titled(title: str) -> list[int]:
    """Return the descendants of this process whose titles begin with ``title``, ascending."""
    titles, parents = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            # The name in parentheses, which comes first, may have spaces.
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            titles[int(path.name)] = (path / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(path.name)] = int(fields[1])
    return sorted(
        pid
        for pid, text in titles.items()
        if text.startswith(title.encode()) and _descends(pid, os.getpid(), parents)
    )


def _descends(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        pid = parents[pid]
        if pid == ancestor:
            return True
    return False
