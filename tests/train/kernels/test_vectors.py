"""The vector code of the backward pass, against NumPy."""

import numpy as np
import pytest
from numba import njit

from neuroasync.train.kernels.surrogate import ARCTAN, FAST_SIGMOID, derivative
from neuroasync.train.kernels.vectors.dense import add_to_rows, dot_rows
from neuroasync.train.kernels.vectors.silences import lanes_equal, visit_lanes, write_neurons
from neuroasync.train.kernels.vectors.slots import lanes_alike


@njit
def _dots(rows, sources, g):
    """Return the dot products of four rows, the first source of which is number 2."""
    begin = rows.ctypes.data - 4 * 2 * g.size
    a, b, c, d = sources
    return np.array(dot_rows(begin, g.size, a, b, c, d, g.ctypes.data))


@njit
def _add(rows, sources, factors, g):
    begin = rows.ctypes.data - 4 * 2 * g.size
    add_to_rows(
        begin, g.size, sources.ctypes.data, factors.ctypes.data, sources.size, g.ctypes.data
    )


@njit
def _neurons(to, steps, step):
    """Write the neurons from 100 on whose step is ``step``, and return how many they are."""
    n = 0
    for begin in range(0, steps.size, 16):
        bits = lanes_equal(steps.ctypes.data + 4 * begin, step, steps.size - begin)
        n = write_neurons(to.ctypes.data, n, 100 + begin, bits)
    return n


@njit
def _alike(log):
    at = log.ctypes.data
    size = 8 * log.shape[1]
    return lanes_alike(at, at + size, at + 2 * size, at + 3 * size, 1, 2, -1, 10, 20)


@njit
def _visit(rows, peaks, thresholds, is_arctan, slope, bits):
    """Visit sites; the rows are v, of_current, v_active, site_grad and spike_grad."""
    at, size = rows.ctypes.data, 4 * rows.shape[1]
    visit_lanes(
        at, at + size, at + 2 * size, at + 3 * size, at + 4 * size, peaks.ctypes.data,
        thresholds.ctypes.data, is_arctan, slope, bits,
    )  # fmt: skip


@pytest.mark.parametrize("size", [1, 7, 8, 10, 63, 64, 71, 130, 200])
def test_four_rows_have_the_dot_products_of_numpy(size):
    rng = np.random.default_rng(size)
    rows = rng.standard_normal((6, size)).astype(np.float32)
    g = rng.standard_normal(size).astype(np.float32)
    found = _dots(rows, (4, 2, 2, 7), g)
    assert np.allclose(found, rows[[2, 0, 0, 5]].astype(np.float64) @ g, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [1, 16, 17, 64, 71, 200])
def test_rows_get_their_sums_in_the_order_of_the_sources_and_no_others_change(size):
    rng = np.random.default_rng(size)
    rows = rng.standard_normal((6, size)).astype(np.float32)
    g = rng.standard_normal(size).astype(np.float32)
    sources, factors = np.array([5, 2, 5], np.int32), np.array([1, 3, 0.25], np.float32)
    expected = rows.copy()
    for source, factor in zip(sources, factors, strict=True):
        expected[source - 2] += factor * g
    _add(rows, sources, factors, g)
    assert np.array_equal(rows, expected)


@pytest.mark.parametrize("size", [1, 15, 16, 40])
def test_neurons_of_a_step_are_written_in_ascending_order(size):
    steps = np.random.default_rng(size).integers(-2, 3, size).astype(np.int32)
    to = np.zeros(size + 16, np.int32)
    for step in range(-2, 3):
        count = _neurons(to, steps, step)
        assert to[:count].tolist() == [100 + k for k in range(size) if steps[k] == step]


def test_a_slot_of_another_pass_step_connection_or_population_ends_a_run():
    log = np.tile(np.array([1, 2, -1, 15]), (16, 1)).T.copy()
    assert _alike(log) == 2**16 - 1
    for column, value in ((0, 0), (1, 3), (2, 4), (3, 9), (3, 20)):
        other = log.copy()
        other[column, 5] = value
        assert _alike(other) == 2**16 - 1 - 2**5


@pytest.mark.parametrize("kind", [ARCTAN, FAST_SIGMOID])
@pytest.mark.parametrize("bits", [2**16 - 1, 0b1010_0110_0000_1011, 0])
def test_sites_have_the_surrogate_derivative_and_other_neurons_do_not_change(kind, bits):
    rng = np.random.default_rng(bits)
    rows = rng.standard_normal((5, 16)).astype(np.float32)
    peaks = rng.standard_normal(16).astype(np.float32)
    thresholds = rng.uniform(0.5, 2, 16).astype(np.float32)
    thresholds[[1, 9, 15]] = np.inf
    slope, expected = np.float32(2.5), rows.copy()
    for k in range(16):
        if bits >> k & 1:
            d = derivative(kind, slope, peaks[k] - thresholds[k])
            assert (d == 0) == np.isinf(thresholds[k])
            expected[0, k] = rows[0, k] + rows[4, k] * d
            expected[2:4, k] = expected[0, k] + rows[1, k]
    _visit(rows, peaks, thresholds, int(kind == ARCTAN), slope, np.uint64(bits))
    assert np.array_equal(rows, expected)
