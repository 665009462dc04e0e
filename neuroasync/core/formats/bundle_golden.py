"""The policy that a bundle's network is meant for, and its golden samples."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from neuroasync import limits
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.formats.field_checks import (
    array_map,
    as_array,
    as_choice,
    as_map,
    check_number,
    located,
)
from neuroasync.core.model.checks import check_int, check_ints, must_be, shown
from neuroasync.errors import BundleError

__all__ = [
    "GoldenSample",
    "PolicySpec",
    "check_golden",
    "golden_map",
    "policy_map",
    "read_golden",
    "read_policy",
]

_POLICIES: Final = ("layer-sync", "random", "momentum", "fifo")
_INPUTS: Final = ("prioritised", "queued")
_MAX_NOISE: Final = 2**53
_POLICY_KEYS: Final = ("input", "noise")
"""Optional keys of a policy. A golden sample has them too, next to the name of its policy."""


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """An ordering policy as data: which pending spikes are delivered next.

    Attributes:
        name: ``"layer-sync"``, ``"random"``, ``"momentum"`` or ``"fifo"``.
        group_size: maximum number of pending spikes that one forward step delivers.
        input: ``"prioritised"`` delivers the input before all spikes, ``"queued"`` adds it to the
            pending spikes.
        noise: λ of the term ``λ · uniform[0, 1)`` that is added to the momentum; for
            ``"momentum"`` only.

    Raises:
        BundleError: a field is out of range.
    """

    name: str = "layer-sync"
    group_size: int = 1
    input: Literal["prioritised", "queued"] = "prioritised"
    noise: float = 0.0

    def __post_init__(self) -> None:
        """Check every field."""
        as_choice("name", self.name, _POLICIES)
        as_choice("input", self.input, _INPUTS)
        check_ints(self, {"group_size": (1, 2**31 - 1)}, BundleError)
        noise = check_number("noise", self.noise, 0, _MAX_NOISE, "of at least 0")
        if noise and self.name != "momentum":
            raise BundleError(must_be("noise", f"0 for policy {self.name!r}", shown(self.noise)))
        object.__setattr__(self, "noise", noise)


@dataclass(frozen=True, slots=True)
class GoldenSample:
    """An input sample with the digest of the spikes that it must produce.

    Attributes:
        events: the input events of the sample.
        policy: ordering policy that the sample was run with.
        seed: seed of the sample's order keys, from 0 to 2**64 - 1.
        label: label of the decision; None if there was none.
        spikes_sha256: 32 bytes, digest of the recorded spikes as
            :func:`~neuroasync.core.recording.recording.rows_digest` computes it.

    Raises:
        BundleError: a field is out of range.
    """

    events: SpikeTrain
    policy: PolicySpec = field(default_factory=PolicySpec)
    seed: int = 0
    label: int | None = None
    spikes_sha256: bytes = bytes(32)

    def __post_init__(self) -> None:
        """Check every field. The bundle checks that the events fit the input."""
        check_ints(self, {"seed": (0, 2**64 - 1)}, BundleError)
        if self.label is not None:
            check_ints(self, {"label": (0, 2**31 - 1)}, BundleError)
        if not isinstance(self.spikes_sha256, bytes) or len(self.spikes_sha256) != 32:
            raise BundleError(must_be("spikes_sha256", "32 bytes", shown(self.spikes_sha256)))


def policy_map(policy: PolicySpec) -> dict[str, Any]:
    """Return ``policy`` as a map with keys in the order of the format, without defaults."""
    fields: dict[str, Any] = {"name": policy.name, "group_size": policy.group_size}
    return fields | _policy_options(policy)


def read_policy(path: str, value: object) -> PolicySpec:
    """Return the policy in a map.

    Raises:
        BundleError: the map is invalid. The message starts with ``path``.
    """
    fields = as_map(path, value, ("name", "group_size"), _POLICY_KEYS)
    with located(f"{path}."):
        return PolicySpec(**fields)


def check_golden(
    golden: tuple[GoldenSample, ...], inputs: int, outputs: int, duration_us: int | None
) -> None:
    """Check that golden samples fit a network.

    Args:
        golden: the samples.
        inputs: number of inputs of the network.
        outputs: number of its output neurons.
        duration_us: length of each sample, µs; None if it ends with its last event.

    Raises:
        NeuroasyncError: there are too many, or one does not fit.
    """
    if len(golden) > limits.MAX_GOLDEN:
        requirement = f"a list of at most {limits.MAX_GOLDEN} samples"
        raise BundleError(must_be("golden", requirement, f"{len(golden)}"))
    for k, sample in enumerate(golden):
        with located(f"golden[{k}].events."):
            sample.events.check_indices(inputs)
        last_us = int(sample.events.t_us[-1]) if len(sample.events) else -1
        if duration_us is not None and last_us >= duration_us:
            requirement = f"below `duration_us` ({duration_us})"
            raise BundleError(must_be(f"golden[{k}].events.t_us[-1]", requirement, str(last_us)))
        if sample.label is not None:
            check_int(f"golden[{k}].label", sample.label, 0, outputs - 1)


def golden_map(golden: GoldenSample) -> dict[str, Any]:
    """Return ``golden`` as a map with keys in the order of the format, without defaults."""
    events = {
        "t_us": array_map(golden.events.t_us, "<i8"),
        "index": array_map(golden.events.index, "<i8"),
    }
    if golden.events.value is not None:
        events["value"] = array_map(golden.events.value, "<f4")
    return {
        "events": events,
        "policy": golden.policy.name,
        "group_size": golden.policy.group_size,
        **_policy_options(golden.policy),
        "seed": golden.seed,
        "label": golden.label,
        "spikes_sha256": golden.spikes_sha256,
    }


def read_golden(path: str, value: object) -> GoldenSample:
    """Return the golden sample in a map.

    Raises:
        BundleError: the map is invalid. The message starts with ``path``.
    """
    required = ("events", "policy", "group_size", "seed", "label", "spikes_sha256")
    fields = as_map(path, value, required, _POLICY_KEYS)
    events_path = f"{path}.events"
    events = as_map(events_path, fields["events"], ("t_us", "index"), ("value",))
    t_us, index = (
        as_array(f"{events_path}.{key}", events[key], "<i8") for key in ("t_us", "index")
    )
    value = None
    if "value" in events:
        value = np.array(as_array(f"{events_path}.value", events["value"], "<f4"))
    with located(f"{events_path}."):
        # Copy the arrays, because a view would keep the whole file in memory.
        train = SpikeTrain(np.array(t_us, np.int64), np.array(index, np.int64), value)
    name = as_choice(f"{path}.policy", fields["policy"], _POLICIES)
    options = {key: fields[key] for key in _POLICY_KEYS if key in fields}
    digest = fields["spikes_sha256"]
    with located(f"{path}."):
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
