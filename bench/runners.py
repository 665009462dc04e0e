"""The contenders of neuroasync: sessions in an event loop, and the bare engine without one."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.c_baseline import CLoopResult
from neuroasync import Bundle, Decision, Network, Session, SpikeTrain
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.simulator import Simulator

__all__ = ["ResultCounts", "bare_decider", "counts", "open_session", "recorded", "session_decider"]


class ResultCounts(NamedTuple):
    """The counts that two contenders must agree on exactly."""

    label: int | None
    votes: tuple[int, ...]
    steps: int
    rounds: int
    synops: int
    spikes: int


def counts(result: Decision | CLoopResult | ResultCounts) -> ResultCounts:
    """Return the counts of a decision of neuroasync or of the C loop."""
    if isinstance(result, ResultCounts):
        return result
    if isinstance(result, CLoopResult):
        votes, spikes = result.votes, result.spikes
    else:
        votes, spikes = tuple(result.votes.tolist()), result.total_spikes
    return ResultCounts(result.label, votes, result.steps, result.rounds, result.synops, spikes)


async def open_session(
    stack: AsyncExitStack, bundle: Bundle, seed: int = 0, **options: Any
) -> Session:
    """Open a session as a user would; sample number k runs with ``sample_seed(seed, k)``."""
    network = await stack.enter_async_context(Network(bundle, seed=seed, **options))
    return await stack.enter_async_context(network.session())


def session_decider(
    session: Session, trains: Sequence[SpikeTrain]
) -> Callable[[int], Awaitable[Decision]]:
    """Return a function whose call k decides on sample ``k % len(trains)``.

    Call k must be the k-th decision of the session, so that its seeds match.
    """

    async def decide(k: int) -> Decision:
        return _labelled(await session.decide(trains[k % len(trains)]))

    return decide


def _labelled(decision: Decision) -> Decision:
    """Return the decision, after its label was computed: that happens when it is first read."""
    decision.label  # noqa: B018  # a label is computed when it is read
    return decision


def bare_decider(
    bundle: Bundle, trains: Sequence[SpikeTrain], seed_of: Callable[[int], int], **options: Any
) -> Callable[[int], Decision]:
    """Return a function that runs the compiled engine alone, without an event loop."""
    plan = ExecutionPlan(PackedNetwork(bundle.model), Network(bundle, **options).settings)
    simulator = Simulator(plan)

    def decide(k: int) -> Decision:
        train = trains[k % len(trains)]
        simulator.begin(seed_of(k))
        simulator.run_compiled(train.t_us.item(-1), events=(train.t_us, train.index, train.value))
        simulator.release_scratch()
        return _labelled(simulator.decision(0.0))

    return decide


async def recorded(
    bundle: Bundle, train: SpikeTrain, seed: int, **options: Any
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the spikes fired and the spikes delivered (except input), in order.

    Both are i64[.., 3]: pass, step, neuron.
    """
    async with Network(bundle, **options) as network:
        recorder = network.recorder()
        await network.decide(train, seed=seed, recorder=recorder)
    log = recorder.finish()
    fired = np.stack((log.pass_, log.step, log.neuron), axis=1)
    slots = np.stack((log.delivered_pass, log.delivered_step, log.delivered_neuron), axis=1)
    return fired, slots[log.delivered_step > 0]
