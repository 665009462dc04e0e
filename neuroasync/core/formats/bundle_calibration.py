"""Calibrations: how early a network may stop, and the accuracy that it keeps."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from neuroasync import limits
from neuroasync.core.formats.bundle_golden import PolicySpec, policy_map, read_policy
from neuroasync.core.formats.field_checks import as_list, as_map, check_number, located
from neuroasync.core.model.checks import as_number, check_int, check_ints, must_be, shown
from neuroasync.errors import BundleError

__all__ = [
    "Calibration",
    "calibration_map",
    "check_calibrations",
    "read_calibration",
    "with_calibrations",
]

_MAX_LEAD: Final = 999_999_999
"""Largest lead in votes; stop rules are parsed with up to nine digits."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A calibrated stop rule: how early a network may stop at a promised accuracy.

    ``until="confidence(p)"`` selects the calibration with ``accuracy`` p for the policy in use.

    It promises: among samples like those that it was measured on, run as ``policy`` says and
    stopped by ``margin(leads)``, a fraction of at least ``accuracy - error`` is classified
    correctly. The fraction counts all samples, including those that run to their end; a decision
    without a label counts as wrong. The promise is about the average over future samples, not
    about a single one, and it holds for 95 of 100 calibrations.

    Attributes:
        accuracy: the promised fraction p, between 0 and 1.
        error: how far the fraction may fall below ``accuracy``, from 0 to ``accuracy``.
        measured: fraction of the calibration's samples that the rule classifies correctly.
        samples: number of the calibration's samples.
        leads: required lead in votes for each forward pass. The last one holds for all later
            passes; 0 never stops.
        policy: ordering policy, group size and input mode that the calibration is valid for.

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
        accuracy = as_number(self.accuracy)
        if not isinstance(accuracy, float) or not 0 < accuracy < 1:
            requirement = "a float between 0 and 1, both excluded"
            raise BundleError(must_be("accuracy", requirement, shown(self.accuracy)))
        object.__setattr__(self, "accuracy", accuracy)
        for name, low, high in (("error", 0, self.accuracy), ("measured", self.accuracy, 1)):
            object.__setattr__(self, name, check_number(name, getattr(self, name), low, high))
        check_ints(self, {"samples": (1, 2**53)}, BundleError)
        if not isinstance(self.leads, tuple) or not 1 <= len(self.leads) <= limits.MAX_LEADS:
            requirement = f"a tuple of 1 to {limits.MAX_LEADS} integers"
            raise BundleError(must_be("leads", requirement, shown(self.leads)))
        leads = tuple(
            check_int(f"leads[{k}]", lead, 0, _MAX_LEAD, BundleError)
            for k, lead in enumerate(self.leads)
        )
        object.__setattr__(self, "leads", leads)
        if not any(leads):
            raise BundleError("`leads` must have an entry above 0, or the rule never stops")
        if not isinstance(self.policy, PolicySpec):
            raise BundleError(must_be("policy", "a PolicySpec", shown(self.policy)))

    def lead(self, pass_index: int) -> int:
        """Return the lead in votes at which the rule stops in a pass; 0 if it does not stop."""
        return self.leads[min(pass_index, len(self.leads) - 1)]

    @property
    def until(self) -> str:
        """The same stop rule in explicit form, such as ``margin(5,5,4)``."""
        return f"margin({','.join(map(str, self.leads))})"


def with_calibrations(
    known: Iterable[Calibration], new: Iterable[Calibration]
) -> tuple[Calibration, ...]:
    """Return ``known`` with ``new`` added; equal accuracy and policy are replaced."""
    both = {(c.policy, c.accuracy): c for c in (*known, *new)}
    return tuple(both.values())


def check_calibrations(calibrations: tuple[Calibration, ...]) -> None:
    """Check the number of calibrations, and that no two have the same accuracy and policy.

    Raises:
        BundleError: there are too many, or two clash.
    """
    if len(calibrations) > limits.MAX_CALIBRATIONS:
        requirement = f"a list of at most {limits.MAX_CALIBRATIONS} entries"
        raise BundleError(must_be("calibration", requirement, f"{len(calibrations)}"))
    seen: set[tuple[PolicySpec, float]] = set()
    for k, calibration in enumerate(calibrations):
        key = (calibration.policy, calibration.accuracy)
        if key in seen:
            requirement = "different from all others with the same policy"
            raise BundleError(
                must_be(f"calibration[{k}].accuracy", requirement, str(calibration.accuracy))
            )
        seen.add(key)


def calibration_map(calibration: Calibration) -> dict[str, Any]:
    """Return ``calibration`` as a map with keys in the order of the format."""
    return {
        "accuracy": calibration.accuracy,
        "error": calibration.error,
        "measured": calibration.measured,
        "samples": calibration.samples,
        "leads": list(calibration.leads),
        "policy": policy_map(calibration.policy),
    }


def read_calibration(path: str, value: object) -> Calibration:
    """Return the calibration in a map.

    Raises:
        BundleError: the map is invalid. The message starts with ``path``.
    """
    keys = ("accuracy", "error", "measured", "samples", "leads", "policy")
    fields = as_map(path, value, keys)
    leads = tuple(as_list(f"{path}.leads", fields["leads"]))
    policy = read_policy(f"{path}.policy", fields["policy"])
    with located(f"{path}."):
        return Calibration(**fields | {"leads": leads, "policy": policy})
