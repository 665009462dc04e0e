"""Guess from the rate of events whether times are in another unit than µs.

A guess is made only if there are many events, and only if their rate is impossible for the pixels
of a camera. Ordinary recordings therefore never cause a warning.

- Times look like ms if the active pixels fire more than 3000 times a second on average, and if
  there are at least four events for each unit of time. Pixels take some 100 µs to recover, and few
  of them are that busy.
- Times look like ns if all of them are multiples of 1000 and the active pixels fire less often than
  every 10 s on average. Cameras count µs, so their times in ns are multiples of 1000. Noise alone
  makes a pixel fire more often.
"""

import inspect
import traceback
import warnings
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from neuroasync.errors import TimeUnitWarning

__all__ = ["MAX_EVENTS", "MIN_EVENTS", "UserCall", "unlikely_unit", "warn_of_time_unit"]

MIN_EVENTS: Final = 1000
"""Fewer events allow no guess."""

MAX_EVENTS: Final = 100_000
"""The first events are examined, so that the guess takes a few ms at most."""


@dataclass(frozen=True, slots=True)
class UserCall:
    """The line of the user's code that called this package, for warnings.

    Attributes:
        file: path of the source file.
        line: number of the line.
        module: name of the module.
        registry: the warnings that the module has shown, as in :func:`warnings.warn_explicit`.
    """

    file: str
    line: int
    module: str
    registry: dict[Any, Any]

    @classmethod
    def current(cls) -> Self:
        """Return the innermost call on the stack that comes from outside this package."""
        package = __name__.partition(".")[0]
        frames = [frame for frame, _ in traceback.walk_stack(inspect.currentframe())]
        outside = (f for f in frames if f.f_globals.get("__name__", "").split(".")[0] != package)
        frame = next(outside, frames[-1])
        module = frame.f_globals.get("__name__", "<unknown>")
        registry = frame.f_globals.setdefault("__warningregistry__", {})
        return cls(frame.f_code.co_filename, frame.f_lineno, module, registry)


def warn_of_time_unit(
    t_us: NDArray[np.int64], pixel: NDArray[np.int64], user_call: UserCall
) -> bool:
    """Warn the user if times look like ms or ns.

    Args:
        t_us: i64[events], times in ascending order, µs.
        pixel: i64[events], a number for each pixel of the sensor.
        user_call: the line that the warning points to. A source passes the call that created it,
            because it is read in tasks and threads whose stack does not contain the user's code.

    Returns:
        Whether there was a warning.
    """
    unit = unlikely_unit(t_us, pixel)
    if unit is not None:
        remedy = "multiply them by 1000" if unit == "ms" else "divide them by 1000"
        warnings.warn_explicit(
            f"the times of the events look like {unit}, but they have to be µs; {remedy}, or "
            "ignore neuroasync.TimeUnitWarning if they are right",
            TimeUnitWarning,
            user_call.file,
            user_call.line,
            user_call.module,
            user_call.registry,
        )
    return unit is not None


def unlikely_unit(t_us: NDArray[np.int64], pixel: NDArray[np.int64]) -> str | None:
    """Return ``"ms"`` or ``"ns"`` if the times look like that, and None if they may be µs."""
    if t_us.size < MIN_EVENTS:
        return None
    since_first = t_us[:MAX_EVENTS] - t_us[0]
    events, span_us = since_first.size, int(since_first[-1])
    pixels = np.unique(pixel[:MAX_EVENTS]).size
    again_per_s = (events - pixels) / pixels / max(span_us, 1) * 1e6
    if span_us >= 100 and events >= 4 * pixels and events >= 4 * span_us and again_per_s > 3000:
        return "ms"
    if events / pixels < 0.1 * span_us / 1e6 and not (since_first % 1000).any():
        return "ns"
    return None
