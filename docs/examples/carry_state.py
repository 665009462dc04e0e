"""Let membrane potentials survive from one window to the next."""

import asyncio

import numpy as np

import neuroasync as na

MODEL = na.parse_topology("timestep_us=1000 decay=0.9; input 1; output d1 reset=subtract")


def with_weight(model: na.Model, weight: float) -> na.Model:
    """Return the model with one weight everywhere."""
    (dense,) = model.connections
    filled = na.Dense(dense.source, dense.target, np.full((1, 1), weight, np.float32))
    return na.Model(
        timestep_us=model.timestep_us,
        input_shape=model.input_shape,
        populations=model.populations,
        connections=(filled,),
        output=model.output,
    )


def chunks() -> list[na.SpikeTrain]:
    """Return six chunks with one event each, 1 ms apart."""
    return [na.SpikeTrain(np.array([t]), np.array([0])) for t in range(0, 6000, 1000)]


async def votes(carry_state: bool) -> list[int]:
    network = na.Network(na.Bundle(with_weight(MODEL, 0.6)))
    async with network, network.session() as session:
        decisions = session.stream(chunks(), window="time(3000)", carry_state=carry_state)
        return [int(decision.votes[0]) async for decision in decisions]


print("from rest:   ", asyncio.run(votes(carry_state=False)))
print("carried over:", asyncio.run(votes(carry_state=True)))
