"""Counter-based order keys: computed, never drawn, so every engine has the same ones.

Source: the finaliser is that of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
"""

from typing import Final

import numpy as np

from neuroasync.core.kernels.jit import kernel

__all__ = [
    "MASK",
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
_GOLDEN: Final = np.uint64(_G)
_MUL1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MUL2: Final = np.uint64(0x94D049BB133111EB)
_S30: Final = np.uint64(30)
_S27: Final = np.uint64(27)
_S31: Final = np.uint64(31)
_S40: Final = np.uint64(40)
_ONE: Final = np.uint64(1)


@kernel
def mix(z):
    """Scramble 64 bits."""
    z = (z ^ (z >> _S30)) * _MUL1
    z = (z ^ (z >> _S27)) * _MUL2
    return z ^ (z >> _S31)


@kernel
def step_prefix(seed, pass_index, step):
    """Hash of all that the keys of one forward step share."""
    h = mix(np.uint64(seed) + _GOLDEN)
    h = mix(h + _GOLDEN * (np.uint64(pass_index) + _ONE))
    return mix(h + _GOLDEN * (np.uint64(step) + _ONE))


@kernel
def neuron_key(prefix, neuron):
    """``order_key(seed, pass, step, neuron)``, given :func:`step_prefix` of the first three."""
    return mix(prefix + _GOLDEN * (np.uint64(neuron) + _ONE))


@kernel
def uniform(key):
    """A key as a float64 in [0, 1), a multiple of 2**-24."""
    return np.float64(key >> _S40) / 16777216.0


def mix_int(z: int) -> int:
    """Scramble 64 bits, on Python integers."""
    z &= MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def order_key(seed: int, pass_index: int, step: int, neuron: int) -> int:
    """Key of a neuron's pending spike at a selection: the random order ascends by it.

    ``pass_index`` and ``step`` count from 0; the i-th queued input event of a pass has the
    neurons of the network + i for its ``neuron``.
    """
    h = mix_int(seed + _G)
    h = mix_int(h + _G * (pass_index + 1))
    h = mix_int(h + _G * (step + 1))
    return mix_int(h + _G * (neuron + 1))


def sample_seed(seed: int, sample: int) -> int:
    """Seed of sample number ``sample`` of a data set that runs with ``seed``.

    A sample's result then depends neither on which ran before it nor on where it runs.
    """
    return mix_int(seed + _G * (sample + 1))
