"""``results.json``: every run of a study, and every network that ran.

::

    format    "neuroasync-study-1"
    networks  [NetworkRecord, ..]: recipe, samples, agreement of trainer and runtime
    runs      [Run, ..]: one for each network, mode and stop rule; ``config`` is the name of its
              network above

:class:`~neuroasync.study.results.records.NetworkRecord` and
:class:`~neuroasync.study.results.records.Run` say
what the fields are.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from neuroasync.study.results.records import Measured

__all__ = ["results_text"]

_FORMAT: Final = "neuroasync-study-1"


def results_text(found: Sequence[Measured]) -> str:
    """The file's text: JSON, a line for each network and each run."""
    networks = _lines([asdict(measured.network) for measured in found])
    runs = _lines([asdict(run) for measured in found for run in measured.runs])
    return f'{{"format":"{_FORMAT}",\n"networks":[\n{networks}\n],\n"runs":[\n{runs}\n]}}\n'


def _lines(rows: Sequence[dict[str, Any]]) -> str:
    return ",\n".join(json.dumps(row, allow_nan=False, separators=(",", ":")) for row in rows)
