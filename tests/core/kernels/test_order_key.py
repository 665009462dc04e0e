"""Order keys and sample seeds are those of the formula, on every machine."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroasync.core.kernels.order_keys import (
    mix,
    mix_int,
    neuron_key,
    order_key,
    sample_seed,
    step_prefix,
    uniform,
)
from tests.helpers.reference import order_keys as oracle

WORDS = st.integers(0, 2**64 - 1)
COUNTS = st.integers(0, 2**40)

SPLITMIX64 = (
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
)
"""First numbers of SplitMix64 from 1234567. Source: rosettacode.org, "Pseudo-random numbers/
Splitmix64"."""


@pytest.mark.parametrize(("sample", "number"), list(enumerate(SPLITMIX64)))
def test_sample_seeds_are_the_numbers_of_splitmix64(sample, number):
    assert sample_seed(1234567, sample) == number
    assert oracle.sample_seed(1234567, sample) == number


@settings(deadline=None)  # kernels compile when first called
@given(seed=WORDS, sample=COUNTS)
def test_sample_seeds_follow_the_formula(seed, sample):
    assert sample_seed(seed, sample) == oracle.sample_seed(seed, sample)


@settings(deadline=None)  # kernels compile when first called
@given(z=WORDS)
def test_bits_are_scrambled_alike_in_python_and_in_kernels(z):
    assert mix_int(z) == int(mix(np.uint64(z))) == oracle.mix(z)


@settings(deadline=None)  # kernels compile when first called
@given(seed=WORDS, at=COUNTS, step=COUNTS, neuron=COUNTS)
def test_order_keys_follow_the_formula(seed, at, step, neuron):
    expected = oracle.order_key(seed, at, step, neuron)
    prefix = step_prefix(np.uint64(seed), np.int64(at), np.int64(step))
    assert int(neuron_key(np.uint64(prefix), np.int64(neuron))) == expected
    assert order_key(seed, at, step, neuron) == expected


@settings(deadline=None)  # kernels compile when first called
@given(key=WORDS)
def test_uniform_numbers_are_the_upper_24_bits(key):
    assert uniform(np.uint64(key)) == (key >> 40) / 2**24 < 1
