"""Certificates: how accurate a network is in sampled orders, and what was sampled."""

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import msgpack

from neuroasync import limits
from neuroasync.core.formats.bundle_golden import PolicySpec, policy_map, read_policy
from neuroasync.core.formats.bundle_model import model_map
from neuroasync.core.formats.field_checks import as_list, as_map, located
from neuroasync.core.model.checks import check_int, check_ints, check_text, must_be, shown
from neuroasync.core.model.model import Model
from neuroasync.errors import BundleError

__all__ = [
    "CertifiedMode",
    "OrderCertificate",
    "certificate_map",
    "network_digest",
    "read_certificate",
]

_MODE_KEYS: Final = ("policy", "correct")
_KEYS: Final = (
    "network_sha256", "samples", "samples_sha256", "first", "seed", "until", "modes",
    "always_correct",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CertifiedMode:
    """The result of one run mode in a certificate.

    Attributes:
        mode: ordering policy, group size and input mode.
        correct: number of samples that were decided correctly, for each order in turn: order k ran
            with the seed ``OrderCertificate.seed + k``. A mode in which seeds make no difference
            has a single order.
        weight: weight of the mode in the mean, at least 1.

    Raises:
        BundleError: a field is out of range.
    """

    mode: PolicySpec
    correct: tuple[int, ...]
    weight: int = 1

    def __post_init__(self) -> None:
        """Check every field."""
        if not isinstance(self.mode, PolicySpec):
            raise BundleError(must_be("policy", "a PolicySpec", shown(self.mode)))
        check_ints(self, {"weight": (1, limits.MAX_MODE_WEIGHT)}, BundleError)
        most = limits.MAX_CERTIFIED_ORDERS
        if not isinstance(self.correct, tuple) or not 1 <= len(self.correct) <= most:
            raise BundleError(
                must_be("correct", f"a tuple of 1 to {most} integers", shown(self.correct))
            )
        counts = tuple(
            check_int(f"correct[{k}]", count, 0, 2**53, BundleError)
            for k, count in enumerate(self.correct)
        )
        object.__setattr__(self, "correct", counts)


@dataclass(frozen=True, slots=True)
class OrderCertificate:
    """The accuracy of a network in sampled orders: every run mode, under several seeds.

    It states what was measured, and promises nothing about orders or samples that were not. An
    *order* is a run mode with a seed.

    Attributes:
        network_sha256: 32 bytes, :func:`network_digest` of the network. A bundle drops the
            certificate of other weights.
        samples: number of samples that ran in each order.
        samples_sha256: 32 bytes, SHA-256 of the samples: times, input indices, offsets and labels
            as little-endian int64, then the values of the events, if they have any, as float32.
        first: number of the first sample. In an order with seed s, sample number i runs with
            ``sample_seed(s, i)``.
        seed: seed of the first order of each mode.
        until: the stop rule.
        modes: result of each run mode; all different, at least one.
        always_correct: number of samples that were decided correctly in every order.

    Raises:
        BundleError: a field is out of range, or the numbers contradict each other.
    """

    network_sha256: bytes
    samples: int
    samples_sha256: bytes
    first: int
    seed: int
    until: str
    modes: tuple[CertifiedMode, ...]
    always_correct: int

    def __post_init__(self) -> None:
        """Check every field."""
        for name in ("network_sha256", "samples_sha256"):
            value = getattr(self, name)
            if not isinstance(value, bytes) or len(value) != 32:
                raise BundleError(must_be(name, "32 bytes", shown(value)))
        ranges = {"samples": (1, 2**53), "first": (0, 2**53), "seed": (0, 2**64 - 1)}
        check_ints(self, ranges, BundleError)
        with located():
            check_text("until", self.until, limits.MAX_TEXT_CHARS)
        self._check_modes()
        lowest = min(min(entry.correct) for entry in self.modes)
        check_ints(self, {"always_correct": (0, lowest)}, BundleError)

    def _check_modes(self) -> None:
        """Check the results of the run modes."""
        modes = self.modes
        if not isinstance(modes, tuple) or not 1 <= len(modes) <= limits.MAX_RUN_MODES:
            requirement = f"a tuple of 1 to {limits.MAX_RUN_MODES} run modes"
            raise BundleError(must_be("modes", requirement, shown(modes)))
        seen: set[PolicySpec] = set()
        for k, entry in enumerate(modes):
            if not isinstance(entry, CertifiedMode):
                raise BundleError(must_be(f"modes[{k}]", "a CertifiedMode", shown(entry)))
            if entry.mode in seen:
                requirement = "different from all policies before it"
                raise BundleError(must_be(f"modes[{k}].policy", requirement, shown(entry.mode)))
            seen.add(entry.mode)
            for n, count in enumerate(entry.correct):
                check_int(f"modes[{k}].correct[{n}]", count, 0, self.samples, BundleError)
            if self.seed + len(entry.correct) > 2**64:
                requirement = f"a list of at most {2**64 - self.seed} orders, because of `seed`"
                raise BundleError(must_be(f"modes[{k}].correct", requirement, "more"))

    def holds_for(self, model: Model, duration_us: int | None) -> bool:
        """Return whether it was measured with this network and this length of samples (µs)."""
        return self.network_sha256 == network_digest(model, duration_us)

    @property
    def orders(self) -> int:
        """Number of orders: run modes, each with its seeds."""
        return sum(len(entry.correct) for entry in self.modes)

    @property
    def worst(self) -> float:
        """Accuracy in the worst order, from 0 to 1."""
        return min(min(entry.correct) for entry in self.modes) / self.samples

    @property
    def worst_order(self) -> tuple[PolicySpec, int]:
        """Run mode and seed of the worst order, the first of several."""
        worst = min(self.modes, key=lambda entry: min(entry.correct))
        return worst.mode, self.seed + worst.correct.index(min(worst.correct))

    @property
    def mean(self) -> float:
        """Mean accuracy of the run modes, by weight. That of a mode is the mean of its orders."""
        total = sum(entry.weight for entry in self.modes)
        return sum(entry.weight * self.accuracy(entry) for entry in self.modes) / total

    @property
    def spread(self) -> float:
        """Accuracy in the best order minus that in the worst."""
        return max(max(entry.correct) for entry in self.modes) / self.samples - self.worst

    @property
    def always(self) -> float:
        """Share of the samples that were decided correctly in every order, from 0 to 1."""
        return self.always_correct / self.samples

    def accuracy(self, entry: CertifiedMode) -> float:
        """Return the mean accuracy of the orders of a run mode, from 0 to 1."""
        return sum(entry.correct) / len(entry.correct) / self.samples


def network_digest(model: Model, duration_us: int | None) -> bytes:
    """Return the SHA-256 of what decides a sample: the network, and the length of the sample."""
    body = {**model_map(model), "duration_us": duration_us}
    return hashlib.sha256(msgpack.packb(body)).digest()


def certificate_map(certificate: OrderCertificate) -> dict[str, Any]:
    """Return ``certificate`` as a map with keys in the order of the format, without defaults."""
    modes: list[dict[str, Any]] = []
    for entry in certificate.modes:
        fields = {"policy": policy_map(entry.mode), "correct": list(entry.correct)}
        modes.append(fields | ({} if entry.weight == 1 else {"weight": entry.weight}))
    return {key: getattr(certificate, key) for key in _KEYS} | {"modes": modes}


def read_certificate(
    path: str, value: object, model: Model, duration_us: int | None
) -> OrderCertificate:
    """Return the certificate in a map.

    Args:
        path: path of the map.
        value: the map.
        model: the network that was certified.
        duration_us: length of its samples, µs, or None.

    Raises:
        BundleError: the map is invalid, or the certificate is for another network. The message
            starts with ``path``.
    """
    fields = as_map(path, value, _KEYS)
    entries = as_list(f"{path}.modes", fields["modes"])
    modes = tuple(_read_mode(f"{path}.modes[{k}]", entry) for k, entry in enumerate(entries))
    digests = {
        key: bytes(data) if isinstance(data := fields[key], memoryview) else data
        for key in ("network_sha256", "samples_sha256")
    }
    with located(f"{path}."):
        certificate = OrderCertificate(**fields | digests | {"modes": modes})
    if not certificate.holds_for(model, duration_us):
        digest = network_digest(model, duration_us).hex()
        requirement = f"{digest}, the digest of the network and of the length of its samples"
        found = certificate.network_sha256.hex()
        raise BundleError(must_be(f"{path}.network_sha256", requirement, found))
    return certificate


def _read_mode(path: str, value: object) -> CertifiedMode:
    fields = as_map(path, value, _MODE_KEYS, ("weight",))
    policy = read_policy(f"{path}.policy", fields["policy"])
    correct = tuple(as_list(f"{path}.correct", fields["correct"]))
    with located(f"{path}."):
        return CertifiedMode(policy, correct, fields.get("weight", 1))
