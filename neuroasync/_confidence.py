"""``until="confidence(p)"``: the stop rule that a bundle was calibrated to."""

import re

from neuroasync._calibration import Calibration
from neuroasync._golden import PolicySpec
from neuroasync.bundle import Bundle
from neuroasync.decision import StopRule, Until
from neuroasync.errors import StopRuleError
from neuroasync.policies import Momentum, own_policy, policy_name
from neuroasync.settings import RunOptions, RunSettings

__all__ = ["settled"]

_HOW = "calibrate it by `neuroasync calibrate` or `neuroasync.metrics.calibrate`"


def settled(bundle: Bundle, settings: RunSettings, options: RunOptions) -> RunSettings:
    """``settings`` with what is in ``options``, ``confidence(p)`` as the rule it stands for.

    Raises:
        StopRuleError: the bundle is not calibrated for that p, under this order, group size and
            input mode.
        PolicyError, StopRuleError, ValueError: an option is not valid.
    """
    until = options.get("until")
    if not isinstance(until, str) or not until.startswith("confidence"):
        return settings.with_changes(**options)
    others: RunOptions = {**options, "until": None}
    settings = settings.with_changes(**others)
    found = _calibration(bundle, settings, until)
    return settings.with_changes(until=StopRule("margin", found.leads))


def _calibration(bundle: Bundle, settings: RunSettings, until: Until) -> Calibration:
    match = re.fullmatch(r"confidence\(([0-9]?\.[0-9]{1,15})\)", str(until))
    if match is None:
        raise StopRuleError(
            f"until: {until!r:.80}, expected confidence(p) with p between 0 and 1, such as "
            "confidence(0.95)"
        )
    if not bundle.calibration:
        raise StopRuleError(f"until: {until!r} needs a calibration, the bundle has none; {_HOW}")
    spec = _spec(settings)
    fit = [c for c in bundle.calibration if c.policy == spec]
    if not fit:
        known = ", or ".join(dict.fromkeys(_told(c.policy) for c in bundle.calibration))
        raise StopRuleError(
            f"until: {until!r}, the bundle is calibrated for {known:.200}; this runs under "
            f"{'a policy of your own' if spec is None else _told(spec)}; {_HOW} for that"
        )
    for calibration in fit:
        if calibration.accuracy == float(match[1]):
            return calibration
    known = ", ".join(f"confidence({c.accuracy})" for c in fit)
    raise StopRuleError(
        f"until: {until!r}, the bundle is calibrated for {known}; {_HOW} for others"
    )


def _spec(settings: RunSettings) -> PolicySpec | None:
    """Order, group size and input mode as data; None if the order is the user's own."""
    policy = settings.policy
    if own_policy(policy) is not None:
        return None
    noise = policy.noise if isinstance(policy, Momentum) else 0.0
    return PolicySpec(policy_name(policy), settings.group_size, settings.input, noise)


def _told(policy: PolicySpec) -> str:
    noise = f", noise {policy.noise}" if policy.noise else ""
    return f"{policy.name}, F = {policy.group_size}, {policy.input} input{noise}"
