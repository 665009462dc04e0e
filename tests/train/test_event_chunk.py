"""The logs of a chunk of samples: they grow when they are full, and have a limit."""

import numpy as np
import pytest

from neuroasync import LimitError, SpikeTrains, parse_topology
from neuroasync.core.engine.policies import LayerSync, Random
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.kernels.layout import Context
from neuroasync.train import Surrogate, event_chunk, make_batch
from neuroasync.train.event_record import CHUNKS, EventRecordRunner

PASSES, SAMPLES = 5, 12
MODEL = parse_topology("timestep_us=1000; input 500; hidden d8; output d3")


def record_of(policy):
    """Return the record of samples with 2,500 input events each, 12 in each chunk."""
    count = SAMPLES * CHUNKS
    t_us, index = np.repeat(1000 * np.arange(PASSES), 500), np.tile(np.arange(500), PASSES)
    trains = SpikeTrains(
        np.tile(t_us, count), np.tile(index, count), t_us.size * np.arange(count + 1), None, (500,)
    )
    runner = EventRecordRunner(MODEL, 1)
    weights = np.full_like(runner.packed.arrays.weights, 0.01)
    batch = make_batch(MODEL, trains, range(count), range(count))
    return runner.run(weights, batch, RunSettings(policy, 64))


def test_deliveries_do_not_enlarge_the_logs_of_turns():
    for chunk in record_of(LayerSync()).chunks:
        assert chunk.origins.size >= 2500 * SAMPLES
        assert chunk.turn_log.shape[1] == (SAMPLES * PASSES + 1) * len(MODEL.populations)
        assert chunk.turn_potentials.size == (SAMPLES * PASSES + 1) * MODEL.size


def test_full_logs_of_turns_grow_alone_and_keep_their_contents(monkeypatch):
    expected = record_of(LayerSync()).chunks[0]
    grow_turns = event_chunk.Chunk._grow_turns

    def with_little_room(chunk, turns, potentials):
        if not chunk.turn_log.size:
            turns, potentials = 3, 2 * MODEL.size
        grow_turns(chunk, turns, potentials)

    monkeypatch.setattr(event_chunk.Chunk, "_grow_turns", with_little_room)
    chunk = record_of(LayerSync()).chunks[0]
    turns = int(chunk.ends[3, -1])
    assert turns == expected.ends[3, -1]
    assert np.array_equal(chunk.turn_log[:, :turns], expected.turn_log[:, :turns])
    used = chunk._logged_potentials(turns)
    assert np.array_equal(chunk.turn_potentials[:used], expected.turn_potentials[:used])
    assert chunk.turn_log.shape[1] <= 2 * turns
    assert chunk.turn_potentials.size <= 2 * (used + MODEL.size)


@pytest.mark.parametrize("policy", [LayerSync(), Random()])
def test_runs_and_slots_have_at_most_twice_the_room_that_they_need(policy):
    for chunk in record_of(policy).chunks:
        runs, slots = int(chunk.ends[2, -1]), int(chunk.ends[4, -1])
        of_a_sample = int(np.diff(chunk.ends[4], prepend=0).max())
        assert chunk.origins.size == chunk.factors.size <= 2 * slots
        assert chunk.runs.shape[1] <= 2 * (runs + of_a_sample)


def test_a_chunk_with_too_many_deliveries_raises_an_error_that_says_what_to_do(monkeypatch):
    slots = int(record_of(Random()).chunks[0].ends[4, -1])
    monkeypatch.setattr(event_chunk, "_MAX_SLOTS", slots)
    assert record_of(Random()).chunks[0].origins.size == slots
    monkeypatch.setattr(event_chunk, "_MAX_SLOTS", slots - 1)
    with pytest.raises(LimitError, match=rf"samples 0 to 11 .* got {slots}; use a smaller batch"):
        record_of(Random())


def test_the_limit_of_deliveries_is_what_the_runs_can_count():
    runs = record_of(Random()).chunks[0].runs
    assert np.iinfo(runs.dtype).max == event_chunk._MAX_SLOTS


def results_of(runner, policy, sizes):
    """Return votes and weight gradients, as bytes, of batches with these numbers of samples."""
    weights = np.full_like(runner.packed.arrays.weights, 0.01)
    results = []
    for count in sizes:
        t_us, index = np.repeat(1000 * np.arange(PASSES), 20), np.arange(100)
        offsets = 100 * np.arange(count + 1)
        trains = SpikeTrains(np.tile(t_us, count), np.tile(index, count), offsets, None, (500,))
        batch = make_batch(MODEL, trains, range(count), range(count))
        record = runner.run(weights, batch, RunSettings(policy, 64))
        of_results = (np.ones_like(x) for x in (record.votes, record.spikes, record.potentials))
        gradient, _ = runner.backward(record, *of_results, Surrogate().code)
        results.append((record.votes.tobytes(), gradient.tobytes()))
        del record  # returns its chunks, which the next batch uses again
    return results


@pytest.mark.parametrize("policy", [LayerSync(), Random()])
def test_chunks_that_change_their_sizes_and_back_give_the_same_results(policy):
    sizes = [3 * CHUNKS, CHUNKS, 3 * CHUNKS, 2, CHUNKS]
    expected = [results_of(EventRecordRunner(MODEL, 1), policy, [size])[0] for size in sizes]
    assert results_of(EventRecordRunner(MODEL, 1), policy, sizes) == expected


@pytest.mark.parametrize("policy", [LayerSync(), Random()])
@pytest.mark.parametrize("method", ["_grow_deliveries", "_grow_turns"])
def test_chunk_is_whole_again_after_an_error_in_its_preparation(monkeypatch, policy, method):
    (expected,) = results_of(EventRecordRunner(MODEL, 1), policy, [CHUNKS])
    runner = EventRecordRunner(MODEL, 1)
    assert results_of(runner, policy, [CHUNKS]) == [expected]
    grow = getattr(event_chunk.Chunk, method)

    def fail(chunk, first, second):
        grow(chunk, first, second)
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(event_chunk.Chunk, method, fail)
        if method == "_grow_deliveries" or isinstance(policy, LayerSync):
            with pytest.raises(MemoryError):
                results_of(runner, policy, [3 * CHUNKS])
    assert results_of(runner, policy, [CHUNKS]) == [expected]


def test_addresses_of_turns_are_right_after_an_error_while_they_grow():
    chunk = record_of(LayerSync()).chunks[0]
    sizes = chunk._sizes
    context = chunk.scratch.context
    # An error between the two steps of `grow` leaves the context as it was.
    chunk._grow_turns(4 * chunk.turn_log.shape[1], 4 * chunk.turn_potentials.size)
    assert context[Context.TURN_LOG] != chunk.turn_log.ctypes.data
    chunk.open(chunk.samples, *sizes[1:])
    assert context[Context.TURN_LOG] == chunk.turn_log.ctypes.data
    assert context[Context.TURN_POTENTIALS] == chunk.turn_potentials.ctypes.data
