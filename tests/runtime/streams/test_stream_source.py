"""What a stream accepts as its source, and how it refuses the rest."""

import numpy as np
import pytest

import neuroasync as na
from neuroasync.runtime.streams.chunks import ChunkIterator
from tests.helpers.small_networks import sample

CAMERA = np.zeros(3, [("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        (CAMERA, "ArraySource"),
        (sample(seed=1).t_us, "ArraySource"),
        (3, "put a single spike train into a list"),
    ],
)
def test_source_of_another_type_is_refused_with_advice(source, advice):
    with pytest.raises(TypeError, match=advice):
        ChunkIterator(source)


async def test_list_of_spike_trains_is_a_source():
    chunks = [chunk async for chunk in ChunkIterator([sample(seed=1), ([0], [1])])]
    assert chunks == [sample(seed=1), na.SpikeTrain([0], [1])]
