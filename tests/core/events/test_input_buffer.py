"""The input buffer merges chunks only when a pass reads them."""

import numpy as np
import pytest

import neuroasync as na
from neuroasync.core.events.input_buffer import InputBuffer
from tests.helpers.hand_networks import one_neuron


@pytest.mark.parametrize("sorts", [False, True])
def test_chunks_are_merged_once_and_in_order(sorts, monkeypatch):
    buffer = InputBuffer(one_neuron([[1.5] * 100], inputs=100), sorts, keeps=False)
    merges = []
    join = InputBuffer._joined
    monkeypatch.setattr(
        InputBuffer, "_joined", lambda self, added: merges.append(len(added)) or join(self, added)
    )
    for k in range(50):
        buffer.accept(na.SpikeTrain([7], [99 - k]), True)
    assert buffer.waiting == 50
    assert merges == []
    t_us, index = buffer.events
    assert t_us.tolist() == [7] * 50
    assert index.tolist() == (sorted if sorts else list)(range(99, 49, -1))
    assert buffer.events[0] is t_us
    assert merges == [50]


def test_events_that_were_read_are_dropped():
    buffer = InputBuffer(one_neuron([[1.5] * 100], inputs=100), sorts=True, keeps=False)
    buffer.accept(na.SpikeTrain([0, 1, 2], [5, 6, 7]), True)
    buffer.accept(na.SpikeTrain([2], [3]), True)
    buffer.drop(2)
    assert buffer.waiting == 2
    assert [array.tolist() for array in buffer.events] == [[2, 2], [3, 7]]
    buffer.drop(2)
    assert buffer.waiting == 0
    assert buffer.events[0].size == 0


def test_merged_changes_nothing():
    buffer = InputBuffer(one_neuron([[1.5] * 100], inputs=100), sorts=True, keeps=False)
    buffer.accept(na.SpikeTrain([4], [5]), True)
    merged = buffer.merged(na.SpikeTrain([4], [2]))
    assert [array.tolist() for array in merged] == [[4, 4], [2, 5]]
    assert buffer.waiting == 1
    np.testing.assert_array_equal(buffer.events[1], [5])
