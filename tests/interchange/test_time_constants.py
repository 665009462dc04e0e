"""Time constants give the decay factors of the framework, to the bit."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from neuroasync.interchange.time_constants import time_constants


@given(st.floats(2**-10, 1, width=32), st.sampled_from([1, 1000, 12345]))
def test_one_time_constant_gives_the_factor_to_the_bit(beta, timestep_us):
    tau, misses = time_constants(np.full(3, beta, np.float32), timestep_us)
    assert misses == 0
    assert np.float32(math.exp(-timestep_us / tau)) == np.float32(beta)


@given(st.lists(st.floats(0.625, 1, width=32), min_size=2, max_size=5))
def test_arrays_of_time_constants_give_factors_from_0_625_to_the_bit(betas):
    factor = np.array(betas, np.float32)
    tau, misses = time_constants(factor, 1000)
    taus = np.broadcast_to(tau, factor.shape)
    found = [np.float32(math.exp(-1000 / float(t))) for t in taus]
    assert misses == 0
    np.testing.assert_array_equal(found, factor)


def test_no_leak_and_no_memory_are_exact():
    assert time_constants(np.ones(2, np.float32), 1000) == (math.inf, 0)
    tau, misses = time_constants(np.zeros(2, np.float32), 1000)
    assert misses == 0
    assert math.exp(-1000 / tau) == 0


def test_factors_that_no_float32_time_constant_gives_are_counted():
    factor = np.array([0.01, 0.010001, 0.010002, 0.5], np.float32)
    tau, misses = time_constants(factor, 1000)
    found = np.array([math.exp(-1000 / float(t)) for t in tau]).astype(np.float32)
    assert misses == np.count_nonzero(found != factor) > 0
    np.testing.assert_allclose(found, factor, rtol=1e-6)
