"""How a recording was made, and of what: the part of it that is no array."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from neuroasync import limits
from neuroasync.core.engine.policies import Momentum, custom_policy, policy_name
from neuroasync.core.engine.run_settings import InputMode, RunSettings
from neuroasync.core.engine.stop_rules import StopRule
from neuroasync.core.formats.bundle import Bundle
from neuroasync.errors import RecordingError

__all__ = ["CUSTOM", "MAX_INFO_BYTES", "RunInfo", "dump_info", "parse_info", "run_info"]

MAX_INFO_BYTES: Final = 2**23
"""Longest JSON text that is parsed."""

CUSTOM: Final = "custom"
"""Stands for a stop rule that is a function of the user's."""

_POLICIES: Final = ("layer-sync", "random", "momentum", "fifo")


@dataclass(frozen=True)
class RunInfo:
    """How a recording was made.

    Attributes:
        bundle: digest of the bundle's network, hex.
        policy: name of the ordering policy.
        own_policy: it is an object of the user's, so that only its recorded order can be rerun.
        noise: λ of the momentum order.
        group_size: F.
        input: ``"prioritised"`` or ``"queued"``.
        until: the stop rule as it is written, or ``"custom"`` for a function of the user's.
        max_forward_steps: bound on the forward steps of a pass.
        populations: name and number of neurons of each.
        inputs: number of input indices.
        output: name of the output population.
        own_populations: those that coroutines of the user's stood in for.
        versions: of what it was made with, by name.

    Raises:
        RecordingError: a field is of another type or out of range.
    """

    bundle: str
    policy: str
    own_policy: bool
    noise: float
    group_size: int
    input: InputMode
    until: str
    max_forward_steps: int
    populations: tuple[tuple[str, int], ...]
    inputs: int
    output: str
    own_populations: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check every field."""
        digits = isinstance(self.bundle, str) and len(self.bundle) == 64
        _check(digits and set(self.bundle) <= set("0123456789abcdef"), "bundle", self.bundle)
        for name in ("policy", "until", "output"):
            value = getattr(self, name)
            # A stop rule may have a lead for each pass.
            most = limits.MAX_TEXT_CHARS if name == "until" else limits.MAX_NAME_CHARS
            _check(isinstance(value, str) and 0 < len(value) <= most, name, value)
        _check(type(self.own_policy) is bool, "own_policy", self.own_policy)
        _check(self.own_policy or self.policy in _POLICIES, "policy", self.policy)
        _check(type(self.noise) is float and 0 <= self.noise <= 2**53, "noise", self.noise)
        _check(self.input in ("prioritised", "queued"), "input", self.input)
        for name in ("group_size", "max_forward_steps", "inputs"):
            value = getattr(self, name)
            _check(type(value) is int and 1 <= value <= 2**62, name, value)
        sizes = [size for _, size in self.populations]
        _check(all(type(n) is int and n > 0 for n in sizes), "populations", self.populations)
        _check(0 < sum(sizes) <= limits.MAX_NEURONS, "populations", self.populations)
        most = limits.FORWARD_STEPS_CEILING
        _check(self.max_forward_steps <= most, "max_forward_steps", self.max_forward_steps)
        _check(self.inputs <= limits.MAX_INPUTS, "inputs", self.inputs)
        names = [name for name, _ in self.populations]
        _check(all(type(name) is str for name in names), "populations", self.populations)
        _check(len(set(names)) == len(names), "populations", self.populations)
        _check(self.output in names, "output", self.output)
        _check(set(self.own_populations) <= set(names), "own_populations", self.own_populations)

    @cached_property
    def neurons(self) -> int:
        """Neurons of the network, N."""
        return sum(size for _, size in self.populations)

    @cached_property
    def classes(self) -> int:
        """Neurons of the output."""
        return dict(self.populations)[self.output]

    def place(self, origin: int) -> tuple[str, int]:
        """Population and position of neuron ``origin``; the input's from N on."""
        start = 0
        for name, size in self.populations:
            if origin < start + size:
                return name, origin - start
            start += size
        return "input", origin - start

    def describe(self, origin: int) -> str:
        """For messages: ``neuron 41 (hidden2[9])``, or ``input 17``."""
        name, position = self.place(origin)
        if origin >= self.neurons:
            return f"input {position}"
        return f"neuron {origin} ({name}[{position}])"


def run_info(bundle: Bundle, settings: RunSettings) -> RunInfo:
    """What a recording of ``bundle``, run with ``settings``, says of them."""
    policy, until, model = settings.policy, settings.until, bundle.model
    return RunInfo(
        bundle=bundle.digest.hex(),
        policy=policy_name(policy),
        own_policy=custom_policy(policy) is not None,
        noise=float(policy.noise) if isinstance(policy, Momentum) else 0.0,
        group_size=settings.group_size,
        input=settings.input,
        until=str(until) if isinstance(until, StopRule) else CUSTOM,
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
    """The JSON text of ``info``; the same info gives the same bytes."""
    fields_of = asdict(info) | {"versions": dict(sorted(info.versions.items()))}
    return json.dumps(fields_of, ensure_ascii=True, separators=(",", ":")).encode()


def parse_info(text: bytes) -> RunInfo:
    """The info in a JSON text.

    Raises:
        RecordingError: the text is damaged, too long, or not written as :func:`dump_info` does.
    """
    if len(text) > MAX_INFO_BYTES:
        raise RecordingError(f"info: {len(text)} bytes, the limit is {MAX_INFO_BYTES}")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordingError(f"info: {str(error) or 'nested too deep':.200}") from error
    known = [f.name for f in fields(RunInfo)]
    if not isinstance(value, dict) or list(value) != known:
        raise RecordingError(f"info: {value!r:.80}, expected a map of {known}")
    try:
        info = RunInfo(**value | _tuples(value))
        canonical = dump_info(info) == text
    except RecordingError:
        raise
    except (TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise RecordingError(f"info: {str(error) or 'damaged':.200}") from error
    if not canonical:
        raise RecordingError("info: not written as this package writes it; it was changed")
    return info


def _tuples(value: dict[str, Any]) -> dict[str, Any]:
    """The fields that JSON knows only as lists and maps."""
    versions = value["versions"]
    if not all(type(text) is str for text in versions.values()):
        raise RecordingError(f"info: versions {versions!r:.80}, expected texts by name")
    return {
        "populations": tuple((name, size) for name, size in value["populations"]),
        "own_populations": tuple(value["own_populations"]),
        "versions": dict(versions),
    }


def _check(holds: bool, name: str, value: object) -> None:
    if not holds:
        raise RecordingError(f"info: {name} {value!r:.80} is not valid")
