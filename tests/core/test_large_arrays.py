"""Large arrays start as zeros, belong to their process, and take no huge pages."""

import itertools
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from neuroasync.core.large_arrays import zeros_on_demand

LARGE = 2**20


@pytest.mark.parametrize("rows", [0, 1, LARGE])
def test_an_array_is_zero_and_can_be_written(rows):
    array = zeros_on_demand((2, rows), np.int64)
    assert array.shape == (2, rows)
    assert array.flags.c_contiguous
    assert not array.any()
    array[:] = 7
    assert (array == 7).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_does_not_write_the_array_of_its_parent():
    array = zeros_on_demand((LARGE,), np.int64)
    if (pid := os.fork()) == 0:
        array[:] = 1
        os._exit(0)
    os.waitpid(pid, 0)
    assert not array.any()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the flags of memory")
def test_a_large_array_takes_no_huge_pages():
    array = zeros_on_demand((LARGE,), np.int64)
    address = array.ctypes.data
    areas = Path("/proc/self/smaps").read_text().split("\nVmFlags:")
    for area, flags in itertools.pairwise(areas):
        for line in area.splitlines():
            first, _, last = line.partition(" ")[0].partition("-")
            if last and int(first, 16) <= address < int(last, 16):
                assert "nh" in flags.splitlines()[0].split()
                return
    pytest.fail("the memory of the array is not listed")
