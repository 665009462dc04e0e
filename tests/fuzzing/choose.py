"""Choose a small corpus from the many inputs that a guided run has kept."""

import sys
from collections.abc import Iterable
from contextlib import suppress
from types import FrameType
from typing import Any

from tests.fuzzing.targets import Target
from tests.helpers.paths import ROOT

__all__ = ["chosen"]

MAX_CORPUS_BYTES = 20_000
"""Size of the corpus of one target, before compression."""

_PACKAGE = str(ROOT / "neuroasync")


def chosen(target: Target, inputs: Iterable[bytes]) -> list[bytes]:
    """Return the smallest inputs that each take a step from line to line that none before took."""
    known: set[tuple[Any, ...]] = set()
    for seed in target.seeds():
        known |= _steps(target, seed)
    corpus, size = [], 0
    for data in sorted(set(inputs), key=lambda data: (len(data), data)):
        if size + len(data) > MAX_CORPUS_BYTES:
            break
        steps = _steps(target, data)
        if not steps <= known:
            known |= steps
            corpus.append(data)
            size += len(data)
    return corpus


def _steps(target: Target, data: bytes) -> set[tuple[Any, ...]]:
    """Return the steps from line to line of the package that reading the input takes."""
    steps: set[tuple[Any, ...]] = set()
    latest: dict[FrameType, int] = {}

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(_PACKAGE):
            return None
        if event == "line":
            steps.add((frame.f_code, latest.get(frame, 0), frame.f_lineno))
            latest[frame] = frame.f_lineno
        elif event == "return":
            latest.pop(frame, None)
        return trace

    sys.settrace(trace)
    try:
        with suppress(Exception):
            target.read(data)
    finally:
        sys.settrace(None)
    return steps
