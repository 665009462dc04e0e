"""What one network does in many orders: run modes, each under several seeds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.cpu import cores
from neuroasync.core.durations import Duration, optional_microseconds
from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.run_settings import check_seed
from neuroasync.core.events.sample_bytes import samples_digest
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.bundle import Bundle, PolicySpec
from neuroasync.core.formats.orders.certificate import (
    CertifiedMode,
    OrderCertificate,
    network_digest,
)
from neuroasync.core.formats.orders.run_modes import RunModes, parse_run_modes
from neuroasync.core.model.checks import check_callback, check_int, check_type, must_be, shown
from neuroasync.metrics.orders.mode_runs import (
    check_modes,
    check_run,
    check_samples,
    labels_of,
    run_options,
    seeds_of,
)
from neuroasync.metrics.summary import Summary, summarise
from neuroasync.runtime.batch.job import BatchJob
from neuroasync.runtime.option_resolver import OptionResolver

__all__ = ["ALL_MODES", "ComparedRun", "ModeComparison", "compare_modes"]

ALL_MODES: Final = "layer-sync F=1,8; random,momentum,fifo F=1,8 prioritised,queued"
"""The run modes that are compared by default. The input mode does not change what layer-sync
decides."""


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """All samples in one order: a run mode with a seed.

    Attributes:
        mode: Ordering policy, group size and input mode.
        seed: Sample number i ran with ``sample_seed(seed, i)``.
        summary: Accuracy and cost.
        same_labels: Share of samples that have the same label as under ``layer-sync`` with
            prioritised input. No label is the same as no label.
    """

    mode: PolicySpec
    seed: int
    summary: Summary
    same_labels: float

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as a mapping."""
        mode = self.mode
        start: dict[str, Any] = {
            "policy": mode.name, "group_size": mode.group_size, "input": mode.input,
            "noise": mode.noise, "seed": self.seed, "same_labels": self.same_labels,
        }  # fmt: skip
        return start | self.summary.to_json()


@dataclass(frozen=True, slots=True)
class ModeComparison:
    """A network in many orders.

    Attributes:
        runs: One run for each order, mode by mode, with ascending seeds.
        certificate: Accuracy in all of these orders, with a statement of what was sampled. None if
            the samples have no labels. ``dataclasses.replace(bundle, certificate=...)`` stores it.
    """

    runs: tuple[ComparedRun, ...]
    certificate: OrderCertificate | None

    def by_mode(self) -> Iterator[tuple[PolicySpec, list[ComparedRun]]]:
        """Yield each run mode with its runs."""
        for mode in dict.fromkeys(run.mode for run in self.runs):
            yield mode, [run for run in self.runs if run.mode == mode]


def compare_modes(
    bundle: Bundle,
    samples: SpikeTrains,
    modes: RunModes | str = ALL_MODES,
    *,
    orders: int = 1,
    until: str = "quiet",
    seed: int = 0,
    first: int = 0,
    duration_us: Duration | None = None,
    on_run: Callable[[int, int], None] | None = None,
) -> ModeComparison:
    """Run a network in several run modes, each under several seeds.

    Args:
        bundle: The network.
        samples: At least one sample; labels over time are not supported.
        modes: Run modes, or their text form, such as ``"random F=1,8 queued; momentum F=8"``. Their
            weights count in the mean of the certificate.
        orders: Number of seeds for each run mode, from 1. Modes in which seeds make no difference
            run once: only random order and a noise of momentum depend on them.
        until: The stop rule.
        seed: First seed: order k of a mode runs with ``seed + k``. In an order with seed s, sample
            number i runs with ``sample_seed(s, i)``.
        first: Number of the first sample.
        duration_us: Length of each sample, µs or such as ``"20ms"``. Defaults to the bundle's; if
            it has none, a sample ends with its last event.
        on_run: Called with the number of runs that are done and the number of all runs.

    Raises:
        PolicyError, StopRuleError, ValueError: An argument is invalid.
        EventsError: An event is not one of the network's inputs.
        ForwardStepLimitError, PassLimitError: A sample exceeded a limit.
        TypeError: ``bundle`` is no bundle.
    """
    check_type("bundle", bundle, Bundle)
    check_samples(samples)
    check_callback("on_run", on_run)
    first = check_run(until, first)
    modes = parse_run_modes(modes) if isinstance(modes, str) else modes
    if not isinstance(modes, RunModes):
        raise ValueError(must_be("modes", "RunModes or their text form", shown(modes)))
    count = check_int("orders", orders, 1, limits.MAX_CERTIFIED_ORDERS, ValueError)
    base = check_int("seed", check_seed(seed), 0, 2**64 - count, ValueError)
    length_us = optional_microseconds(duration_us, "duration_us", bundle.duration_us)
    check_modes(bundle, until, (PolicySpec(), *modes.modes))
    resolver = OptionResolver(bundle, {"until": until}, ())

    def decide(mode: PolicySpec, order_seed: int) -> list[Decision]:
        plan = resolver.plan(resolver.resolve(run_options(mode)))
        job = BatchJob(plan, samples, order_seed, cores(), first=first, duration_us=length_us)
        return job.run()

    layered = labels_of(decide(PolicySpec(), base))
    targets = None if samples.labels is None else samples.labels.tolist()
    pairs = [(mode, base + k) for mode in modes.modes for k in range(seeds_of(mode, count))]
    runs: list[ComparedRun] = []
    right: list[NDArray[np.bool_]] = []
    for mode, order_seed in pairs:
        decisions = decide(mode, order_seed)
        summary = summarise(decisions, targets, neurons=bundle.model.size)
        labels = labels_of(decisions)
        runs.append(ComparedRun(mode, order_seed, summary, float(np.mean(labels == layered))))
        right.append(labels == samples.labels)
        if on_run is not None:
            on_run(len(runs), len(pairs))
    if samples.labels is None:
        return ModeComparison(tuple(runs), None)
    correct: dict[PolicySpec, list[int]] = {mode: [] for mode in modes.modes}
    for (mode, _), hits in zip(pairs, right, strict=True):
        correct[mode].append(int(hits.sum()))
    certificate = OrderCertificate(
        network_sha256=network_digest(bundle.model, length_us),
        samples=len(samples),
        samples_sha256=samples_digest(samples),
        first=first,
        seed=base,
        until=until,
        modes=tuple(CertifiedMode(mode, tuple(correct[mode]), weight) for mode, weight in modes),
        always_correct=int(np.logical_and.reduce(right).sum()),
    )
    return ModeComparison(tuple(runs), certificate)
