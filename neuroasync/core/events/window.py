"""Windows: where an endless stream of events is cut into samples.

================= ==========================================================================
``time(us)``      one sample after the other of so many µs, silent ones too, from the one on that
                  holds the first event; they begin at multiples of their length
``events(n)``     n events each
``silence(us)``   until so long nothing comes; the silence still belongs to the sample
``decided``       until the stop rule says stop; the next event begins the next
================= ==========================================================================

But for ``time``, a window begins with the timestep of its first event. Either each sample starts
from rest at its own time 0, and whatever is in flight when it ends is dropped, and counted by its
decision; or windows *carry*: the network runs on, also between them, and a window only says which
votes are of which sample. Such a window is whole timesteps, for no pass is of two samples: that of
``events`` ends with the timestep of its n-th event, that of ``decided`` with the one in which the
stop rule said stop, and that of ``silence`` with the last that is over when the silence is.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["Window", "WindowName", "check_whole", "parse_window"]

WindowName: TypeAlias = Literal["time", "events", "silence", "decided"]

_EXPECTED: Final = "time(us), events(n), silence(us), with integers from 1, or decided"


@dataclass(frozen=True, slots=True)
class Window:
    """A rule that says where a sample of a stream ends.

    Attributes:
        name: of the rule.
        argument: its µs or events; 0 of ``decided``.
    """

    name: WindowName
    argument: int = 0

    def __str__(self) -> str:
        """As it is written: ``time(100000)``."""
        return f"{self.name}({self.argument})" if self.argument else self.name


def parse_window(window: str | Window) -> Window:
    """A window from how it is written.

    Raises:
        ValueError: it is none of ``time(us)``, ``events(n)``, ``silence(us)`` and ``decided``.
    """
    match = re.fullmatch(r"(time|events|silence)\(([0-9]{1,15})\)|decided", str(window))
    if not isinstance(window, str | Window) or match is None or (match[2] and not int(match[2])):
        raise ValueError(f"window: {window!r:.80}, expected {_EXPECTED}")
    names: dict[str | None, WindowName] = {"time": "time", "events": "events", "silence": "silence"}
    return Window(names.get(match[1], "decided"), int(match[2] or 0))


def check_whole(window: Window, timestep_us: int) -> None:
    """Raise ValueError unless the window is whole timesteps, as one that carries has to be."""
    if window.name == "time" and timestep_us and window.argument % timestep_us:
        raise ValueError(
            f"window: {window}, expected a multiple of the timestep, {timestep_us} µs: windows "
            "carry, and no pass is of two samples"
        )
    if window.name == "silence" and window.argument < timestep_us:
        raise ValueError(
            f"window: {window}, expected at least the timestep, {timestep_us} µs: windows carry"
        )
