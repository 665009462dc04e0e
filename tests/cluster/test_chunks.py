"""Chunks divide a data set completely, in order, and by the measured times."""

from hypothesis import given
from hypothesis import strategies as st

from neuroasync.cluster.chunks import Chunks


def taken(chunks, seconds_per_sample):
    """Take and measure one chunk after the other."""
    while (chunk := chunks.take()) is not None:
        yield chunk
        chunks.measured(len(chunk), seconds_per_sample * len(chunk))


@given(
    size=st.integers(0, 3000),
    workers=st.integers(1, 9),
    seconds=st.sampled_from([0.0, 1e-4, 0.01, 0.3, 5.0]),
)
def test_chunks_are_all_samples_in_order(size, workers, seconds):
    chunks = list(taken(Chunks(size, workers), seconds))
    assert [k for chunk in chunks for k in chunk] == list(range(size))
    assert all(len(chunk) for chunk in chunks)


def test_chunks_grow_to_a_second_and_become_smaller_at_the_end():
    sizes = [len(chunk) for chunk in taken(Chunks(2000, 2), 0.01)]
    assert sizes[:3] == [1, 16, 100]
    assert max(sizes) == 100
    falling = sizes[sizes.index(100) :]
    assert falling == sorted(falling, reverse=True)
    assert falling[-2] == 100 // 16


def test_a_sample_that_takes_longer_is_a_chunk_of_its_own():
    assert [len(chunk) for chunk in taken(Chunks(5, 2), 3.0)] == [1, 1, 1, 1, 1]
