"""Show decisions: one line on a terminal that is updated, lines of text, or lines of JSON."""

import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from neuroasync.cli.output import one_line, write_stdout
from neuroasync.core.engine.decision import Decision
from neuroasync.core.quantity import quantity
from neuroasync.messages import format_decision
from neuroasync.runtime.counts import Counts
from neuroasync.sources.counts import SourceCounts

__all__ = ["Display", "JsonDisplay", "LineDisplay", "Losses", "TerminalDisplay", "WindowReport"]

_REFRESH_S: Final = 1 / 30
_NO_LABEL: Final = "-"
_NO_WINDOW: Final = "no window has ended"


@dataclass(frozen=True, slots=True)
class Losses:
    """Events that were moved or lost so far, in the order in which they are shown.

    Attributes:
        outside, dropped, refused, malformed: as in ``SourceCounts``.
        late: events that were moved or dropped because they were late.
        clock_jumps: as in ``SourceCounts``.
    """

    outside: int = 0
    late: int = 0
    dropped: int = 0
    refused: int = 0
    malformed: int = 0
    clock_jumps: int = 0

    @classmethod
    def of(cls, source: SourceCounts, session: Counts) -> "Losses":
        """Return the sums of what a source and a session have counted."""
        return cls(
            source.outside, source.late + session.late, source.dropped + session.dropped,
            source.refused, source.malformed, source.clock_jumps,
        )  # fmt: skip

    def __str__(self) -> str:
        """Return the counts that are not 0 in words, such as ``12 events outside the view``."""
        events = {
            "outside the view": self.outside, "late": self.late, "dropped": self.dropped,
            "refused": self.refused,
        }  # fmt: skip
        texts = [f"{quantity(n, 'event')} {name}" for name, n in events.items() if n]
        if self.malformed:
            texts.append(f"{self.malformed:,} malformed")
        if self.clock_jumps:
            texts.append(quantity(self.clock_jumps, "clock jump"))
        return ", ".join(texts)

    def brief(self) -> str:
        """Return the same for a line of limited width, such as ``outside 12, late 3``."""
        values = {
            "outside": self.outside, "late": self.late, "dropped": self.dropped,
            "refused": self.refused, "malformed": self.malformed, "clock jumps": self.clock_jumps,
        }  # fmt: skip
        return ", ".join(f"{name} {n:,}" for name, n in values.items() if n)


@dataclass(frozen=True, slots=True)
class WindowReport:
    """What is shown of a window.

    Attributes:
        decision: the decision.
        end_us: end of the window, in the time of the stream, µs.
        events: number of events of the window.
        window_us: length of the window, µs.
        losses: events that were moved or lost since the beginning.
    """

    decision: Decision
    end_us: int
    events: int
    window_us: int
    losses: Losses

    def __str__(self) -> str:
        """Return one line of text."""
        return self.line(sys.maxsize)

    def line(self, width: int) -> str:
        """Return as many fields as fit into a line, the most important ones first."""
        votes = np.sort(self.decision.votes)
        lead = int(votes[-1] - votes[-2]) if votes.size > 1 else int(votes[-1])
        noun = "votes," if votes[-1] != 1 else "vote, "
        counted = f"{votes[-1]:3} {noun} {lead:3} ahead" if votes[-1] else "no vote"
        if (potentials := self.decision.potentials) is not None:
            counted = f"potential {potentials.max():.4g}"
        rate = _rate(self.events * 1e6 / self.window_us)
        line = f"{self.end_us / 1e6:9.3f} s  {_label(self.decision):>6}"[:width]
        losses = self.losses.brief()
        # A number that is cut would look like another number.
        for field in (f"{counted:<20}", f"{rate:>6} events/s", *([losses] if losses else [])):
            if len(line) + 2 + len(field) > width:
                break
            line = f"{line}  {field}"
        return line


