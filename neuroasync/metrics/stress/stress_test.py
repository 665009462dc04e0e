"""What one network does under stress: kinds of change at several strengths, with several seeds."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

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
from neuroasync.core.formats.orders.certificate import network_digest
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.core.model.checks import check_callback, check_int, check_type, must_be, shown
from neuroasync.core.model.model import Model
from neuroasync.metrics.orders.mode_runs import (
    check_modes,
    check_run,
    check_samples,
    labels_of,
    run_options,
    seeds_of,
)
from neuroasync.metrics.stress.changes import (
    check_fits,
    delayed,
    jittered_input,
    noisy_weights,
    quantised_weights,
    thinned_input,
    without_synapses,
)
from neuroasync.metrics.stress.report import StressedRun, StressReport
from neuroasync.metrics.stress.stresses import (
    Stress,
    check_stresses,
    default_stresses,
    parse_stresses,
)
from neuroasync.metrics.summary import summarise
from neuroasync.runtime.batch.job import BatchJob
from neuroasync.runtime.option_resolver import OptionResolver

__all__ = ["stress_test"]


def stress_test(
    bundle: Bundle,
    samples: SpikeTrains,
    stresses: Sequence[Stress] | str | None = None,
    *,
    seeds: int = 5,
    mode: PolicySpec | None = None,
    until: str = "quiet",
    seed: int = 0,
    first: int = 0,
    duration_us: Duration | None = None,
    on_run: Callable[[int, int], None] | None = None,
) -> StressReport:
    """Run a network without stress and under each stress, with several seeds.

    Args:
        bundle: The network.
        samples: At least one sample; labels over time are not supported.
        stresses: Stresses, or their text form, such as ``"input-loss 0.1,0.2; weight-bits"``.
            Defaults to :func:`default_stresses`.
        seeds: Number of seeds, from 1. What does not depend on seeds runs once.
        mode: The run mode. Defaults to the one that the network was trained for.
        until: The stop rule.
        seed: First seed: run k of a stress has the seed ``seed + k``.
        first: Number of the first sample.
        duration_us: Length of each sample, µs or such as ``"20ms"``. Defaults to the bundle's; if
            it has none, a sample ends with its last event. No stress makes a sample longer.
        on_run: Called with the number of runs that are done and the number of all runs.

    Raises:
        PolicyError, StopRuleError, ValueError: An argument is invalid, or a stress does not fit the
            network.
        EventsError: An event is not one of the network's inputs.
        ForwardStepLimitError, PassLimitError: A sample exceeded a limit.
        TypeError: ``bundle`` is no bundle.
    """
    check_type("bundle", bundle, Bundle)
    check_samples(samples)
    check_callback("on_run", on_run)
    first = check_run(until, first)
    if stresses is None:
        stresses = default_stresses(bundle.model)
    elif isinstance(stresses, str):
        stresses = parse_stresses(stresses, bundle.model)
    chosen = check_stresses(stresses)
    for stress in chosen:
        check_fits(stress, bundle.model)
    if mode is not None and not isinstance(mode, PolicySpec):
        raise ValueError(must_be("mode", "a PolicySpec or None", shown(mode)))
    count = check_int("seeds", seeds, 1, limits.MAX_CERTIFIED_ORDERS, ValueError)
    base = check_int("seed", check_seed(seed), 0, 2**64 - count, ValueError)
    length_us = optional_microseconds(duration_us, "duration_us", bundle.duration_us)
    test = _Test(bundle, samples, mode or bundle.policy, until, first, length_us)
    check_modes(bundle, until, [test.mode_under(cause) for cause in (None, *chosen)])
    plan = [(cause, base + k) for cause in (None, *chosen) for k in range(test.seeds(cause, count))]
    untouched: dict[int, NDArray[np.int64]] = {}
    targets = None if samples.labels is None else samples.labels.tolist()
    runs = []
    for cause, run_seed in plan:
        decisions = test.decide(cause, run_seed)
        labels = labels_of(decisions)
        if cause is None:
            untouched[run_seed] = labels
        same = float(np.mean(labels == untouched.get(run_seed, untouched[base])))
        summary = summarise(decisions, targets, neurons=bundle.model.size)
        runs.append(StressedRun(cause, run_seed, summary, same))
        if on_run is not None:
            on_run(len(runs), len(plan))
    return StressReport(
        tuple(runs), test.mode, until, base, first, len(samples), samples_digest(samples),
        network_digest(bundle.model, length_us),
    )  # fmt: skip


class _Test:
    """The network and the samples without stress, and how they run under one."""

    def __init__(
        self,
        bundle: Bundle,
        samples: SpikeTrains,
        mode: PolicySpec,
        until: str,
        first: int,
        duration_us: int | None,
    ) -> None:
        self.mode = mode
        self._bundle = replace(bundle, golden=())
        self._samples = samples
        self._until = until
        self._first = first
        self._duration_us = duration_us

    def seeds(self, stress: Stress | None, count: int) -> int:
        """Return the number of seeds under a stress: 1 if seeds make no difference."""
        is_random = stress is not None and stress.has_chance
        return count if is_random else seeds_of(self.mode_under(stress), count)

    def decide(self, stress: Stress | None, seed: int) -> list[Decision]:
        """Decide all samples under a stress."""
        model, samples, first = self._bundle.model, self._samples, self._first
        amount = 0 if stress is None else cast("float", stress.strength)
        match None if stress is None else stress.kind:
            case "input-loss":
                samples = thinned_input(samples, amount, seed, first)
            case "jitter":
                samples = jittered_input(samples, amount, seed, first, self._duration_us)
            case "weight-noise":
                model = noisy_weights(model, amount, seed)
            case "weight-bits":
                model = quantised_weights(model, int(amount))
            case "delay":
                model = delayed(model, int(amount))
            case "synapse-loss":
                return [
                    decision
                    for k in range(len(samples))
                    for decision in self._run(
                        without_synapses(model, amount, sample_seed(seed, first + k)),
                        self.mode, samples[k : k + 1], seed, first + k,
                    )
                ]  # fmt: skip
        return self._run(model, self.mode_under(stress), samples, seed, first)

    def mode_under(self, stress: Stress | None) -> PolicySpec:
        """Return the run mode under a stress."""
        if stress is not None and isinstance(stress.strength, PolicySpec):
            return stress.strength
        return self.mode

    def _run(
        self, model: Model, mode: PolicySpec, samples: SpikeTrains, seed: int, first: int
    ) -> list[Decision]:
        bundle = replace(self._bundle, model=model)
        resolver = OptionResolver(bundle, {"until": self._until}, ())
        plan = resolver.plan(resolver.resolve(run_options(mode)))
        duration_us = self._duration_us
        return BatchJob(plan, samples, seed, cores(), first=first, duration_us=duration_us).run()
