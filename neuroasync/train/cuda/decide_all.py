"""Decides a data set on a GPU, or on the cores of the CPU."""

import logging
from collections.abc import Iterable
from typing import Unpack

from neuroasync import limits
from neuroasync.core.cpu import cores
from neuroasync.core.durations import Duration, optional_microseconds
from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import custom_policy, policy_name
from neuroasync.core.engine.run_sample import check_sample
from neuroasync.core.engine.run_settings import RunOptions, check_seed
from neuroasync.core.events.spike_train import Events
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.model.checks import check_int, check_type, must_be
from neuroasync.runtime.batch.decide_all import Samples, check_samples
from neuroasync.runtime.batch.job import BatchJob
from neuroasync.runtime.option_resolver import OptionResolver
from neuroasync.train.cuda.decider import CudaDecider
from neuroasync.train.cuda.selection import (
    Device,
    current_launcher,
    has_engine,
    unsupported_feature,
)
from neuroasync.train.loop.torch_state import own_torch_state

__all__ = ["decide_all"]

_log = logging.getLogger("neuroasync.train")


def decide_all(
    bundle: Bundle,
    samples: Samples | Iterable[Events],
    *,
    device: Device = "auto",
    seed: int = 0,
    first: int = 0,
    duration_us: Duration | None = None,
    **options: Unpack[RunOptions],
) -> list[Decision]:
    """Decide each sample of a data set, from rest, on a GPU or on all cores of the CPU.

    The decisions are those of :meth:`neuroasync.Network.decide_all`, to the bit. This function
    blocks; ``await asyncio.to_thread(decide_all, ..)`` does not.

    Args:
        bundle: The network.
        samples: The data set.
        device: ``"cuda"``, ``"cpu"``, or ``"auto"``, which takes the CUDA engine if there is a
            device, cuda-core is installed, and the engine supports the network and the samples.
        seed: Seed of the data set: sample number i runs with ``sample_seed(seed, i)``.
        first: Number of the first sample.
        duration_us: Length of each sample, µs or such as ``"20ms"``. Defaults to the bundle's; if
            that is None as well, a sample ends with its last event.
        **options: Options that differ from those of the training; see
            :class:`neuroasync.RunOptions`. The policy and the stop rule must be built in, and the
            engine must not be ``coroutines``.

    Returns:
        The decisions, in the order of the samples. On a GPU, ``wall_s`` is an equal share of the
        time that a chunk of samples took.

    Raises:
        TypeError: ``bundle`` is no bundle, or an option does not exist.
        ValueError: An argument is out of range, or the CUDA engine is asked for and not available,
            or it does not support the network or the samples.
        PolicyError, StopRuleError: An option is invalid.
        EventsError: ``samples`` is no data set, or events are not valid for this network.
        ForwardStepLimitError, LimitError: A sample exceeded a limit; a note has its number.
    """
    check_type("bundle", bundle, Bundle)
    seed = check_seed(seed)
    first = check_int("first", first, 0, limits.MAX_TIME_US, ValueError)
    samples = check_samples(samples)
    length_us = optional_microseconds(duration_us, "duration_us", bundle.duration_us)
    resolver = OptionResolver(bundle, options, ())
    plan = resolver.plan(resolver.defaults)
    _check_built_in(plan)
    if has_engine(device):
        packed = PackedNetwork(bundle.model, contiguous=True)
        plan = ExecutionPlan(packed, plan.run, calibrations=plan.layout.calibrations)
        feature = _unsupported(plan, samples)
        if feature is None:
            return _decide_on_gpu(plan, bundle, samples, seed, first, length_us)
        if device == "cuda":
            raise ValueError(f"the CUDA engine does not support {feature}; use device='cpu'")
        _log.info("the CUDA engine does not support %s, so the CPU decides", feature)
    job = BatchJob(
        plan, samples, seed, cores(), first=first, duration_us=length_us, classes=bundle.classes
    )
    return job.run()


def _check_built_in(plan: ExecutionPlan) -> None:
    """Check that kernels alone can run the network; see :func:`decide_all`."""
    run, other = plan.run, "`Network.decide_all` runs others"
    if custom_policy(run.policy) is not None:
        raise ValueError(must_be("policy", "built in", policy_name(run.policy)) + f"; {other}")
    if not plan.is_built_in:
        raise ValueError(must_be("until", "a built-in stop rule", f"{run.until!r:.80}; {other}"))
    if run.engine == "coroutines":
        requirement = "'auto' or 'compiled'"
        raise ValueError(must_be("engine", requirement, f"{run.engine!r}; {other}"))


def _unsupported(plan: ExecutionPlan, samples: Samples) -> str | None:
    """Return what the CUDA engine does not support about the network or the samples, or None."""
    if plan.has_delays and not plan.packed.model.timestep_us:
        return "delays without a timestep"
    trains = [samples] if isinstance(samples, SpikeTrains) else samples
    if any(train.value is not None for train in trains):
        return "input events with values"
    return unsupported_feature(plan.packed)


@own_torch_state()
def _decide_on_gpu(
    plan: ExecutionPlan,
    bundle: Bundle,
    samples: Samples,
    seed: int,
    first: int,
    length_us: int | None,
) -> list[Decision]:
    """Decide the samples before the first that is refused, then raise its error, if there is one.

    A sample before it may fail in a pass, and the error of the first sample that fails counts.
    """
    refusal: Exception | None = None
    count = len(samples)
    for k, train in enumerate(samples):
        try:
            check_sample(plan, train, length_us)
        except Exception as error:
            error.add_note(f"in sample {first + k}")
            refusal, count = error, k
            break
    inputs = (plan.packed.model.input_size,)
    if isinstance(samples, SpikeTrains):
        some = samples[:count]
        trains = SpikeTrains(some.t_us, some.index, some.offsets, None, inputs)
    else:
        trains = SpikeTrains.from_trains(samples[:count], inputs)
    decisions = CudaDecider(
        plan, current_launcher(), trains, seed=seed, first=first, duration_us=length_us,
        classes=bundle.classes,
    ).run()  # fmt: skip
    if refusal is not None:
        raise refusal
    return decisions
