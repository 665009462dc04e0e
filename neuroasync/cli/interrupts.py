"""Ctrl-C while modules are imported."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["INTERRUPTED", "exit_on_interrupt"]

INTERRUPTED: Final = 130
"""The exit code after Ctrl-C: 128 and the number of the signal, as in a shell."""


@contextmanager
def exit_on_interrupt() -> Iterator[None]:
    """End the process at once, without a traceback, if Ctrl-C is pressed inside the block.

    Use it around imports only: no file is open yet, so nothing has to be cleaned up. An exception
    would be less reliable, because some libraries catch every exception while they are imported.
    If SIGINT is ignored or handled by the caller, it stays so.
    """
    # A shell lets background jobs ignore SIGINT, and `nohup` relies on that.
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _exit(*_: object) -> None:
    os._exit(INTERRUPTED)
