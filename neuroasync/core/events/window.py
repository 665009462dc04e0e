"""Windows: rules that say where a sample of a continuous stream ends.

================= ==========================================================================
``time(t)``       The stream is cut at the multiples of ``t``. The first sample contains the
                  first event; after it, samples follow without a gap, even if no event arrives.
``events(n)``     A sample ends with its n-th event.
``silence(t)``    A sample ends when no event has arrived for ``t``. The silence is a part of
                  the sample.
``decided``       A sample ends when the stop rule fires. The next event starts the next sample.
================= ==========================================================================

``t`` is a time in µs, or a time with its unit: ``time(50000)`` and ``time(50ms)`` are the same
window.

With all windows except ``time``, a sample starts with the timestep of its first event.

By default each sample starts from rest at its own time 0. Spikes still in flight when it ends are
dropped, and its decision reports their number. If windows *carry state*, the network keeps running
from window to window and in between, and a window only determines which votes belong to which
sample. Such a window consists of whole timesteps, because a forward pass cannot belong to two
samples: an ``events`` window ends with the timestep of its n-th event, a ``decided`` window with
the timestep in which the stop rule fired, and a ``silence`` window with the last timestep that is
complete when the silence has lasted long enough.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, TypeAlias, cast, get_args

from neuroasync import limits
from neuroasync.core.durations import text_us
from neuroasync.core.model.checks import did_you_mean, must_be, shown

__all__ = ["Window", "WindowName", "check_whole", "parse_window"]

WindowName: TypeAlias = Literal["time", "events", "silence", "decided"]

_FORMS: Final = (
    "time(t) or silence(t) with a time of at least 1 µs such as 50000 or 50ms, events(n) with an "
    "integer of at least 1, or decided"
)


@dataclass(frozen=True, slots=True)
class Window:
    """A rule that says where a sample of a stream ends.

    Attributes:
        name: name of the rule.
        argument: length in µs, or number of events; 0 for ``decided``.
    """

    name: WindowName
    argument: int = 0

    def __str__(self) -> str:
        """Return the text of the window, such as ``time(100000)``."""
        return f"{self.name}({self.argument})" if self.argument else self.name


def parse_window(window: str | Window) -> Window:
    """Return the window that a text such as ``time(50ms)`` or ``events(500)`` describes.

    Raises:
        ValueError: ``window`` is not ``time(t)``, ``events(n)``, ``silence(t)`` or ``decided``.
    """
    text = str(window) if isinstance(window, str | Window) else ""
    if text == "decided":
        return Window("decided")
    match = re.fullmatch(r"(time|events|silence)\((.{1,40})\)", text)
    if match is not None:
        name = cast("WindowName", match[1])
        argument = _argument(name, match[2])
        if argument is not None and 1 <= argument <= limits.MAX_TIME_US:
            return Window(name, argument)
    raise ValueError(must_be("window", _FORMS, shown(window)) + _hint(window))


def _hint(window: object) -> str:
    """Return a proposal for an invalid window, to be appended to the error."""
    if isinstance(window, timedelta):
        return f"; did you mean 'time({window // timedelta(microseconds=1)})'?"
    if text_us(str(window)) is not None:
        return f"; did you mean 'time({window})'?"
    given, known = str(window).partition("(")[0], get_args(WindowName)
    return "" if given in known else did_you_mean(given, known)


def _argument(name: WindowName, text: str) -> int | None:
    """Return the argument of a window in µs or events; None if it is neither."""
    if re.fullmatch("[0-9]{1,15}", text):
        return int(text)
    return None if name == "events" else text_us(text)


def check_whole(window: Window, timestep_us: int) -> None:
    """Check that a window consists of whole timesteps, as windows that carry state must.

    Raises:
        ValueError: the window ends within a timestep.
    """
    required_by = f"the timestep ({timestep_us} µs), which carry_state=True requires"
    if window.name == "time" and timestep_us and window.argument % timestep_us:
        raise ValueError(must_be("window", f"a multiple of {required_by}", str(window)))
    if window.name == "silence" and window.argument < timestep_us:
        raise ValueError(must_be("window", f"at least as long as {required_by}", str(window)))
