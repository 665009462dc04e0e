"""Run settings: ordering policy, group size, input mode, stop rule and limits, and their errors."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import MethodType
from typing import Literal, TypeAlias, TypedDict

from neuroasync import limits
from neuroasync.core.engine.policies import (
    LayerSync,
    Policy,
    PolicyName,
    custom_policy,
    make_policy,
    policy_name,
)
from neuroasync.core.engine.stop_rules import (
    Progress,
    StopRule,
    Until,
    parse_stop_rule,
    short_rule,
)
from neuroasync.core.model.checks import as_integer, check_ints, did_you_mean, must_be, shown
from neuroasync.core.model.model import Model
from neuroasync.errors import ForwardStepLimitError, PassLimitError

__all__ = [
    "Engine",
    "InputMode",
    "RunOptions",
    "RunSettings",
    "check_seed",
    "forward_step_limit_error",
    "pass_limit_error",
]

InputMode: TypeAlias = Literal["prioritised", "queued"]
"""Whether the input of a pass is delivered first or joins the pending spikes."""

Engine: TypeAlias = Literal["auto", "coroutines", "compiled"]
"""The engine: a coroutine per population or one compiled kernel, with equal results."""


@dataclass(frozen=True, slots=True, eq=False)
class RunSettings:
    """Settings for running a network.

    Custom policies and stop rules are equal only if they are the same object: one that calls itself
    equal to another may still have a state of its own.

    Attributes:
        policy: which pending spikes are delivered next.
        group_size: F, how many pending spikes one forward step may deliver, from 1.
        input: ``"prioritised"``: the input of a pass is delivered first, as one group;
            ``"queued"``: each input event becomes a pending spike, and the policy orders it.
        until: the stop rule.
        max_forward_steps: bound on the forward steps of a pass.
        max_passes: bound on the passes of a sample.
        engine: ``"compiled"`` runs whole passes in one kernel; ``"coroutines"`` runs each
            population in a coroutine. ``"auto"`` uses the compiled engine unless a population is
            tapped or custom, or the policy or the stop rule is custom.

    Raises:
        PolicyError, StopRuleError, ValueError: a setting is not valid.
    """

    policy: Policy = field(default_factory=LayerSync)
    group_size: int = 1
    input: InputMode = "prioritised"
    until: StopRule | Callable[[Progress], bool] = field(default_factory=StopRule)
    max_forward_steps: int = limits.MAX_FORWARD_STEPS
    engine: Engine = "auto"
    max_passes: int = limits.MAX_PASSES

    def __post_init__(self) -> None:
        """Check the settings."""
        make_policy(self.policy)
        ranges = {
            "group_size": (1, 2**31 - 1),
            "max_forward_steps": (1, limits.FORWARD_STEPS_HARD_LIMIT),
            "max_passes": (1, limits.MAX_PASSES),
        }
        check_ints(self, ranges, ValueError)
        if self.input not in ("prioritised", "queued"):
            hint = did_you_mean(self.input, ("prioritised", "queued"))
            raise ValueError(
                must_be("input", "'prioritised' or 'queued'", shown(self.input)) + hint
            )
        if self.engine not in ("auto", "coroutines", "compiled"):
            engines = "'auto', 'coroutines' or 'compiled'"
            raise ValueError(must_be("engine", engines, shown(self.engine)))

    def __eq__(self, other: object) -> bool:
        """Return whether both run a network in the same way."""
        return self._key() == other._key() if isinstance(other, RunSettings) else NotImplemented

    def __hash__(self) -> int:
        """Return a hash that fits the equality."""
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        policy = self.policy if custom_policy(self.policy) is None else id(self.policy)
        # Each access to a method makes another object; equal ones have the same owner.
        is_plain = isinstance(self.until, StopRule | MethodType)
        until = self.until if is_plain else id(self.until)
        sizes = self.group_size, self.max_forward_steps, self.max_passes
        return policy, until, self.input, self.engine, sizes

    @property
    def summary(self) -> str:
        """One line with policy, group size, input mode and stop rule, as options of a call."""
        rule = self.until
        until = repr(short_rule(str(rule))) if isinstance(rule, StopRule) else f"{rule!r:.80}"
        return (
            f"policy={policy_name(self.policy)!r}, group_size={self.group_size}, "
            f"input={self.input!r}, until={until}"
        )

    def with_changes(
        self,
        policy: PolicyName | Policy | None = None,
        group_size: int | None = None,
        input: InputMode | None = None,  # noqa: A002  # the same name as the field
        until: Until | None = None,
        max_forward_steps: int | None = None,
        engine: Engine | None = None,
        max_passes: int | None = None,
    ) -> "RunSettings":
        """Return a copy in which the arguments that are not None replace the settings."""
        return RunSettings(
            self.policy if policy is None else make_policy(policy),
            self.group_size if group_size is None else group_size,
            self.input if input is None else input,
            self.until if until is None else parse_stop_rule(until),
            self.max_forward_steps if max_forward_steps is None else max_forward_steps,
            self.engine if engine is None else engine,
            self.max_passes if max_passes is None else max_passes,
        )


class RunOptions(TypedDict, total=False):
    """Run options; an option that is missing or None keeps the network's setting.

    Attributes:
        policy: name of a policy, or a policy.
        group_size: F, how many pending spikes one forward step may deliver.
        input: ``"prioritised"`` or ``"queued"``.
        until: the stop rule.
        max_forward_steps: bound on the forward steps of a pass.
        engine: ``"auto"``, ``"coroutines"`` or ``"compiled"``.
        max_passes: bound on the passes of a sample.
    """

    policy: PolicyName | Policy | None
    group_size: int | None
    input: InputMode | None
    until: Until | None
    max_forward_steps: int | None
    engine: Engine | None
    max_passes: int | None


def check_seed(seed: object) -> int:
    """Return ``seed`` as an int; raise ValueError unless it is an unsigned 64-bit integer."""
    number = as_integer(seed)
    if number is None or not 0 <= number < 2**64:
        raise ValueError(must_be("seed", "an integer from 0 to 2**64 - 1", shown(seed)))
    return number


def forward_step_limit_error(
    place: str, settings: RunSettings, model: Model, owner: int
) -> ForwardStepLimitError:
    """Return the error of a pass that did not end.

    Args:
        place: the pass, such as ``"pass 3 (t = 3000 µs)"``.
        settings: the run settings.
        model: the network.
        owner: position of the population that fired last in the pass, or -1.
    """
    latest = "no population fired, because the input is queued"
    if owner >= 0:
        latest = f"population {model.populations[owner].name!r} was the last to fire"
    return ForwardStepLimitError(
        f"{place} did not end within max_forward_steps = {settings.max_forward_steps}; {latest}. "
        "Raise the limit, or make the populations of the loop refractory"
    )


def pass_limit_error(passes: int, time_us: int, settings: RunSettings) -> PassLimitError:
    """Return the error of a sample that needs another pass after ``passes``, at ``time_us`` µs."""
    return PassLimitError(
        f"the sample took {passes} passes by t = {time_us} µs; the limit is {settings.max_passes}"
    )
