"""What must hold after every schedule: nothing is left, and nothing was lost without a trace."""

import asyncio
import contextlib
import gc
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.simulation.disturbances import PlannedError
from tests.simulation.loop import SimulatedLoop

__all__ = ["ErrorLog", "Resources", "check_nothing_is_left"]

_DESCRIPTORS = Path("/proc/self/fd")


class ErrorLog(logging.Handler):
    """The errors that are logged during a schedule, other than planned ones."""

    def __init__(self) -> None:
        super().__init__()
        self._errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        is_planned = isinstance(error, PlannedError) or isinstance(
            getattr(error, "__cause__", None), PlannedError
        )
        if record.levelno >= logging.ERROR and not is_planned:
            self._errors.append(f"{record.getMessage()}: {error!r}")

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Collect errors during the block, at the end of which there must be none."""
        logger = logging.getLogger("neuroasync")
        logger.addHandler(self)
        logger.propagate = False
        try:
            yield
        finally:
            logger.propagate = True
            logger.removeHandler(self)
        assert not self._errors, f"errors were logged: {self._errors}"


class Resources:
    """The threads and file descriptors of the process, when a schedule begins."""

    def __init__(self) -> None:
        self._threads = set(threading.enumerate())
        self._descriptors = _descriptors()

    def check(self) -> None:
        """Check that there are no others now."""
        threads = set(threading.enumerate()) - self._threads
        assert not threads, f"threads are left: {threads}"
        descriptors = _descriptors() - self._descriptors
        assert not descriptors, f"file descriptors are left: {descriptors}"


def check_nothing_is_left(loop: SimulatedLoop) -> None:
    """Check that only the calling task exists on the loop, and that no error went unnoticed."""
    tasks = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
    assert not tasks, f"tasks are left: {tasks}"
    assert not loop.jobs, f"jobs of executors are left: {loop.jobs}"
    timers = loop.pending_timers()
    assert not timers, f"timers are left: {timers}"
    # What only refers to itself is no leak, but an error may hide in it.
    gc.collect()
    futures = [f for f in loop.pending_futures() if f is not asyncio.current_task(loop)]
    assert not futures, f"futures are left: {futures}"
    assert not loop.problems, f"errors went unnoticed: {loop.problems}"


def _descriptors() -> set[str]:
    return set(os.listdir(_DESCRIPTORS)) if _DESCRIPTORS.exists() else set()
