"""Calibrations: how early a network may stop, and what accuracy that was found to keep."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from neuroasync import limits
from neuroasync.core.formats.bundle_golden import PolicySpec, policy_map, read_policy
from neuroasync.core.formats.field_checks import as_list, as_map, located
from neuroasync.core.model.model import check_int
from neuroasync.errors import BundleError

__all__ = [
    "Calibration",
    "calibration_map",
    "check_calibrations",
    "read_calibration",
    "with_calibrations",
]

_MAX_LEAD: Final = 999_999_999


@dataclass(frozen=True, slots=True)
class Calibration:
    """What ``until="confidence(p)"`` stands for in one network, and what it promises.

    The promise: of samples like those that it was measured on, run as ``policy`` says and stopped
    by ``margin(leads)``, the share that is decided right is ``accuracy``, or at most ``error``
    lower, or higher. All samples count, those that run to their end, too; no label is wrong. It
    is about the next samples together, not about one, and it holds for 95 of 100 calibrations.

    Attributes:
        accuracy: p, the share that is promised, between 0 and 1.
        error: how much lower the share may be, 0 to ``accuracy``.
        measured: share of the calibration's own samples that the rule decides right.
        samples: how many those were.
        leads: a lead in votes for each pass; the last holds for all later ones, 0 is never.
        policy: the order, group size and input mode that it holds for.

    Raises:
        BundleError: a field is out of range.
    """

    accuracy: float
    error: float
    measured: float
    samples: int
    leads: tuple[int, ...]
    policy: PolicySpec

    def __post_init__(self) -> None:
        """Check every field."""
        if type(self.accuracy) is not float or not 0 < self.accuracy < 1:
            raise BundleError(f"accuracy: {self.accuracy!r:.80}, expected a number between 0 and 1")
        for name, low, high in (("error", 0, self.accuracy), ("measured", self.accuracy, 1)):
            value = getattr(self, name)
            if type(value) not in (int, float) or not low <= value <= high:
                raise BundleError(f"{name}: {value!r:.80}, expected a number from {low} to {high}")
            object.__setattr__(self, name, float(value))
        with located():
            check_int("samples", self.samples, 1, 2**53)
        if not isinstance(self.leads, tuple) or not 1 <= len(self.leads) <= limits.MAX_LEADS:
            raise BundleError(
                f"leads: {self.leads!r:.80}, expected 1 to {limits.MAX_LEADS} of them"
            )
        with located():
            for k, lead in enumerate(self.leads):
                check_int(f"leads[{k}]", lead, 0, _MAX_LEAD)
        if not any(self.leads):
            raise BundleError("leads: all are 0, expected one that can be met")
        if not isinstance(self.policy, PolicySpec):
            raise BundleError(f"policy: {self.policy!r:.80}, expected a PolicySpec")

    @property
    def until(self) -> str:
        """The stop rule as it is written without the bundle: ``margin(5,5,4)``."""
        return f"margin({','.join(map(str, self.leads))})"


def with_calibrations(
    known: Iterable[Calibration], new: Iterable[Calibration]
) -> tuple[Calibration, ...]:
    """``known`` and ``new``; a new one replaces that of the same promise and policy."""
    both = {(c.policy, c.accuracy): c for c in (*known, *new)}
    return tuple(both.values())


def check_calibrations(calibrations: tuple[Calibration, ...]) -> None:
    """Raise BundleError if there are too many, or two of one promise and policy."""
    if len(calibrations) > limits.MAX_CALIBRATIONS:
        raise BundleError(
            f"calibration: {len(calibrations)}, expected at most {limits.MAX_CALIBRATIONS}"
        )
    seen: set[tuple[PolicySpec, float]] = set()
    for k, calibration in enumerate(calibrations):
        key = (calibration.policy, calibration.accuracy)
        if key in seen:
            raise BundleError(
                f"calibration[{k}].accuracy: {calibration.accuracy} is promised twice for one "
                "policy; expected another"
            )
        seen.add(key)


def calibration_map(calibration: Calibration) -> dict[str, Any]:
    """Return ``calibration`` as a map in a fixed order."""
    return {
        "accuracy": calibration.accuracy,
        "error": calibration.error,
        "measured": calibration.measured,
        "samples": calibration.samples,
        "leads": list(calibration.leads),
        "policy": policy_map(calibration.policy),
    }


def read_calibration(where: str, value: object) -> Calibration:
    """Return the calibration in a map, or raise BundleError with its path."""
    keys = ("accuracy", "error", "measured", "samples", "leads", "policy")
    fields = as_map(where, value, keys)
    leads = tuple(as_list(f"{where}.leads", fields["leads"]))
    policy = read_policy(f"{where}.policy", fields["policy"])
    with located(f"{where}."):
        return Calibration(**fields | {"leads": leads, "policy": policy})
