"""The description of a recorded run: everything in a recording except its arrays.

In a file it is a JSON map with these keys in this order, without white space and in ASCII
(``json.dumps`` with ``separators=(",", ":")``); ``versions`` is sorted by key. A reader rejects
every other form. The keys are the fields of :class:`RunInfo`, but ``custom_policy`` is called
``own_policy`` and ``custom_populations`` is called ``own_populations``::

    {"bundle": text, "policy": text, "own_policy": bool, "noise": float, "group_size": int,
     "input": text, "until": text, "max_forward_steps": int, "populations": [[text, int], ..],
     "inputs": int, "output": text, "own_populations": [text, ..], "versions": {text: text}}
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from neuroasync import limits
from neuroasync.core.engine.policies import LayerSync, Momentum, custom_policy, policy_name
from neuroasync.core.engine.run_settings import InputMode, RunSettings
from neuroasync.core.engine.stop_rules import StopRule
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.model.checks import must_be, shown
from neuroasync.errors import RecordingError

__all__ = ["CUSTOM_STOP_RULE", "MAX_INFO_BYTES", "RunInfo", "dump_info", "parse_info", "run_info"]

MAX_INFO_BYTES: Final = 2**23
"""Bytes of the longest JSON text that is parsed."""

CUSTOM_STOP_RULE: Final = "custom"
"""Text that stands for a stop rule that is a function."""

_POLICIES: Final = ("layer-sync", "random", "momentum", "fifo")

_FILE_KEYS: Final = {"custom_policy": "own_policy", "custom_populations": "own_populations"}
"""Keys in the file of the fields whose name differs from the key."""


@dataclass(frozen=True)
class RunInfo:
    """The description of a recorded run.

    Attributes:
        bundle: digest of the bundle's network, 64 hexadecimal digits.
        policy: name of the ordering policy.
        custom_policy: whether the policy is an object of the caller. A recording does not contain
            it, so such a run can be replayed in its recorded order, but not rerun.
        noise: λ of the momentum policy.
        group_size: maximum number of spikes per forward step, F.
        input: ``"prioritised"`` or ``"queued"``.
        until: text of the stop rule, or ``"custom"`` for a function.
        max_forward_steps: maximum number of forward steps of a pass.
        populations: name and number of neurons of each population.
        inputs: number of input indices.
        output: name of the output population.
        custom_populations: names of the populations that were replaced by coroutines.
        versions: versions of the packages that made the recording, by name.

    Raises:
        RecordingError: a field has the wrong type or is out of range.
    """

    bundle: str
    policy: str
    custom_policy: bool
    noise: float
    group_size: int
    input: InputMode
    until: str
    max_forward_steps: int
    populations: tuple[tuple[str, int], ...]
    inputs: int
    output: str
    custom_populations: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check every field."""
        is_digest = isinstance(self.bundle, str) and len(self.bundle) == 64
        _check(is_digest and set(self.bundle) <= set("0123456789abcdef"), "bundle", self.bundle)
        for name in ("policy", "until", "output"):
            text = getattr(self, name)
            # The text of a stop rule may contain a lead for each pass.
            max_chars = limits.MAX_TEXT_CHARS if name == "until" else limits.MAX_NAME_CHARS
            _check(isinstance(text, str) and 0 < len(text) <= max_chars, name, text)
        _check(type(self.custom_policy) is bool, "custom_policy", self.custom_policy)
        _check(self.custom_policy or self.policy in _POLICIES, "policy", self.policy)
        _check(type(self.noise) is float and 0 <= self.noise <= 2**53, "noise", self.noise)
        _check(self.input in ("prioritised", "queued"), "input", self.input)
        for name, maximum in (
            ("group_size", 2**62),
            ("max_forward_steps", limits.FORWARD_STEPS_HARD_LIMIT),
            ("inputs", limits.MAX_INPUTS),
        ):
            value = getattr(self, name)
            _check(type(value) is int and 1 <= value <= maximum, name, value)
        self._check_populations()

    @property
    def has_turns(self) -> bool:
        """Whether populations have turns: the policy is layer-sync."""
        return self.policy == LayerSync().name and not self.custom_policy

    def _check_populations(self) -> None:
        names = [name for name, _ in self.populations]
        sizes = [size for _, size in self.populations]
        are_valid = (
            all(type(size) is int and size > 0 for size in sizes)
            and 0 < sum(sizes) <= limits.MAX_NEURONS
            and all(type(name) is str for name in names)
            and len(set(names)) == len(names)
        )
        _check(are_valid, "populations", self.populations)
        _check(self.output in names, "output", self.output)
        are_known = set(self.custom_populations) <= set(names)
        _check(are_known, "custom_populations", self.custom_populations)

    @cached_property
    def neurons(self) -> int:
        """Number of neurons of the network, N."""
        return sum(size for _, size in self.populations)

    @cached_property
    def classes(self) -> int:
        """Number of neurons of the output population."""
        return dict(self.populations)[self.output]

    def place(self, origin: int) -> tuple[str, int]:
        """Return population and position of neuron ``origin``; from N on, it is an input index."""
        start = 0
        for name, size in self.populations:
            if origin < start + size:
                return name, origin - start
            start += size
        return "input", origin - start

    def describe(self, origin: int) -> str:
        """Return a text for messages, such as ``neuron 41 (hidden2[9])`` or ``input 17``."""
        name, position = self.place(origin)
        if origin >= self.neurons:
            return f"input {position}"
        return f"neuron {origin} ({name}[{position}])"


