"""The pending spikes, and the order in which each policy delivers them."""

from dataclasses import dataclass

import numpy as np

from neuroasync.core.engine.policies import Fifo, LayerSync, Momentum, PendingSpikes, Policy, Random
from tests.helpers.reference.order_keys import order_key


@dataclass
class Pending:
    """A pending spike event of a neuron, or of an input index (population P)."""

    source: str
    index: int
    population: int
    momentum: np.float32
    arrival: int
    count: int | tuple[int, np.float32] = 1

    def columns(self) -> tuple[int, np.float32, int, int]:
        """Return the fields that :class:`PendingSpikes` also has."""
        return self.population, self.momentum, self.arrival, self.spikes

    @property
    def spikes(self) -> int:
        """How many spikes or input events it stands for."""
        return self.count[0] if isinstance(self.count, tuple) else self.count


def ordered(
    pending: dict[int, Pending],
    policy: Policy,
    group_size: int,
    seed: int,
    pass_index: int,
    step: int,
) -> list[int]:
    """Return the numbers of all pending spikes, in the order of the policy."""

    def key(neuron: int) -> int:
        return order_key(seed, pass_index, step, neuron)

    if isinstance(policy, LayerSync):  # all are of the population that had its turn
        return sorted(pending)
    if isinstance(policy, Random):
        return sorted(pending, key=lambda s: (key(s), s))
    if isinstance(policy, Momentum):
        m = {
            s: float(p.momentum) + policy.noise * ((key(s) >> 40) / 2**24)
            for s, p in pending.items()
        }
        return sorted(pending, key=lambda s: (-m[s], s))
    if isinstance(policy, Fifo):
        return sorted(pending, key=lambda s: (pending[s].arrival, s))
    slots = sorted(pending)
    columns = zip(*[(s, *pending[s].columns()) for s in slots], strict=True)
    dtypes = (np.int64, np.int64, np.float32, np.int64, np.int64)
    arrays = [np.array(x, d) for x, d in zip(columns, dtypes, strict=True)]
    spikes = PendingSpikes(*arrays, seed, pass_index, step)
    return [slots[k] for k in policy.order(spikes, group_size)]
