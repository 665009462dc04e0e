"""What a bundle says beside its network: the policy it is for, and golden samples."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.formats.field_checks import array_map, as_array, as_map, located
from neuroasync.core.model.model import check_int
from neuroasync.errors import BundleError

__all__ = ["GoldenSample", "PolicySpec", "golden_map", "policy_map", "read_golden", "read_policy"]

_POLICIES: Final = ("layer-sync", "random", "momentum", "fifo")
_INPUTS: Final = ("prioritised", "queued")
_MAX_NOISE: Final = 2**53
_POLICY_KEYS: Final = ("input", "noise")
"""The optional ones, which stand beside the name in a policy and in a golden sample."""


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """Which pending spikes go next, as data.

    Attributes:
        name: ``"layer-sync"``, ``"random"``, ``"momentum"`` or ``"fifo"``.
        group_size: pending spikes that one forward step may deliver.
        input: deliver the input first (``"prioritised"``), or queue it with all other spikes.
        noise: λ that is added to the momentum as ``λ · uniform[0, 1)``; for momentum only.

    Raises:
        BundleError: there is no such policy.
    """

    name: str = "layer-sync"
    group_size: int = 1
    input: Literal["prioritised", "queued"] = "prioritised"
    noise: float = 0.0

    def __post_init__(self) -> None:
        """Check every field."""
        _check_among("name", self.name, _POLICIES)
        _check_among("input", self.input, _INPUTS)
        with located():
            check_int("group_size", self.group_size, 1, 2**31 - 1)
        noise = self.noise
        if type(noise) not in (int, float) or not 0 <= noise <= _MAX_NOISE:
            raise BundleError(f"noise: {noise!r:.80}, expected a number from 0 to 2**53")
        if noise and self.name != "momentum":
            raise BundleError(f"noise: {noise!r:.80}, expected 0 with policy {self.name!r}")
        object.__setattr__(self, "noise", float(noise))


@dataclass(frozen=True, slots=True)
class GoldenSample:
    """An input sample, and the digest of the recording that it must give.

    Attributes:
        events: the sample.
        policy: that it was decided under.
        seed: of the policy, from 0 to 2**64 - 1.
        label: that was decided; None for no label.
        spikes_sha256: 32 bytes, digest of the recording's rows.

    Raises:
        BundleError: a field is out of range.
    """

    events: SpikeTrain
    policy: PolicySpec = field(default_factory=PolicySpec)
    seed: int = 0
    label: int | None = None
    spikes_sha256: bytes = bytes(32)

    def __post_init__(self) -> None:
        """Check every field; events are checked against the input by the bundle."""
        with located():
            check_int("seed", self.seed, 0, 2**64 - 1)
            if self.label is not None:
                check_int("label", self.label, 0, 2**31 - 1)
        if not isinstance(self.spikes_sha256, bytes) or len(self.spikes_sha256) != 32:
            raise BundleError(f"spikes_sha256: {self.spikes_sha256!r:.80}, expected 32 bytes")


def policy_map(policy: PolicySpec) -> dict[str, Any]:
    """Return ``policy`` as a map in a fixed order, defaults left out."""
    fields: dict[str, Any] = {"name": policy.name, "group_size": policy.group_size}
    return fields | _policy_options(policy)


def read_policy(where: str, value: object) -> PolicySpec:
    """Return the policy in a map, or raise BundleError with its path."""
    fields = as_map(where, value, ("name", "group_size"), _POLICY_KEYS)
    with located(f"{where}."):
        return PolicySpec(**fields)


def golden_map(golden: GoldenSample) -> dict[str, Any]:
    """Return ``golden`` as a map in a fixed order, defaults left out."""
    events = {
        "t_us": array_map(golden.events.t_us, "<i8"),
        "index": array_map(golden.events.index, "<i8"),
    }
    return {
        "events": events,
        "policy": golden.policy.name,
        "group_size": golden.policy.group_size,
        **_policy_options(golden.policy),
        "seed": golden.seed,
        "label": golden.label,
        "spikes_sha256": golden.spikes_sha256,
    }


def read_golden(where: str, value: object) -> GoldenSample:
    """Return the golden sample in a map, or raise BundleError with its path."""
    required = ("events", "policy", "group_size", "seed", "label", "spikes_sha256")
    fields = as_map(where, value, required, _POLICY_KEYS)
    at = f"{where}.events"
    events = as_map(at, fields["events"], ("t_us", "index"))
    t_us, index = (as_array(f"{at}.{key}", events[key], "<i8") for key in ("t_us", "index"))
    with located(f"{at}."):
        # Copies: a view would keep the whole file in memory.
        train = SpikeTrain(np.array(t_us, np.int64), np.array(index, np.int64))
    name = fields["policy"]
    _check_among(f"{where}.policy", name, _POLICIES)
    options = {key: fields[key] for key in _POLICY_KEYS if key in fields}
    digest = fields["spikes_sha256"]
    with located(f"{where}."):
        return GoldenSample(
            train,
            PolicySpec(name, fields["group_size"], **options),
            fields["seed"],
            fields["label"],
            bytes(digest) if isinstance(digest, memoryview) else digest,
        )


def _policy_options(policy: PolicySpec) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if policy.input != "prioritised":
        options["input"] = policy.input
    if policy.noise:
        options["noise"] = policy.noise
    return options


def _check_among(where: str, value: object, known: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in known:
        raise BundleError(f"{where}: {value!r:.80}, expected one of {list(known)}")
