"""A network with as many populations as the limit allows. Quadratic work would take minutes."""

import numpy as np
import pytest

import neuroasync as na
from neuroasync import limits


@pytest.fixture(scope="module")
def ring():
    """Return a ring of 4,096 populations of one neuron, which the input starts at population 0."""
    one, n = np.ones((1, 1), np.float32), limits.MAX_POPULATIONS
    names = [f"p{k}" for k in range(n)]
    populations = tuple(na.Population(name, (1,), na.LIF(v_threshold=0.5)) for name in names)
    sources = ("input", *names[:-1])
    connections = [na.Dense(*ends, one) for ends in zip(sources, names, strict=True)]
    connections.append(na.Dense(names[-1], names[0], one))
    return na.Bundle(na.Model(1000, (1,), populations, tuple(connections), names[-1]))


@pytest.mark.parametrize("engine", ["compiled", "coroutines"])
async def test_a_spike_goes_round_once(ring, engine, no_leaks):
    async with na.Network(ring, engine=engine) as network:
        decision = await network.decide(([0], [0]))
    assert decision.votes.tolist() == [1]
    assert decision.steps == decision.total_spikes == limits.MAX_POPULATIONS


def test_positions_sizes_and_ranks_are_those_of_the_declaration(ring):
    model = na.read_bundle(na.dump_bundle(ring)).model
    assert [model.index(p.name) for p in model.populations] == list(range(limits.MAX_POPULATIONS))
    assert model.starts == tuple(range(limits.MAX_POPULATIONS + 1))
    assert model.ranks == tuple(range(limits.MAX_POPULATIONS))
