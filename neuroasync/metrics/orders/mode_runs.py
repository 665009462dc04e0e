"""What measurements in several run modes share: options, seeds, labels and checks."""

from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.policies import Momentum, Policy, PolicyName
from neuroasync.core.engine.run_settings import RunOptions
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.bundle import Bundle, PolicySpec
from neuroasync.core.model.checks import check_int, must_be, shown
from neuroasync.runtime.option_resolver import OptionResolver

__all__ = ["check_modes", "check_run", "check_samples", "labels_of", "run_options", "seeds_of"]


def check_samples(samples: SpikeTrains) -> None:
    """Raise ValueError if there is no sample, or if the samples have labels over time."""
    if not isinstance(samples, SpikeTrains):
        requirement = "SpikeTrains, such as a part of a data set"
        raise ValueError(must_be("samples", requirement, type(samples).__name__))
    if not len(samples):
        raise ValueError("`samples` must have at least one sample, got none")
    if samples.labels_over_time is not None:
        requirement = "samples with one label each, or without labels"
        raise ValueError(must_be("samples", requirement, "labels over time"))


def check_run(until: str, first: int) -> int:
    """Return ``first`` as an int; raise ValueError if it, or the type of ``until``, is invalid."""
    if not isinstance(until, str):
        raise ValueError(must_be("until", "the text of a stop rule", shown(until)))
    return check_int("first", first, 0, limits.MAX_TIME_US, ValueError)


def check_modes(bundle: Bundle, until: str, modes: Iterable[PolicySpec]) -> None:
    """Check that a network can run in all modes with a stop rule, before it runs in any.

    Raises:
        StopRuleError: The bundle is not calibrated for a mode.
    """
    resolver = OptionResolver(bundle, {"until": until}, ())
    for mode in modes:
        resolver.resolve(run_options(mode))


def run_options(mode: PolicySpec) -> RunOptions:
    """Return a run mode as options of the runtime."""
    policy: PolicyName | Policy = cast("PolicyName", mode.name)
    if mode.noise:
        policy = Momentum(mode.noise)
    return {"policy": policy, "group_size": mode.group_size, "input": mode.input}


def seeds_of(mode: PolicySpec, count: int) -> int:
    """Return the number of seeds that a run mode runs with: 1 if seeds make no difference."""
    return count if mode.name == "random" or mode.noise else 1


def labels_of(decisions: Sequence[Decision]) -> NDArray[np.int64]:
    """Return the labels of decisions, i64[samples]; -1 stands for no label."""
    return np.array([-1 if d.label is None else d.label for d in decisions], np.int64)
