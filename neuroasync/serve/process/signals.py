"""The signals that end a server, and handlers for them."""

import contextlib
import signal
from collections.abc import Iterator, Mapping
from multiprocessing import resource_tracker
from typing import Any, Final

__all__ = ["DRAIN_SIGNALS", "handled_signals", "terminal_signals_blocked"]

_HANG_UP: Final = getattr(signal, "SIGHUP", None)
"""Sent when the terminal of the process closes. Windows does not have it."""

DRAIN_SIGNALS: Final[tuple[int, ...]] = tuple(
    number for number in (signal.SIGTERM, signal.SIGINT, _HANG_UP) if number is not None
)
"""Signals after which a server answers what it has accepted, and ends."""


@contextlib.contextmanager
def handled_signals(handlers: Mapping[int, Any]) -> Iterator[None]:
    """Handle signals inside a ``with`` block, except for a SIGHUP that the process ignores."""
    previous = {
        number: signal.signal(number, handler)
        for number, handler in handlers.items()
        # ``nohup`` starts a process that ignores it, so that it outlives its terminal.
        if number != _HANG_UP or signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def terminal_signals_blocked() -> Iterator[None]:
    """Block SIGINT and SIGHUP inside a ``with`` block, and in all processes that start inside it.

    A terminal sends these signals to all processes of a group. A process that still starts has no
    handler yet, and would end with a traceback or by the signal. Windows does not support this.
    """
    # The tracker unblocks SIGINT when it starts, which the first new process would cause.
    resource_tracker.ensure_running()
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
