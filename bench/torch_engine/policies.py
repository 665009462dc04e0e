"""Ordering policies in torch, for many samples at once, with the same order keys as the kernels.

Order keys are unsigned 64-bit integers, which torch lacks. Here they are int64: additions and
products wrap around in the same way, and flipping the sign bit gives the unsigned comparison.
"""

from typing import Final

import torch
from torch import Tensor

from neuroasync.core.engine.policies import Fifo, Momentum, Policy
from neuroasync.core.kernels.order_keys import MASK

__all__ = ["choose_spikes", "neuron_keys", "rank_of", "signed", "step_prefix", "uniform"]


def signed(value: int) -> int:
    """Return the signed integer with the same lowest 64 bits."""
    value &= MASK
    return value - 2**64 if value >= 2**63 else value


_G: Final = signed(0x9E3779B97F4A7C15)
_MUL1: Final = signed(0xBF58476D1CE4E5B9)
_MUL2: Final = signed(0x94D049BB133111EB)
_SIGN: Final = -(2**63)


def _shifted(z: Tensor, bits: int) -> Tensor:
    """Shift right without copying the sign bit."""
    mask: int = (1 << (64 - bits)) - 1
    return (z >> bits) & mask


def _mix(z: Tensor) -> Tensor:
    z = (z ^ _shifted(z, 30)) * _MUL1
    z = (z ^ _shifted(z, 27)) * _MUL2
    return z ^ _shifted(z, 31)


def step_prefix(seeds: Tensor, pass_index: int, step: int | Tensor) -> Tensor:
    """Return the common prefix i64[B] of a forward step's order keys, from seeds i64[B].

    ``step`` may be i64[B], the step of each sample.
    """
    h = _mix(seeds + _G)
    h = _mix(h + signed(_G * (pass_index + 1)))
    g_step = signed(_G * (step + 1)) if isinstance(step, int) else _G * (step + 1)
    return _mix(h + g_step)


def neuron_keys(prefix: Tensor, neurons: int) -> Tensor:
    """Return the order keys i64[B, neurons] of neurons 0 to ``neurons - 1``."""
    of_neuron = torch.arange(1, neurons + 1, device=prefix.device) * _G
    return _mix(prefix[:, None] + of_neuron)


def uniform(keys: Tensor) -> Tensor:
    """Return keys as f64 in [0, 1), in multiples of 2**-24."""
    return _shifted(keys, 40).to(torch.float64) / 2**24


def rank_of(keys: Tensor, pending: Tensor, *, is_unsigned: bool = False) -> Tensor:
    """Return the position of each pending spike in ascending order of keys, i64[B, K].

    Ties are broken by index.

    Args:
        keys: [B, K], integers or floats.
        pending: bool[B, K], spikes that are pending. All others come after them.
        is_unsigned: Whether the keys stand for unsigned 64-bit integers.
    """
    keys = keys ^ _SIGN if is_unsigned else keys
    order = torch.argsort(keys, dim=1, stable=True)
    absent = (~pending).to(torch.int8).gather(1, order)
    order = order.gather(1, torch.argsort(absent, dim=1, stable=True))
    places = torch.arange(keys.shape[1], device=keys.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places)


def choose_spikes(
    policy: Policy,
    group_size: int,
    pending: Tensor,
    prefix: Tensor,
    arrival: Tensor,
    momentum: Tensor,
) -> Tensor:
    """Return which pending spikes are delivered next, bool[B, N + E].

    Args:
        policy: Any built-in ordering policy except layer-sync.
        group_size: Maximum number of spikes to choose (F).
        pending: bool[B, N + E], pending spikes of neurons and queued input events.
        prefix: i64[B], :func:`step_prefix` of the forward step.
        arrival: i64[B, N], step in which each neuron's spike fired.
        momentum: [B, N], membrane potential at each neuron's spike.
    """
    # Queued input arrived before any spike fired (step -1), and has momentum 0.
    events = arrival.new_zeros(len(pending), pending.shape[1] - arrival.shape[1])
    if isinstance(policy, Fifo):
        return rank_of(torch.cat([arrival, events - 1], 1), pending) < group_size
    keys = neuron_keys(prefix, pending.shape[1])
    if isinstance(policy, Momentum):
        m = torch.cat([momentum.double(), events.double()], 1)
        return rank_of(-(m + policy.noise * uniform(keys)), pending) < group_size
    return rank_of(keys, pending, is_unsigned=True) < group_size
