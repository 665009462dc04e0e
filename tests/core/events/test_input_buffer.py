"""The input buffer merges chunks only when a pass reads them."""

import numpy as np
import pytest

import neuroasync as na
from neuroasync.core.events import input_buffer
from neuroasync.core.events.input_buffer import InputBuffer
from tests.helpers.hand_networks import one_neuron


@pytest.mark.parametrize("sorts", [False, True])
def test_chunks_are_merged_once_and_in_order(sorts, monkeypatch):
    buffer = InputBuffer(one_neuron([[1.5] * 100], inputs=100), sorts, keeps=False)
    merges = []
    merge = InputBuffer.merge
    monkeypatch.setattr(
        InputBuffer, "merge", lambda self: merges.append(self.unmerged) or merge(self)
    )
    for k in range(50):
        buffer.accept(na.SpikeTrain([7], [99 - k]), True)
    assert buffer.waiting == 50
    assert merges == []
    t_us, index, value = buffer.events
    assert value is None
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
    assert [array.tolist() for array in buffer.events[:2]] == [[2, 2], [3, 7]]
    buffer.drop(2)
    assert buffer.waiting == 0
    assert buffer.events[0].size == 0


def test_merging_changes_nothing_until_the_result_is_set():
    buffer = InputBuffer(one_neuron([[1.5] * 100], inputs=100), sorts=True, keeps=False)
    buffer.accept(na.SpikeTrain([4], [5]), True)
    assert buffer.events[1].tolist() == [5]
    buffer.accept(na.SpikeTrain([4], [2]), True)
    assert buffer.unmerged == 2
    merged = buffer.merge()()
    assert [array.tolist() for array in merged[:2]] == [[4, 4], [2, 5]]
    assert buffer.unmerged == 2
    buffer.set_merged(merged)
    assert buffer.unmerged == 0
    assert buffer.events is merged


@pytest.mark.parametrize(("most", "shares"), [(2, True), (3, False)])
def test_many_events_are_not_copied_when_others_are_dropped(most, shares, monkeypatch):
    monkeypatch.setattr(input_buffer, "_MAX_COPIED", most)
    buffer = InputBuffer(one_neuron([[1.5] * 100], inputs=100), sorts=False, keeps=False)
    train = na.SpikeTrain([0, 1, 2, 3, 4], [5, 6, 7, 8, 9])
    buffer.accept(train, True)
    buffer.drop(2)
    assert [array.tolist() for array in buffer.events[:2]] == [[2, 3, 4], [7, 8, 9]]
    assert np.shares_memory(buffer.events[0], train.t_us) == shares
