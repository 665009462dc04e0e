"""Pixel grids and views: from coordinates of any integer type to input indices."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync.sources import PixelGrid, View

GRID = PixelGrid(2, 3, 5)
INTEGERS = [*"bBhHiIlLqQ", ">u2", ">i4"]


@pytest.mark.parametrize(
    ("shape", "grid"),
    [
        ((2, 3, 5), PixelGrid(2, 3, 5)),
        ((1, 3, 5), PixelGrid(1, 3, 5)),
        ((3, 5), PixelGrid(1, 3, 5)),
        ((7,), PixelGrid(1, 1, 7)),
    ],
)
def test_a_pixel_grid_has_the_size_of_the_shape(shape, grid):
    assert PixelGrid.of(shape) == grid


@pytest.mark.parametrize("shape", [(), (3, 4, 5), (2, 2, 4, 4), (2, 0, 5), [2, 3, 5], (2, 3.0, 5)])
def test_a_pixel_grid_rejects_other_shapes(shape):
    with pytest.raises(ValueError, match=r"^`shape` must be an input shape \(2, H"):
        PixelGrid.of(shape)


def test_the_index_is_the_c_order_of_the_shape():
    polarity, y, x = np.indices((2, 3, 5)).reshape(3, -1)
    index = GRID.index(x, y, polarity)
    assert index.tolist() == list(range(30))
    assert [a.tolist() for a in GRID.pixels(index)] == [a.tolist() for a in (x, y, polarity)]


shapes = st.one_of(
    st.tuples(st.integers(1, 2), st.integers(1, 300), st.integers(1, 400)),
    st.tuples(st.integers(1, 300), st.integers(1, 400)),
    st.tuples(st.integers(1, 100_000)),
)


@given(shapes, st.sampled_from(INTEGERS), st.sampled_from("?bBhHiIlLqQ"), st.data())
def test_the_index_does_not_depend_on_the_type_of_the_coordinates(shape, dtype, signs, data):
    grid = PixelGrid.of(shape)
    largest = np.iinfo(dtype).max
    columns = st.integers(0, min(grid.width - 1, largest))
    rows = st.integers(0, min(grid.height - 1, largest))
    pixels = data.draw(st.lists(st.tuples(columns, rows, st.integers(0, 1)), max_size=20))
    x, y, polarity = (list(column) for column in zip(*pixels, strict=True)) if pixels else ([],) * 3
    index = grid.index(np.array(x, dtype), np.array(y, dtype), np.array(polarity, signs))
    assert index.dtype == np.int64
    expected = [
        ((p if len(shape) == 3 and shape[0] == 2 else 0) * grid.height + b) * grid.width + a
        for a, b, p in pixels
    ]
    assert index.tolist() == expected
    assert all(i < math.prod(shape) for i in expected)
    assert grid.sees(np.array(x, dtype), np.array(y, dtype)).all()
    columns_back, rows_back, _ = grid.pixels(index.astype(np.uint32))
    assert (columns_back.tolist(), rows_back.tolist()) == (x, y)


@given(st.sampled_from(INTEGERS), st.integers(0, 70), st.integers(1, 9), st.data())
def test_a_view_does_not_depend_on_the_type_of_the_coordinates(dtype, offset, binning, data):
    limits = np.iinfo(dtype)
    values = st.integers(max(limits.min, -(2**40)), min(limits.max, 2**40))
    x = data.draw(st.lists(values, max_size=20))
    view = View(x=offset, y=2 * offset, binning=binning)
    column, row = view.to_network(np.array(x, dtype), np.array(x, dtype))
    assert column.tolist() == [(v - offset) // binning for v in x]
    assert row.tolist() == [(v - 2 * offset) // binning for v in x]


def test_coordinates_that_are_no_integers_are_refused():
    with pytest.raises(TypeError, match=r"^`x` must be integers, got an array of type float64$"):
        GRID.index([0.5], [1], [0])
    with pytest.raises(TypeError, match=r"^`y` must be integers, got an array of type bool$"):
        GRID.sees([1], [True])
    with pytest.raises(TypeError, match=r"^`polarity` must be integers, got an array of type <U"):
        GRID.index([0], [1], ["on"])


def test_integers_of_numpy_describe_grids_and_views():
    assert PixelGrid.of((np.int64(2), np.uint8(3), np.int16(5))) == GRID
    assert type(PixelGrid.of((np.int64(7),)).width) is int
    assert View(np.uint16(1), np.int64(2), np.uint8(3)) == View(1, 2, 3)
    assert type(View(binning=np.uint8(3)).binning) is int


@pytest.mark.parametrize("field", ["x", "y", "binning"])
@pytest.mark.parametrize("value", [-1, 1.5, True, 2**16])
def test_a_view_rejects_values_out_of_range(field, value):
    with pytest.raises(
        ValueError, match=rf"^`{field}` must be an integer from [01] to 65535, got "
    ):
        View(**{field: value})