class Display(Protocol):
    """Shows the windows of one stream."""

    def show(self, report: WindowReport) -> None:
        """Show a window."""

    def finish(self, losses: Losses) -> None:
        """Show what is still to be shown when the stream has ended or was interrupted."""


class JsonDisplay:
    """One line of JSON per decision, a message of :mod:`neuroasync.messages`.

    ``latency_ms`` is the ``wall_s`` of the decision. Losses, and that no window has ended, are
    told on stderr at the end.
    """

    def __init__(self) -> None:
        self._sample = 0

    def show(self, report: WindowReport) -> None:
        """Write a line and flush it, because a program may wait for it."""
        decision = report.decision
        line = format_decision(decision, self._sample, decision.wall_s * 1000)
        self._sample += 1
        write_stdout(f"{line!s}\n")
        _flush()

    def finish(self, losses: Losses) -> None:
        """Report on stderr what was lost, and if there was no window."""
        texts = [text for text in ("" if self._sample else _NO_WINDOW, str(losses)) if text]
        if texts and sys.stderr is not None:
            print(f"note: {'; '.join(texts)}", file=sys.stderr)


class LineDisplay:
    """One line of text per window, and a summary at the end."""

    def __init__(self) -> None:
        self._labels: Counter[str | None] = Counter()
        self._events = 0
        self._latest: WindowReport | None = None

    def show(self, report: WindowReport) -> None:
        """Write the line of a window."""
        self._count(report)
        write_stdout(f"{report}\n")
        _flush()

    def finish(self, losses: Losses) -> None:
        """Write the summary."""
        texts = [_NO_WINDOW]
        if self._latest is not None:
            windows = quantity(sum(self._labels.values()), "window")
            length = f"{windows} of {self._latest.window_us / 1000:g} ms"
            texts = [f"{length}, {quantity(self._events, 'event')}", self._classes()]
        if text := str(losses):
            texts.append(text)
        write_stdout(f"{'; '.join(texts)}\n")

    def _classes(self) -> str:
        """Return how many windows each class won: ``class 2: 6 windows, class 7: 4``."""
        texts: list[str] = []
        for label, n in self._labels.most_common():
            name = "no vote" if label is None else f"class {label}"
            texts.append(f"{name}: {n:,}" if texts else f"{name}: {quantity(n, 'window')}")
        return ", ".join(texts)

    def _count(self, report: WindowReport) -> None:
        decision = report.decision
        self._labels[None if decision.label is None else _label(decision)] += 1
        self._events += report.events
        self._latest = report


class TerminalDisplay(LineDisplay):
    """One line that is overwritten for each window, at most 30 times a second, and a summary."""

    def __init__(self) -> None:
        super().__init__()
        self._drawn_at = -1.0
        self._is_drawn = True

    def show(self, report: WindowReport) -> None:
        """Overwrite the line."""
        self._count(report)
        self._is_drawn = (now := time.monotonic()) - self._drawn_at >= _REFRESH_S
        if self._is_drawn:
            self._drawn_at = now
            self._draw(report)

    def finish(self, losses: Losses) -> None:
        """End the line with its last window, and write the summary."""
        if self._latest is not None:
            if not self._is_drawn:
                self._draw(self._latest)
            write_stdout("\n")
        super().finish(losses)

    def _draw(self, report: WindowReport) -> None:
        # A line that fills the terminal would wrap, and could not be overwritten.
        width = max(shutil.get_terminal_size().columns - 1, 1)
        write_stdout(f"\r{report.line(width)}\x1b[K")
        _flush()


def _label(decision: Decision) -> str:
    if decision.label is None:
        return _NO_LABEL
    # The name comes from a file, and may contain characters that would drive the terminal.
    return one_line(decision.class_name or decision.label)


def _rate(per_s: float) -> str:
    """Return a rate with three digits, such as ``950``, ``12.3k`` and ``1.05M``."""
    value, units = per_s, ["", "k", "M", "G"]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    digits = 0 if len(units) == 4 or value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f}{units[0]}"


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()
