"""What one network does under every ordering policy, group size and input mode."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final, get_args

import numpy as np

from neuroasync.core.cpu import cores
from neuroasync.core.durations import Duration, optional_microseconds
from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.policies import PolicyName
from neuroasync.core.engine.run_settings import InputMode, RunOptions, check_seed
from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.core.formats.bundle import Bundle
from neuroasync.metrics import Summary, summarise
from neuroasync.runtime.batch.job import BatchJob
from neuroasync.runtime.option_resolver import OptionResolver

__all__ = ["GROUP_SIZES", "INPUT_MODES", "POLICIES", "ComparedRun", "compare"]

POLICIES: Final[tuple[PolicyName, ...]] = get_args(PolicyName)
"""All built-in ordering policies."""
GROUP_SIZES: Final = (1, 8)
"""The group sizes that are compared by default."""
INPUT_MODES: Final[tuple[InputMode, ...]] = get_args(InputMode)
"""All input modes."""


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """All samples under one ordering policy, group size and input mode.

    Attributes:
        policy: The ordering policy.
        group_size: F, the maximum number of pending spikes that a forward step delivers.
        input: The input mode.
        summary: Accuracy and cost.
        same_labels: Share of samples that have the same label as under ``layer-sync`` with
            prioritised input. No label is the same as no label.
    """

    policy: PolicyName
    group_size: int
    input: InputMode
    summary: Summary
    same_labels: float

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as a mapping."""
        start = {"policy": self.policy, "group_size": self.group_size, "input": self.input}
        return start | {"same_labels": self.same_labels} | self.summary.to_json()


def compare(
    bundle: Bundle,
    samples: SpikeTrains,
    *,
    policies: Sequence[PolicyName] = POLICIES,
    group_sizes: Sequence[int] = GROUP_SIZES,
    inputs: Sequence[InputMode] = INPUT_MODES,
    until: str = "quiet",
    seed: int = 0,
    first: int = 0,
    duration_us: Duration | None = None,
    on_run: Callable[[int], None] | None = None,
) -> list[ComparedRun]:
    """Run a network under every combination of ordering policy, group size and input mode.

    Args:
        bundle: The network.
        samples: At least one sample.
        policies: The ordering policies.
        group_sizes: The group sizes F.
        inputs: The input modes.
        until: The stop rule.
        seed: Sample number i runs with ``sample_seed(seed, i)`` in all runs.
        first: Number of the first sample.
        duration_us: Length of each sample, µs or such as ``"20ms"``. Defaults to the bundle's; if
            it has none, a sample ends with its last event.
        on_run: Called with the number of runs that are done.

    Returns:
        One run per combination, in the order of the arguments.

    Raises:
        PolicyError, StopRuleError, ValueError: An argument is invalid.
        EventsError: An event is not one of the network's inputs.
        ForwardStepLimitError, PassLimitError: A sample exceeded a limit.
    """
    if not len(samples):
        raise ValueError("`samples` must have at least one sample, got none")
    length_us = optional_microseconds(duration_us, "duration_us", bundle.duration_us)
    resolver, base = OptionResolver(bundle, {"until": until}, ()), check_seed(seed)

    def decide(policy: PolicyName, group_size: int, mode: InputMode) -> list[Decision]:
        options: RunOptions = {"policy": policy, "group_size": group_size, "input": mode}
        plan = resolver.plan(resolver.resolve(options))
        return BatchJob(plan, samples, base, cores(), first=first, duration_us=length_us).run()

    layered = _labels(decide("layer-sync", 1, "prioritised"))
    targets = None if samples.labels is None else samples.labels.tolist()
    runs: list[ComparedRun] = []
    for policy, mode, size in product(policies, inputs, group_sizes):
        decisions = decide(policy, size, mode)
        summary = summarise(decisions, targets, neurons=bundle.model.size)
        same = float(np.mean(_labels(decisions) == layered))
        runs.append(ComparedRun(policy, size, mode, summary, same))
        if on_run is not None:
            on_run(len(runs))
    return runs


def _labels(decisions: Sequence[Decision]) -> Any:
    return np.array([-1 if d.label is None else d.label for d in decisions])
