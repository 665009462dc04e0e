"""The results of an undisturbed run, which the actors compare theirs with.

Single samples run in the synchronous core, which knows no event loop. Windows of a stream are
decided once on an ordinary event loop, from one chunk that holds the whole stream.
"""

import asyncio
from dataclasses import replace
from functools import cache
from typing import Final

from neuroasync import Bundle, Decision, Network, SpikeTrain, sample_seed
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import make_policy
from neuroasync.core.engine.run_sample import run_sample
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.engine.stop_rules import parse_stop_rule
from tests.helpers.small_networks import chain, sample

__all__ = ["BUNDLES", "POLICIES", "RULES", "SEED", "TRAINS", "bundle", "decision", "long_train",
           "stream", "train"]  # fmt: skip

SEED: Final = 5
BUNDLES: Final = ("random", "layer-sync", "fifo", "delayed")
POLICIES: Final = ("random", "fifo", "momentum", "layer-sync")
RULES: Final = ("quiet", "votes(2)", "first-spike", "margin(2)")
TRAINS: Final = 6


@cache
def bundle(name: str) -> Bundle:
    """Return one of the networks: layered, or with delayed connections."""
    if name != "delayed":
        return chain(policy=name)
    plain = chain(policy="random")
    connections = tuple(
        replace(connection, delay_us=1000 * k)
        for k, connection in enumerate(plain.model.connections)
    )
    return replace(plain, model=replace(plain.model, connections=connections))


@cache
def train(k: int) -> SpikeTrain:
    """Return one of the samples: an empty one, short ones and long ones."""
    return sample(events=(40, 0, 1, 60, 150, 400)[k], seed=k)


@cache
def long_train(k: int) -> SpikeTrain:
    """Return one of the streams of events."""
    return sample(events=240, duration_us=40_000, seed=100 + k)


@cache
def _simulator(name: str, policy: str | None, until: str) -> Simulator:
    settings, spec = bundle(name), bundle(name).policy
    run = RunSettings(
        make_policy(policy or spec.name), spec.group_size, spec.input, parse_stop_rule(until)
    )
    return Simulator(ExecutionPlan(PackedNetwork(settings.model), run))


@cache
def decision(
    name: str,
    k: int,
    seed: int,
    policy: str | None = None,
    until: str = "quiet",
    duration_us: int | None = None,
) -> Decision:
    """Return the decision on sample ``k``; ``seed`` is that of the sample itself."""
    return run_sample(_simulator(name, policy, until), train(k), seed, duration_us)


def session_decision(name: str, k: int, number: int, until: str = "quiet") -> Decision:
    """Return the decision on sample ``k`` as sample ``number`` of a session."""
    return decision(name, k, sample_seed(SEED, number), None, until)


@cache
def stream(name: str, k: int, window: str, carry_state: bool, until: str) -> tuple[Decision, ...]:
    """Return the decisions on stream ``k``."""

    async def decide() -> tuple[Decision, ...]:
        async with Network(bundle(name), seed=SEED, until=until) as network:
            decisions = network.session().stream(
                [long_train(k)], window=window, carry_state=carry_state
            )
            return tuple([d async for d in decisions])

    return asyncio.run(decide())
