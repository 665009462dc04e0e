"""Counter-based order keys: pseudo-random numbers that are computed from counters.

A key depends on (seed, pass, step, neuron) only. There is no generator state, so every engine,
batch layout and loop order obtains the same numbers. All arithmetic is modulo 2**64:

    G = 0x9E3779B97F4A7C15
    mix(z):  z ^= z >> 30;  z *= 0xBF58476D1CE4E5B9
             z ^= z >> 27;  z *= 0x94D049BB133111EB
             z ^= z >> 31
    h   = mix(seed + G)
    h   = mix(h + G * (pass + 1))
    h   = mix(h + G * (step + 1))
    key = mix(h + G * (neuron + 1))

    uniform[0, 1) = (key >> 40) / 2**24
    seed of sample i of a data set = mix(seed + G * (i + 1))

Passes and steps count from 0; ``neuron`` is the index in the whole network.

Source: ``mix`` and G are those of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom
number generators", OOPSLA 2014).
"""

import operator
from typing import Final

import numpy as np

from neuroasync.core.kernels.jit import kernel

__all__ = [
    "GOLDEN",
    "MASK",
    "MUL1",
    "MUL2",
    "mix",
    "mix_int",
    "neuron_key",
    "order_key",
    "sample_seed",
    "step_prefix",
    "uniform",
]

MASK: Final = 2**64 - 1
_G: Final = 0x9E3779B97F4A7C15
GOLDEN: Final = np.uint64(_G)
MUL1: Final = np.uint64(0xBF58476D1CE4E5B9)
MUL2: Final = np.uint64(0x94D049BB133111EB)
_S30: Final = np.uint64(30)
_S27: Final = np.uint64(27)
_S31: Final = np.uint64(31)
_S40: Final = np.uint64(40)
_ONE: Final = np.uint64(1)


@kernel
def mix(z):
    """Return the mixed bits of a u64."""
    z = (z ^ (z >> _S30)) * MUL1
    z = (z ^ (z >> _S27)) * MUL2
    return z ^ (z >> _S31)


@kernel
def step_prefix(seed, pass_index, step):
    """Return the hash of (seed, pass, step), which all keys of a forward step share."""
    h = mix(np.uint64(seed) + GOLDEN)
    h = mix(h + GOLDEN * (np.uint64(pass_index) + _ONE))
    return mix(h + GOLDEN * (np.uint64(step) + _ONE))


@kernel
def neuron_key(prefix, neuron):
    """Return ``order_key(seed, pass, step, neuron)``, given the step's :func:`step_prefix`."""
    return mix(prefix + GOLDEN * (np.uint64(neuron) + _ONE))


@kernel
def uniform(key):
    """Return a key as a float64 in [0, 1), a multiple of 2**-24."""
    return np.float64(key >> _S40) / 16777216.0


def mix_int(z: int) -> int:
    """Return the mixed bits of a Python integer modulo 2**64, as :func:`mix` does."""
    z &= MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def order_key(seed: int, pass_index: int, step: int, neuron: int) -> int:
    """Return the order key of a pending spike, by which the random order ascends.

    Args:
        seed: seed of the sample, an unsigned integer of 64 bits.
        pass_index: index of the pass, from 0.
        step: forward step that delivers the spike. The first selection of a pass is step 1.
        neuron: network-wide index of the neuron. For queued input, N + i for input event i of the
            pass, where N is the number of neurons.
    """
    # Integers of numpy would overflow.
    seed, pass_index, step, neuron = map(operator.index, (seed, pass_index, step, neuron))
    h = mix_int(seed + _G)
    h = mix_int(h + _G * (pass_index + 1))
    h = mix_int(h + _G * (step + 1))
    return mix_int(h + _G * (neuron + 1))


def sample_seed(seed: int, sample: int) -> int:
    """Return the seed of sample number ``sample`` of a data set that runs with ``seed``.

    The result of a sample then does not depend on which samples ran before it, or where.
    """
    # Integers of numpy would overflow.
    return mix_int(operator.index(seed) + _G * (operator.index(sample) + 1))
