"""Ordering policies: which of the pending spikes are delivered next.

The four built-in policies are plain values that kernels act upon. A custom policy is any object
with :meth:`OrderingPolicy.order`.
"""

import inspect
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroasync.core.model.checks import as_number, did_you_mean, must_be, shown
from neuroasync.errors import PolicyError

__all__ = [
    "Fifo",
    "LayerSync",
    "Momentum",
    "OrderingPolicy",
    "PendingSpikes",
    "Policy",
    "PolicyName",
    "Random",
    "custom_policy",
    "make_policy",
    "policy_name",
]


@dataclass(frozen=True, slots=True)
class LayerSync:
    """Evaluate one population after the other, as a whole and by ascending rank, as frameworks do.

    What is delivered to a population is summed until its turn. Its spikes are then delivered at
    once, as one group, whatever the group size is.
    """

    name: str = "layer-sync"


@dataclass(frozen=True, slots=True)
class Random:
    """Deliver by ascending counter-based key of (seed, pass, step, neuron)."""

    name: str = "random"


@dataclass(frozen=True, slots=True)
class Momentum:
    """Deliver the highest membrane potential at the spike first; ties by neuron.

    Attributes:
        noise: λ, which adds λ · uniform[0, 1) to each potential.
    """

    noise: float = 0.0
    name: str = "momentum"

    def __post_init__(self) -> None:
        """Check that the noise is a finite number of at least 0, and make it a float."""
        noise = as_number(self.noise)
        if noise is None or not 0 <= noise < float("inf"):
            raise PolicyError(must_be("noise", "a finite number of at least 0", shown(self.noise)))
        object.__setattr__(self, "noise", float(noise))


@dataclass(frozen=True, slots=True)
class Fifo:
    """Deliver in the order in which the spikes fired; ties by neuron."""

    name: str = "fifo"


@dataclass(frozen=True, slots=True)
class PendingSpikes:
    """The pending spikes from which a policy selects, in unspecified order.

    Attributes:
        neuron: i64[K], network-wide index, or N + i for input event i of the pass.
        population: i64[K], position of the population; the number of populations for input.
        momentum: f32[K], membrane potential at the spike; 0 for input.
        arrival: i64[K], forward step in which it fired; -1 for input.
        multiplicity: i64[K], how many times the neuron fired since it was last delivered.
        seed: seed of the sample, for :func:`neuroasync.order_key`.
        pass_index: index of the current pass.
        step: index of the forward step that is being selected.
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
    """A custom ordering policy."""

    def order(self, pending: PendingSpikes, group_size: int) -> ArrayLike:
        """Return positions in ``pending``, in the order of delivery.

        The first ``group_size`` of them (fewer if fewer are pending) are delivered as one group.
        Return at least that many, without duplicates.
        """
        ...


Policy: TypeAlias = LayerSync | Random | Momentum | Fifo | OrderingPolicy

PolicyName: TypeAlias = Literal["layer-sync", "random", "momentum", "fifo"]
"""The name of a built-in ordering policy."""

_BUILT_IN: Final[dict[str, type[LayerSync | Random | Momentum | Fifo]]] = {
    "layer-sync": LayerSync,
    "random": Random,
    "momentum": Momentum,
    "fifo": Fifo,
}


def make_policy(policy: str | Policy, noise: float = 0.0) -> Policy:
    """Return a policy by its name, or the policy itself.

    Raises:
        PolicyError: the name is unknown, or the object has no ``order``.
    """
    if isinstance(policy, str):
        if policy == "momentum":
            return Momentum(noise)
        if policy in _BUILT_IN:
            return _BUILT_IN[policy]()
        message = must_be("policy", f"one of {', '.join(_BUILT_IN)}", shown(policy))
        # The demo says "async" and "sync" for short; "async" alone resembles "layer-sync".
        hint = {"async": "; did you mean 'random'?"}.get(policy)
        raise PolicyError(message + (hint or did_you_mean(policy, _BUILT_IN)))
    is_custom = isinstance(policy, OrderingPolicy) and not isinstance(policy, type)
    if is_custom and inspect.iscoroutinefunction(getattr(policy, "order", None)):
        name = f"the async {type(policy).__name__}.order"
        raise PolicyError(must_be("policy", "an object whose order is a plain function", name))
    if type(policy) in _BUILT_IN.values() or is_custom:
        return policy
    requirement = f"one of {', '.join(_BUILT_IN)}, or an object with order(pending, group_size)"
    raise PolicyError(must_be("policy", requirement, shown(policy)))


def custom_policy(policy: Policy) -> OrderingPolicy | None:
    """Return the policy if it is custom, None if it is built in."""
    return None if type(policy) in _BUILT_IN.values() else policy  # type: ignore[return-value]


def policy_name(policy: Policy) -> str:
    """Return the name of a policy for recordings and tables."""
    return str(getattr(policy, "name", type(policy).__name__))
