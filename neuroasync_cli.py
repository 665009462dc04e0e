"""Where the command ``neuroasync`` starts, before it imports anything that takes long.

It is no part of the package: to import from a package is to import all of it first.
"""

import os
import signal

__all__ = ["main"]

_INTERRUPTED = 130


def main() -> None:
    """Run the command line, and exit; Ctrl-C is as quiet while it loads as it is later."""
    is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else ignored: nohup
    if is_ours:
        signal.signal(signal.SIGINT, _end)
    from neuroasync.cli import main as run

    if is_ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


def _end(*_: object) -> None:
    # Nothing has begun that would want to be cleaned up, and an exception could get lost: libraries
    # catch some while they are imported.
    os._exit(_INTERRUPTED)
