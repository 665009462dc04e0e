"""Batches with a few long samples are split, and ordinary ones are not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.model.topology import parse_topology
from neuroasync.train import SpikingNetwork, TrainConfig, evaluate, fit
from neuroasync.train.loop import length_split
from neuroasync.train.loop.length_split import split_by_length
from tests.helpers.small_trainings import TINY, outcome

# A pass of the tiny network takes 8 * 8 + 40 * 3 + 16 * 2 = 216 bytes, and 2**26 / 216 = 310,689.


def split(passes, model=TINY):
    return [part.tolist() for part in split_by_length(np.array(passes, np.int64), model)]


def test_a_sample_that_is_much_longer_than_the_others_gets_a_part_of_its_own():
    passes = [3] * 64
    passes[5] = 10_000  # The padding is 63 * (10,000 - 3) = 629,811 passes.
    assert split(passes) == [[k for k in range(64) if k != 5], [5]]


def test_long_samples_of_similar_length_share_a_part():
    passes = [3] * 64
    passes[5], passes[60] = 20_000, 30_000
    assert split(passes) == [[k for k in range(64) if k not in (5, 60)], [5, 60]]


@pytest.mark.parametrize(
    "passes",
    [
        [],
        [0],
        [0] * 64,
        [3] * 63 + [4_000],  # Little padding: 63 * 3,997 = 251,811 passes.
        list(range(1000, 17_000, 250)),  # Much padding, but less than what is used.
        [10_000_000],
        [1] * 7 + [10_000_000],  # Seven eighths of the room are padding, but no more.
    ],
    ids=len,
)
def test_other_batches_stay_whole(passes):
    assert split(passes) == [list(range(len(passes)))]


@given(st.lists(st.integers(0, 10_000_000), max_size=40))
def test_parts_have_every_sample_once_and_little_padding(passes):
    parts = split(passes)
    assert sorted(k for part in parts for k in part) == list(range(len(passes)))
    for part in parts:
        assert part == sorted(part)
        lengths = [passes[k] for k in part]
        room = len(part) * max(lengths, default=0)
        assert room <= 8 * sum(lengths) or (room - sum(lengths)) * 216 <= 2**26


def skewed(long_us=50_000):
    trains = [SpikeTrain([0, 1000, 2000], [0, 1, k % 6]) for k in range(16)]
    trains[5] = SpikeTrain([0, 1000, long_us], [0, 1, 2])
    return SpikeTrains.from_trains(trains, (6,), [k % 3 for k in range(16)])


@pytest.fixture
def without_allowance(monkeypatch):
    """Split also small batches."""
    monkeypatch.setattr(length_split, "_MAX_PADDING_BYTES", 0)


@pytest.mark.parametrize("loss", ["accumulated", "timestep", "final"])
def test_a_split_batch_has_the_gradients_of_the_whole(loss, monkeypatch):
    config = TrainConfig(
        epochs=1, batch_size=16, loss=loss, penalty_target=0.1, penalty=1.0, lr=1e-3, device="cpu"
    )
    whole = fit(TINY, skewed(), config)
    monkeypatch.setattr(length_split, "_MAX_PADDING_BYTES", 0)
    parts = fit(TINY, skewed(), config)
    for one, other in zip(whole.model.connections, parts.model.connections, strict=True):
        np.testing.assert_allclose(one.weight, other.weight, rtol=1e-4, atol=1e-6)
    assert parts.history[0].loss == pytest.approx(whole.history[0].loss)
    assert parts.history[0].accuracy == whole.history[0].accuracy
    assert parts.history[0].spikes == pytest.approx(whole.history[0].spikes)


@pytest.mark.usefixtures("without_allowance")
def test_a_training_with_split_batches_is_reproducible_and_resumes_to_the_same_bits(tmp_path):
    config = TrainConfig(epochs=3, batch_size=16, input_dropout=0.1, device="cpu")

    class StopError(Exception):
        pass

    def stop(result):
        raise StopError

    expected = outcome(fit(TINY, skewed(), config, threads=1))
    assert outcome(fit(TINY, skewed(), config, threads=3)) == expected
    with pytest.raises(StopError):
        fit(TINY, skewed(), config, checkpoint=tmp_path / "file", on_epoch=stop)
    resumed = fit(TINY, skewed(), config, checkpoint=tmp_path / "file", resume=True)
    assert outcome(resumed) == expected


def test_splitting_changes_no_decision(monkeypatch):
    model = parse_topology("timestep_us=1000 decay=0.9; input 6; hidden d5; output d3")
    network = SpikingNetwork(model, device="cpu")
    network.reset_parameters(3)
    expected, spikes = evaluate(network, skewed(), RunSettings())
    monkeypatch.setattr(length_split, "_MAX_PADDING_BYTES", 0)
    labels, counts = evaluate(network, skewed(), RunSettings())
    assert (labels.tolist(), counts.tolist()) == (expected.tolist(), spikes.tolist())
