"""Ordering policies: which of the pending spikes go next.

The four of the literature are plain values that kernels act upon. Your own is any object with
:meth:`OrderingPolicy.order`.
"""

from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroasync.errors import PolicyError

__all__ = [
    "Fifo",
    "LayerSync",
    "Momentum",
    "OrderingPolicy",
    "PendingSpikes",
    "Policy",
    "Random",
    "custom_policy",
    "make_policy",
    "policy_name",
]


@dataclass(frozen=True, slots=True)
class LayerSync:
    """All pending spikes of the lowest-ranked population that has any: a layer at a time."""

    name: str = "layer-sync"


@dataclass(frozen=True, slots=True)
class Random:
    """In the order of a counter-based key of (seed, pass, step, neuron)."""

    name: str = "random"


@dataclass(frozen=True, slots=True)
class Momentum:
    """Highest membrane potential at the spike first; ties by neuron.

    Attributes:
        noise: λ; adds λ · uniform[0, 1) to each potential.
    """

    noise: float = 0.0
    name: str = "momentum"

    def __post_init__(self) -> None:
        """Refuse what is not a finite number from 0."""
        if not 0 <= self.noise < float("inf"):
            raise PolicyError(f"noise: {self.noise!r}, expected a finite number from 0")


@dataclass(frozen=True, slots=True)
class Fifo:
    """In the order in which they fired; ties by neuron."""

    name: str = "fifo"


@dataclass(frozen=True, slots=True)
class PendingSpikes:
    """The pending spikes a policy chooses from, in no order that it may rely on.

    Attributes:
        neuron: i64[K], network-wide index, or N + i for input event i of the pass.
        population: i64[K], position of the population; the number of populations for input.
        momentum: f32[K], membrane potential at the spike; 0 for input.
        arrival: i64[K], forward step in which it fired; -1 for input.
        multiplicity: i64[K], how many times the neuron fired since it was last delivered.
        seed: of the sample, for :func:`neuroasync.order_key`.
        pass_index: of the running pass.
        step: of the forward step that is being chosen.
    """

    neuron: NDArray[np.int64]
    population: NDArray[np.int64]
    momentum: NDArray[np.float32]
    arrival: NDArray[np.int64]
    multiplicity: NDArray[np.int64]
    seed: int
    pass_index: int
    step: int


@runtime_checkable
class OrderingPolicy(Protocol):
    """An ordering policy of your own."""

    def order(self, pending: PendingSpikes, group_size: int) -> ArrayLike:
        """Return positions into ``pending``, first to be delivered first.

        The first ``group_size`` of them are delivered as one group (fewer if fewer are pending):
        return at least that many, each once.
        """
        ...


Policy: TypeAlias = LayerSync | Random | Momentum | Fifo | OrderingPolicy

_BUILT_IN: Final[dict[str, type[LayerSync | Random | Momentum | Fifo]]] = {
    "layer-sync": LayerSync,
    "random": Random,
    "momentum": Momentum,
    "fifo": Fifo,
}


def make_policy(policy: str | Policy, noise: float = 0.0) -> Policy:
    """A policy by its name, or the policy itself.

    Raises:
        PolicyError: the name is unknown, or the object has no ``order``.
    """
    if isinstance(policy, str):
        if policy == "momentum":
            return Momentum(noise)
        if policy in _BUILT_IN:
            return _BUILT_IN[policy]()
        raise PolicyError(f"policy {policy!r:.80} is unknown, expected one of {list(_BUILT_IN)}")
    is_own = isinstance(policy, OrderingPolicy) and not isinstance(policy, type)
    if type(policy) in _BUILT_IN.values() or is_own:
        return policy
    raise PolicyError(
        f"policy {policy!r:.80}: expected one of {list(_BUILT_IN)}, or an object with "
        "order(pending, group_size)"
    )


def custom_policy(policy: Policy) -> OrderingPolicy | None:
    """The policy, if it is one of the user's; None for a built-in one."""
    return None if type(policy) in _BUILT_IN.values() else policy  # type: ignore[return-value]


def policy_name(policy: Policy) -> str:
    """The name under which a policy stands in recordings and tables."""
    return str(getattr(policy, "name", type(policy).__name__))
