"""The options of a network: defaults, stop rules of its bundle, and cached execution plans."""

import math
import re
from collections import deque
from collections.abc import Callable, Collection
from typing import Final

from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import Momentum, custom_policy, make_policy, policy_name
from neuroasync.core.engine.run_settings import RunOptions, RunSettings
from neuroasync.core.engine.stop_rules import Progress, StopRule, parse_stop_rule
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.formats.bundle_calibration import Calibration
from neuroasync.core.formats.bundle_golden import PolicySpec
from neuroasync.errors import StopRuleError

__all__ = ["OptionResolver"]

_MAX_PLANS: Final = 16
_HINT: Final = "calibrate it with `neuroasync calibrate` or `neuroasync.metrics.calibrate`"
_OPTIONS: Final = tuple(RunOptions.__annotations__)


class OptionResolver:
    """Turns the options of a call into run settings, and run settings into execution plans.

    Args:
        bundle: the network. The order it was trained with is the default.
        options: the network's default options.
        custom_populations: names of the populations that a custom coroutine replaces.

    Raises:
        PolicyError, StopRuleError, ValueError: an option is invalid.
        TypeError: an option does not exist.

    Attributes:
        defaults: the settings of a call without options.
    """

    def __init__(
        self, bundle: Bundle, options: RunOptions, custom_populations: Collection[str]
    ) -> None:
        self._bundle = bundle
        self._custom_populations = custom_populations
        self._default_until = options.get("until")
        trained = bundle.policy
        self.defaults = RunSettings(
            make_policy(trained.name, trained.noise), trained.group_size, trained.input
        )
        self.defaults = self._with_options(options)
        self._packed = PackedNetwork(bundle.model, custom_populations)
        self._plans: deque[ExecutionPlan] = deque(maxlen=_MAX_PLANS)

    def __getstate__(self) -> dict[str, object]:
        """Return the state of a pickle or a copy, which has no plans: they are made when needed."""
        return self.__dict__ | {"_plans": deque(maxlen=_MAX_PLANS)}

    def resolve(self, options: RunOptions) -> RunSettings:
        """Return the settings of a call with ``options``.

        ``confidence(p)`` becomes the stop rule that the bundle was calibrated to, and ``trained``
        the one that was chosen when the network was trained.

        Raises:
            StopRuleError: the bundle is not calibrated for that p with this order, group size and
                input mode, custom populations make the calibration invalid, or the bundle states no
                rule.
            PolicyError, StopRuleError, ValueError: an option is invalid.
            TypeError: an option does not exist.
        """
        if not options:
            return self.defaults
        if options.get("until") is None:
            # The default confidence(p) selects a different stop rule under a different policy.
            options = {**options, "until": self._default_until}
        return self._with_options(options)

    def plan(self, settings: RunSettings) -> ExecutionPlan:
        """Return the execution plan for ``settings``; the most recent plans are cached."""
        for plan in self._plans:
            if plan.run is settings or plan.run == settings:
                return plan
        valid = () if self._custom_populations else self._calibrations(settings)
        self._plans.append(plan := ExecutionPlan(self._packed, settings, calibrations=valid))
        return plan

    def _calibrations(self, settings: RunSettings) -> tuple[Calibration, ...]:
        """Return the bundle's calibrations for a policy, a group size and an input mode."""
        spec = _spec(settings)
        return tuple(c for c in self._bundle.calibration if c.policy == spec)

    def _with_options(self, options: RunOptions) -> RunSettings:
        for name in options:
            if name not in _OPTIONS:
                raise TypeError(
                    f"{name!r:.80} is not an option; the options are {', '.join(_OPTIONS)}"
                )
        until = options.get("until")
        if until == "trained":
            trained: RunOptions = {**options, "until": self._trained_rule()}
            return self.defaults.with_changes(**trained)
        if not isinstance(until, str) or not until.startswith("confidence"):
            return self.defaults.with_changes(**options)
        other_options: RunOptions = {**options, "until": None}
        settings = self.defaults.with_changes(**other_options)
        calibration = self._calibration(settings, until)
        return settings.with_changes(until=StopRule("margin", calibration.leads))

    def _trained_rule(self) -> StopRule | Callable[[Progress], bool]:
        """Return the stop rule that the training has chosen and written into the meta."""
        text = self._bundle.meta.get("until")
        if not isinstance(text, str):
            known = [f"confidence({c.accuracy})" for c in self._bundle.calibration]
            hint = f"; it is calibrated for {', '.join(known)}"[:200] if known else ""
            raise StopRuleError(
                "`until` is 'trained', but the bundle does not state the stop rule of its training "
                f"(`until` in its meta){hint}"
            )
        try:
            return parse_stop_rule(text)
        except StopRuleError as error:
            raise StopRuleError(f"`until` is 'trained', but in the bundle's meta {error}") from None

    def _calibration(self, settings: RunSettings, until: str) -> Calibration:
        accuracy = _accuracy(until)
        if accuracy is None:
            raise StopRuleError(
                "`until` must be confidence(p) with p between 0 and 1, such as confidence(0.95), "
                f"got {until!r:.80}"
            )
        if self._custom_populations:
            names = ", ".join(map(repr, self._custom_populations))
            raise StopRuleError(
                f"`until` is {until!r}, whose calibration is not valid with custom populations "
                f"({names:.200}); use margin(..) instead"
            )
        calibrations = self._bundle.calibration
        if not calibrations:
            raise StopRuleError(f"`until` is {until!r}, but the bundle has no calibration; {_HINT}")
        matching = self._calibrations(settings)
        if not matching:
            spec = _spec(settings)
            available = ", or ".join(dict.fromkeys(_text(c.policy) for c in calibrations))
            actual = "a custom policy" if spec is None else _text(spec)
            raise StopRuleError(
                f"`until` is {until!r}, but the bundle is calibrated for {available:.200}, and "
                f"this call uses {actual}; {_HINT} for that"
            )
        for calibration in matching:
            if calibration.accuracy == accuracy:
                return calibration
        available = ", ".join(f"confidence({c.accuracy})" for c in matching)
        raise StopRuleError(
            f"`until` is {until!r}, but the bundle is calibrated for {available}; {_HINT} for "
            "other values"
        )


def _accuracy(until: str) -> float | None:
    """Return the p of ``confidence(p)``; None if it is not a number between 0 and 1."""
    match = re.fullmatch(r"confidence\(([^()]{1,30})\)", until)
    try:
        accuracy = float(match[1]) if match else math.nan
    except ValueError:
        return None
    return accuracy if 0 < accuracy < 1 else None


def _spec(settings: RunSettings) -> PolicySpec | None:
    """Return order, group size and input mode as data; None if the policy is a custom one."""
    policy = settings.policy
    if custom_policy(policy) is not None:
        return None
    noise = policy.noise if isinstance(policy, Momentum) else 0.0
    return PolicySpec(policy_name(policy), settings.group_size, settings.input, noise)


def _text(policy: PolicySpec) -> str:
    noise = f", noise {policy.noise}" if policy.noise else ""
    return f"{policy.name}, F = {policy.group_size}, {policy.input} input{noise}"
