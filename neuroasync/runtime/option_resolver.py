"""``until="confidence(p)"``: the stop rule that a bundle was calibrated to."""

import math
import re
from collections.abc import Collection
from typing import Final

from neuroasync.core.engine.policies import Momentum, custom_policy, policy_name
from neuroasync.core.engine.run_settings import RunOptions, RunSettings
from neuroasync.core.engine.stop_rules import StopRule, StopRuleLike
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.formats.bundle_calibration import Calibration
from neuroasync.core.formats.bundle_golden import PolicySpec
from neuroasync.errors import StopRuleError

__all__ = ["settled"]

_HOW = "calibrate it by `neuroasync calibrate` or `neuroasync.metrics.calibrate`"
_OPTIONS: Final = tuple(RunOptions.__annotations__)


def settled(
    bundle: Bundle, settings: RunSettings, options: RunOptions, own: Collection[str]
) -> RunSettings:
    """``settings`` with what is in ``options``, ``confidence(p)`` as the rule it stands for.

    Args:
        bundle: the network.
        settings: how it is run otherwise.
        options: what is other than there.
        own: names of populations that a coroutine of the user's stands in for.

    Raises:
        StopRuleError: the bundle is not calibrated for that p, under this order, group size and
            input mode, with its own populations.
        PolicyError, StopRuleError, ValueError: an option is not valid.
        TypeError: there is no such option.
    """
    for name in options:
        if name not in _OPTIONS:
            raise TypeError(f"{name!r:.80}: no such option, expected one of {', '.join(_OPTIONS)}")
    until = options.get("until")
    if not isinstance(until, str) or not until.startswith("confidence"):
        return settings.with_changes(**options)
    others: RunOptions = {**options, "until": None}
    settings = settings.with_changes(**others)
    found = _calibration(bundle, settings, until, own)
    return settings.with_changes(until=StopRule("margin", found.leads))


def _calibration(
    bundle: Bundle, settings: RunSettings, until: StopRuleLike, own: Collection[str]
) -> Calibration:
    accuracy = _accuracy(str(until))
    if accuracy is None:
        raise StopRuleError(
            f"until: {until!r:.80}, expected confidence(p) with p between 0 and 1, such as "
            "confidence(0.95)"
        )
    if own:
        raise StopRuleError(
            f"until: {until!r} holds for the network's own populations; a coroutine of "
            f"yours stands in for {', '.join(map(repr, own)):.200}. Give margin(..) instead"
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
        if calibration.accuracy == accuracy:
            return calibration
    known = ", ".join(f"confidence({c.accuracy})" for c in fit)
    raise StopRuleError(
        f"until: {until!r}, the bundle is calibrated for {known}; {_HOW} for others"
    )


def _accuracy(until: str) -> float | None:
    """The p of ``confidence(p)``; None if it is not a number between 0 and 1."""
    match = re.fullmatch(r"confidence\(([^()]{1,30})\)", until)
    try:
        accuracy = float(match[1]) if match else math.nan
    except ValueError:
        return None
    return accuracy if 0 < accuracy < 1 else None


def _spec(settings: RunSettings) -> PolicySpec | None:
    """Order, group size and input mode as data; None if the order is the user's own."""
    policy = settings.policy
    if custom_policy(policy) is not None:
        return None
    noise = policy.noise if isinstance(policy, Momentum) else 0.0
    return PolicySpec(policy_name(policy), settings.group_size, settings.input, noise)


def _told(policy: PolicySpec) -> str:
    noise = f", noise {policy.noise}" if policy.noise else ""
    return f"{policy.name}, F = {policy.group_size}, {policy.input} input{noise}"