def run_info(bundle: Bundle, settings: RunSettings) -> RunInfo:
    """Return the description of a run of ``bundle`` with ``settings``."""
    policy, until, model = settings.policy, settings.until, bundle.model
    return RunInfo(
        bundle=bundle.digest.hex(),
        policy=policy_name(policy),
        custom_policy=custom_policy(policy) is not None,
        noise=float(policy.noise) if isinstance(policy, Momentum) else 0.0,
        group_size=settings.group_size,
        input=settings.input,
        until=str(until) if isinstance(until, StopRule) else CUSTOM_STOP_RULE,
        max_forward_steps=settings.max_forward_steps,
        populations=tuple((p.name, p.size) for p in model.populations),
        inputs=model.input_size,
        output=model.output,
        versions={name: _version(name) for name in ("neuroasync", "numba", "numpy")},
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def dump_info(info: RunInfo) -> bytes:
    """Return ``info`` as JSON. Equal values give equal bytes."""
    values = asdict(info) | {"versions": dict(sorted(info.versions.items()))}
    by_key = {_FILE_KEYS.get(name, name): value for name, value in values.items()}
    return json.dumps(by_key, ensure_ascii=True, separators=(",", ":")).encode()


def parse_info(text: bytes) -> RunInfo:
    """Return the description in a JSON text.

    Raises:
        RecordingError: the text is damaged, too long, or not in the form of :func:`dump_info`.
    """
    if len(text) > MAX_INFO_BYTES:
        raise RecordingError(f"`info` has {len(text)} bytes, the limit is {MAX_INFO_BYTES}")
    try:
        by_key = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _not_readable(error, "it is nested too deeply") from error
    names = {_FILE_KEYS.get(f.name, f.name): f.name for f in fields(RunInfo)}
    if not isinstance(by_key, dict) or list(by_key) != list(names):
        raise RecordingError(must_be("info", f"a map of {list(names)}", shown(by_key)))
    try:
        info = RunInfo(**{names[key]: value for key, value in _with_tuples(by_key).items()})
        is_canonical = dump_info(info) == text
    except RecordingError:
        raise
    except (TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise _not_readable(error, "it is damaged") from error
    if not is_canonical:
        raise RecordingError("`info` is not in the form that this package writes; it was changed")
    return info


def _not_readable(error: Exception, default: str) -> RecordingError:
    return RecordingError(f"`info` cannot be read: {str(error) or default:.200}")


def _with_tuples(by_key: dict[str, Any]) -> dict[str, Any]:
    """Return the values with tuples where JSON has only lists."""
    versions = by_key["versions"]
    if not all(type(text) is str for text in versions.values()):
        raise RecordingError(must_be("info.versions", "a map from text to text", shown(versions)))
    return by_key | {
        "populations": tuple((name, size) for name, size in by_key["populations"]),
        "own_populations": tuple(by_key["own_populations"]),
        "versions": dict(versions),
    }


def _check(holds: bool, name: str, value: object) -> None:
    if not holds:
        raise RecordingError(f"`info.{_FILE_KEYS.get(name, name)}` is invalid: {shown(value)}")
