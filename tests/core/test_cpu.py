"""A limit of cores holds inside its block only."""

from neuroasync.core.cpu import cores, limited_cores


def test_cores_are_limited_inside_the_block():
    available = cores()
    with limited_cores(1):
        assert cores() == 1
        with limited_cores(available + 5):
            assert cores() == available
        assert cores() == 1
    assert cores() == available
