"""Formats of numbers and modes in the report."""

from neuroasync.core.engine.run_settings import InputMode
from neuroasync.metrics.mean import Mean
from neuroasync.study.design.case import Mode

__all__ = ["counted", "input_name", "mode_name", "percent", "points", "share"]

_ORDERS = {"layer-sync": "layer-sync", "random": "random order", "momentum": "momentum order"}


def percent(mean: Mean | None) -> str:
    """Format a share from 0 to 1 in percent: ``96.4 ± 0.3``."""
    return _scaled(mean, 100, "", 1)


def points(mean: Mean) -> str:
    """Format a difference of shares in percentage points: ``-2.1 ± 0.5``."""
    return _scaled(mean, 100, "+", 1)


def counted(mean: Mean | None) -> str:
    """Format a count: ``1,204 ± 31``; with one decimal below 100."""
    return _scaled(mean, 1, "", 0 if mean is not None and mean.value >= 100 else 1)


def share(part: Mean | None, whole: Mean | None) -> str:
    """Format the share that ``part`` is of ``whole``: ``31 %``."""
    if part is None or whole is None or not whole.value:
        return "-"
    return f"{100 * part.value / whole.value:.0f} %"


def input_name(mode: InputMode) -> str:
    """Return ``first`` for input that goes before other spikes, or ``queued``."""
    return "queued" if mode == "queued" else "first"


def mode_name(mode: Mode, *, with_size: bool = False) -> str:
    """Return a name such as ``random order, F = 8, input queued``."""
    name = _ORDERS.get(mode.policy, f"{mode.policy} order")
    size = f", F = {mode.group_size}" if with_size else ""
    return f"{name}{size}" + (
        "" if mode.input == "prioritised" else f", input {input_name(mode.input)}"
    )


def _scaled(mean: Mean | None, factor: float, sign: str, digits: int) -> str:
    if mean is None:
        return "-"
    value = f"{factor * mean.value:{sign}z,.{digits}f}"  # z: 0.0 without a sign for -0.0
    return value if mean.error is None else f"{value} ± {factor * mean.error:,.{digits}f}"
