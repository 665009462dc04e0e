"""An event loop with a virtual clock: timers fire in order and without waiting."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class _Selector(selectors.DefaultSelector):
    """A selector that advances a clock instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0

    def select(self, timeout: float | None = None):
        ready = super().select(0)
        if not ready and timeout is None:
            # Without a timer, the loop waits for another thread, which needs real time.
            return super().select(20)
        if not ready and timeout > 0:
            self.now_s += timeout
        return ready


class ClockLoop(asyncio.SelectorEventLoop):
    """An event loop whose time advances to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        self._clock_selector = _Selector()
        super().__init__(self._clock_selector)

    def time(self) -> float:
        return self._clock_selector.now_s

    def advance(self, seconds: float) -> None:
        """Advance the clock at once, as if a callback had taken this long."""
        self._clock_selector.now_s += seconds


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on a loop with a virtual clock."""
    with asyncio.Runner(loop_factory=ClockLoop) as runner:
        runner.run(main)
