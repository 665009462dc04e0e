"""``results.json``: every run of a study, and every network that ran.

::

    format    "neuroasync-study-1"
    networks  [NetworkRecord, ..]: recipe, samples, agreement of trainer and runtime
    runs      [RunRecord, ..]: one for each network, mode and stop rule; ``config`` is the name of
              its network above

:class:`~neuroasync.study.results.records.NetworkRecord` and
:class:`~neuroasync.study.results.records.RunRecord` document the fields.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from neuroasync.study.results.records import Measurement

__all__ = ["results_text"]

_FORMAT: Final = "neuroasync-study-1"


def results_text(measurements: Sequence[Measurement]) -> str:
    """Return the text of the file: JSON, with one line per network and per run."""
    networks = _lines([asdict(measurement.network) for measurement in measurements])
    runs = _lines([asdict(run) for measurement in measurements for run in measurement.runs])
    return f'{{"format":"{_FORMAT}",\n"networks":[\n{networks}\n],\n"runs":[\n{runs}\n]}}\n'


def _lines(rows: Sequence[dict[str, Any]]) -> str:
    return ",\n".join(json.dumps(row, allow_nan=False, separators=(",", ":")) for row in rows)
