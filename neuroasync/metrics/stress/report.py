"""Reports of what a network does under stress."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from neuroasync.core.formats.bundle import PolicySpec
from neuroasync.core.formats.orders.run_modes import mode_text
from neuroasync.core.model.checks import must_be, shown
from neuroasync.metrics.mean import Mean
from neuroasync.metrics.stress.stresses import Stress
from neuroasync.metrics.summary import Summary

__all__ = ["StressReport", "StressedRun"]


@dataclass(frozen=True, slots=True)
class StressedRun:
    """All samples under one stress, with one seed.

    Attributes:
        stress: The stress; None for the run without any.
        seed: Seed of the random numbers of the stress, and of the order: sample number i ran with
            ``sample_seed(seed, i)``.
        summary: Accuracy and cost.
        same_labels: Share of samples that have the same label as without stress and with the same
            seed. No label is the same as no label.
    """

    stress: Stress | None
    seed: int
    summary: Summary
    same_labels: float

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as a mapping, without wall times: equal runs give equal bytes."""
        stress, flat = self.stress, self.summary.to_json()
        del flat["latency_ms"]
        start = {
            "kind": None if stress is None else stress.kind,
            "strength": None if stress is None else _plain(stress.strength),
            "seed": self.seed,
            "same_labels": self.same_labels,
        }
        return start | flat


@dataclass(frozen=True, slots=True)
class StressReport:
    """What a network does under stress, and what was sampled.

    It states what was measured, and promises nothing about samples, seeds or strengths that were
    not.

    Attributes:
        runs: The runs without stress, then the runs of each stress, with ascending seeds.
        mode: The run mode of all runs but those of the kind ``"order"``.
        until: The stop rule.
        seed: The first seed.
        first: Number of the first sample.
        samples: Number of samples.
        samples_sha256: 32 bytes, SHA-256 of the samples, as in :class:`OrderCertificate`.
        network_sha256: 32 bytes, SHA-256 of the network without stress, as in
            :class:`OrderCertificate`.
    """

    runs: tuple[StressedRun, ...]
    mode: PolicySpec
    until: str
    seed: int
    first: int
    samples: int
    samples_sha256: bytes
    network_sha256: bytes

    def by_stress(self) -> Iterator[tuple[Stress | None, list[StressedRun]]]:
        """Yield each stress with its runs, first None with those without stress."""
        for stress in dict.fromkeys(run.stress for run in self.runs):
            yield stress, [run for run in self.runs if run.stress == stress]

    def mean(self, stress: Stress | None, name: str) -> Mean | None:
        """Return the mean over seeds of a value of the summaries, with its standard error.

        Args:
            stress: One of the stresses, or None.
            name: Attribute of :class:`Summary`, such as ``"accuracy"``.

        Returns:
            The mean; None if the summaries do not have the value.

        Raises:
            ValueError: The stress did not run, or the summaries have no such number.
        """
        values = [getattr(run.summary, name, "") for run in self._runs(stress)]
        numbers = [value for value in values if isinstance(value, int | float)]
        if len(numbers) < len(values) and any(value is not None for value in values):
            raise ValueError(must_be("name", "a number of the class Summary", shown(name)))
        return Mean.of(numbers) if numbers else None

    def same_labels(self, stress: Stress | None) -> Mean:
        """Return the mean share of samples that have the same label as without stress.

        Raises:
            ValueError: The stress did not run.
        """
        return Mean.of(run.same_labels for run in self._runs(stress))

    def to_json(self) -> dict[str, Any]:
        """Return the runs, means with standard errors, and what was sampled, as a mapping."""
        return {
            "mode": mode_text(self.mode),
            "until": self.until,
            "seed": self.seed,
            "first": self.first,
            "samples": self.samples,
            "samples_sha256": self.samples_sha256.hex(),
            "network_sha256": self.network_sha256.hex(),
            "stresses": [self._row(stress) for stress, _ in self.by_stress()],
            "runs": [run.to_json() for run in self.runs],
        }

    def _runs(self, stress: Stress | None) -> list[StressedRun]:
        runs = [run for run in self.runs if run.stress == stress]
        if not runs:
            raise ValueError(must_be("stress", "one that the report has", str(stress)))
        return runs

    def _row(self, stress: Stress | None) -> dict[str, Any]:
        row: dict[str, Any] = {
            "kind": None if stress is None else stress.kind,
            "strength": None if stress is None else _plain(stress.strength),
            "seeds": len(self._runs(stress)),
            "same_labels": self.same_labels(stress).value,
        }
        for name in ("accuracy", "spikes_per_sample", "rounds_per_sample"):
            mean = self.mean(stress, name)
            row[name] = None if mean is None else mean.value
            row[f"{name}_error"] = None if mean is None else mean.error
        return row


def _plain(strength: float | PolicySpec) -> float | str:
    return mode_text(strength) if isinstance(strength, PolicySpec) else strength
