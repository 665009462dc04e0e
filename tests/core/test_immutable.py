"""Arrays whose memory nobody can write."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from neuroasync.core.immutable import immutable, immutable_copy, immutable_memory


def is_fixed(array):
    """Return whether neither the array nor any array below it can be made writable."""
    while isinstance(array, np.ndarray):
        with pytest.raises(ValueError, match="cannot set WRITEABLE flag"):
            array.flags.writeable = True
        array = array.base
    return memoryview(array).readonly


@given(
    arrays.arrays(st.sampled_from([np.int64, ">i4", np.float32]), arrays.array_shapes(min_side=0))
)
def test_values_shape_and_type_are_kept_in_fixed_memory(array):
    fixed = immutable(array, np.float64)
    assert fixed.dtype == np.float64
    assert fixed.flags.c_contiguous
    np.testing.assert_array_equal(fixed, array.astype(np.float64))
    assert is_fixed(fixed)


def test_an_array_that_is_fixed_is_shared():
    fixed = immutable(np.arange(6), np.int64)
    for part in (fixed, fixed[2:], fixed.reshape(2, 3)):
        assert immutable(part, np.int64) is part
    for other in (fixed[::2], fixed[1:].view(np.int8)[4:12].view(np.int64)):  # strided, unaligned
        assert not np.shares_memory(immutable(other, np.int64), fixed)


def test_an_array_whose_flag_says_read_only_is_copied():
    owner = np.arange(4)
    owner.flags.writeable = False
    fixed = immutable(owner, np.int64)
    owner.flags.writeable = True
    owner[:] = 2**40
    assert fixed.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("source", [np.int64, np.int32, np.uint8, np.float64])
@pytest.mark.parametrize("size", [2**15 - 1, 2**15, 2**15 + 1])
def test_a_large_array_is_copied_to_memory_that_nobody_can_write(source, size):
    values = (np.arange(2 * size).reshape(2, size) % 200).astype(source)
    for array in (values, values.T):
        copy = immutable_copy(array, np.int64)
        assert copy.dtype == np.int64
        assert copy.flags.c_contiguous
        np.testing.assert_array_equal(copy, array)
        assert is_fixed(copy)


@pytest.mark.parametrize("size", [0, 1, 2**15, 2**20])
def test_new_memory_is_written_through_one_array_and_fixed_in_the_other(size):
    to, fixed = immutable_memory(size, np.int64)
    to[:] = np.arange(size)
    del to
    np.testing.assert_array_equal(fixed, np.arange(size))
    assert is_fixed(fixed)
    part = fixed[size // 2 :]
    assert immutable(part, np.int64) is part
