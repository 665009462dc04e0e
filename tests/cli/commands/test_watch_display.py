"""The lines of ``neuroasync watch``: fields, rates, losses, summary and width."""

import numpy as np
import pytest

from neuroasync import Decision
from neuroasync.cli.commands.watch.display import (
    JsonDisplay,
    LineDisplay,
    Losses,
    TerminalDisplay,
    WindowReport,
)
from neuroasync.runtime.counts import Counts
from neuroasync.sources.counts import SourceCounts


def decision(votes=(0, 7, 2), name="one"):
    """Return a decision with these votes."""
    label = int(np.argmax(votes)) if any(votes) else None
    return Decision(
        label=label, class_name=None if label is None else name, votes=np.array(votes),
        stopped=False, t_us=0, passes=1, steps=1, rounds=1, spikes={"out": 9}, input_events=5,
        synops=3, first_spike=None, first_led={}, undelivered=0, wall_s=0.0015,
    )  # fmt: skip


def report(end_us=1_250_000, events=2_500, losses=None, **options):
    return WindowReport(decision(**options), end_us, events, 50_000, losses or Losses())


def test_line_shows_time_label_votes_rate_and_losses():
    assert str(report()) == ("    1.250 s     one    7 votes,   5 ahead   50.0k events/s")
    losses = Losses.of(
        SourceCounts(outside=1200, late=2, dropped=1, malformed=4, clock_jumps=1),
        Counts(late=3, dropped=5),
    )
    assert str(report(votes=(0, 0, 0), events=0, losses=losses)) == (
        "    1.250 s       -  no vote                    0 events/s"
        "  outside 1,200, late 5, dropped 6, malformed 4, clock jumps 1"
    )


@pytest.mark.parametrize(
    ("events", "rate"),
    [(0, "0"), (49, "980"), (50, "1.00k"), (625, "12.5k"), (49_970, "999k"), (60_000, "1.20M"),
     (10**9, "20.0G"), (10**12, "20000G")],
)  # fmt: skip
def test_rates_have_three_digits_and_a_unit(events, rate):
    assert f" {rate} events/s" in str(report(events=events))


def test_names_of_classes_cannot_drive_the_terminal(capsys):
    LineDisplay().show(report(name="a\x1b[2Jb\nc"))
    assert "a\\x1b[2Jb" in (text := capsys.readouterr().out)
    assert text.count("\n") == 1


def test_single_vote_window_and_event_have_no_plural(capsys):
    assert "    1 vote,    1 ahead   20 events/s" in str(report(votes=(0, 1, 0), events=1)).replace(
        "      20", "   20"
    )
    display = LineDisplay()
    display.show(report(events=1))
    display.finish(Losses())
    assert capsys.readouterr().out.endswith("\n1 window of 50 ms, 1 event; class one: 1 window\n")


def test_summary_counts_labels_and_windows_without_a_vote(capsys):
    display = LineDisplay()
    for votes in ((0, 1, 0), (0, 0, 0), (0, 3, 0)):
        display.show(report(votes=votes))
    display.finish(Losses())
    assert capsys.readouterr().out.splitlines()[-1] == (
        "3 windows of 50 ms, 7,500 events; class one: 2 windows, no vote: 1"
    )


@pytest.mark.parametrize(
    ("display", "shown"),
    [
        (LineDisplay(), ("no window has ended; 3 malformed\n", "")),
        (TerminalDisplay(), ("no window has ended; 3 malformed\n", "")),
        (JsonDisplay(), ("", "note: no window has ended; 3 malformed\n")),
    ],
)  # fmt: skip
def test_summary_without_a_window_says_so(display, shown, capsys):
    display.finish(Losses(malformed=3))
    assert capsys.readouterr() == shown


def test_losses_are_told_in_words():
    assert str(Losses(1, 2000, 3, 4, 5, 1)) == (
        "1 event outside the view, 2,000 events late, 3 events dropped, 4 events refused, "
        "5 malformed, 1 clock jump"
    )


def test_terminal_line_never_wraps_and_ends_with_the_last_window(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    times = iter([0.0, 0.01, 0.02])  # Only the first window is drawn at once.
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    display = TerminalDisplay()
    for k in range(3):
        display.show(report(end_us=k * 1_000_000))
    display.finish(Losses())
    drawn = capsys.readouterr().out.split("\r")
    assert [line[:11] for line in drawn[1:]] == ["    0.000 s", "    2.000 s"]
    assert all(line.split("\x1b")[0].endswith("  one") for line in drawn[1:])


@pytest.mark.parametrize(
    ("width", "end"),
    [
        (8, "1.25"), (19, "one"), (40, "one"), (41, "ahead"), (57, "ahead"), (58, "events/s"),
    ],
)  # fmt: skip
def test_line_that_is_too_narrow_shows_whole_fields(width, end):
    assert report().line(width).endswith(end)
    assert len(report().line(width)) <= width
