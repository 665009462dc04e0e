"""Linear maps are those of their definitions, and their compositions are exact."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync import InterchangeError
from neuroasync.interchange.nir import linear_map
from neuroasync.interchange.nir.linear_map import (
    Full,
    Listed,
    compose,
    convolution,
    diagonal,
    scaled,
    select,
)

SIZES = st.integers(1, 5)


def full(given):
    """Return the entries of a map as a matrix."""
    if isinstance(given, Full):
        return given.weight
    matrix = np.zeros(given.shape)
    assert len(set(zip(given.target.tolist(), given.source.tolist(), strict=True))) == len(
        given.weight
    )
    matrix[given.target, given.source] = given.weight
    return matrix


@st.composite
def maps(draw, targets, sources):
    """Return maps of a shape: full ones, and lists of the entries that are not 0."""
    values = st.integers(-8, 8).map(float)
    size = targets * sources
    drawn = draw(st.lists(values, min_size=size, max_size=size))
    matrix = np.array(drawn).reshape(targets, sources)
    if draw(st.booleans()):
        return Full(matrix)
    target, source = np.nonzero(matrix)
    return Listed(matrix.shape, target, source, matrix[target, source])


@given(st.data(), SIZES, SIZES, SIZES)
def test_composition_is_the_product_of_the_matrices(data, a, b, c):
    first, then = data.draw(maps(b, a)), data.draw(maps(c, b))
    np.testing.assert_array_equal(full(compose(first, then)), full(then) @ full(first))


@given(st.data(), SIZES, SIZES)
def test_diagonal_maps_scale_rows_or_columns(data, a, b):
    given = data.draw(maps(b, a))
    rows, columns = np.arange(1.0, b + 1), np.arange(2.0, a + 2)
    expected = full(given) * rows[:, None] * columns
    found = compose(compose(diagonal(columns), given), diagonal(rows))
    np.testing.assert_array_equal(full(found), expected)
    np.testing.assert_array_equal(full(scaled(given, rows)), full(given) * rows[:, None])
    odd = np.arange(b) % 2 == 1
    np.testing.assert_array_equal(full(select(given, odd)), full(given) * odd[:, None])


@given(
    st.tuples(SIZES, SIZES), st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 2), st.integers(1, 2)), st.tuples(*[st.integers(0, 2)] * 4),
    st.tuples(st.integers(1, 2), st.integers(1, 2)), st.integers(1, 2),
)  # fmt: skip
def test_convolution_is_the_one_of_the_definition(size, kernel, stride, around, dilation, groups):
    padding = (around[:2], around[2:])
    rng = np.random.default_rng(0)
    weight = rng.integers(-9, 9, (2 * groups, 2, *kernel)).astype(float)
    padded = [size[a] + sum(padding[a]) - dilation[a] * (kernel[a] - 1) for a in (0, 1)]
    if min(padded) < 1:
        with pytest.raises(InterchangeError, match=r"^the kernel .* is larger than the padded"):
            convolution(weight, size, stride, padding, dilation, groups)
        return
    found, extents = convolution(weight, size, stride, padding, dilation, groups)
    x = rng.integers(-9, 9, (2 * groups, *size)).astype(float)
    wide = np.pad(x, ((0, 0), *padding))
    expected = np.zeros((2 * groups, *extents))
    for o, y, column, i, ky, kx in np.ndindex(*expected.shape, *weight.shape[1:]):
        place = (y * stride[0] + ky * dilation[0], column * stride[1] + kx * dilation[1])
        expected[o, y, column] += weight[o, i, ky, kx] * wide[(o // 2 * 2 + i, *place)]
    np.testing.assert_array_equal((full(found) @ x.ravel()).reshape(expected.shape), expected)


def test_huge_maps_are_refused_before_memory_is_taken(monkeypatch):
    weight = np.broadcast_to(1.0, (1000, 1000, 6, 6))
    with pytest.raises(InterchangeError, match=r"^a linear map takes 36000000000000 products, the"):
        convolution(weight, (1005, 1005), (1, 1), ((0, 0),) * 2, (1, 1), 1)
    monkeypatch.setattr(linear_map, "_MAX_ENTRIES", 100)
    every = np.arange(20)
    column = Listed((20, 1), every, 0 * every, np.ones(20))
    row = Listed((20, 20), np.repeat(every, 20), np.tile(every, 20), np.ones(400))
    with pytest.raises(InterchangeError, match=r"^a linear map takes 400 products, the limit is"):
        compose(column, row)
