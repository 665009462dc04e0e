import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neuroasync.encoders import encode_delta, encode_latency, encode_rate, uniforms

SIGNALS = hnp.arrays(
    np.int64, st.tuples(st.integers(1, 20), st.just(3)), elements=st.integers(-50, 50)
)


def test_a_latency_code_spikes_earlier_for_larger_values_and_never_for_zero():
    trains = encode_latency([[1.0, 0.5, 0.25, 0.0]], timesteps=5, timestep_us=100)
    # (1 - value) * 4 timesteps: 0, 2, 3
    assert trains[0].t_us.tolist() == [0, 200, 300]
    assert trains[0].index.tolist() == [0, 1, 2]


def test_a_rate_code_spikes_always_at_one_and_never_at_zero():
    trains = encode_rate([[1.0, 0.0]], timesteps=3, timestep_us=10, seed=1)
    assert trains[0].t_us.tolist() == [0, 10, 20]
    assert trains[0].index.tolist() == [0, 0, 0]


def test_a_rate_code_spikes_as_often_as_its_value_says():
    trains = encode_rate(np.full((20, 50), 0.3), timesteps=40, timestep_us=1, seed=3)
    # 40,000 draws: a standard deviation is 0.0023
    assert len(trains.t_us) / 40_000 == pytest.approx(0.3, abs=0.01)


def test_seeds_decide_the_rate_code_and_nothing_else_does():
    values = np.linspace(0, 1, 24).reshape(4, 6)
    once, again = (encode_rate(values, 5, 1000, seed=9) for _ in range(2))
    other = encode_rate(values, 5, 1000, seed=10)
    alone = encode_rate(values[:1], 5, 1000, seed=9)
    assert once == again != other
    assert once[0] == alone[0]


def test_labels_and_shape_come_along():
    trains = encode_latency(np.ones((2, 3, 4)), 2, 10, labels=[7, 1])
    assert trains.shape == (3, 4)
    assert trains.labels.tolist() == [7, 1]


@pytest.mark.parametrize("values", [[[1.5]], [[-0.1]], [[float("nan")]], [0.5], 0.5])
def test_values_out_of_range_are_refused(values):
    with pytest.raises(ValueError, match=r"values: shape .*, expected \[samples, ...\] in 0..1"):
        encode_latency(values, 2, 10)


def test_no_timesteps_are_refused():
    with pytest.raises(ValueError, match="expected from 1"):
        encode_rate([[0.5]], 0, 10, seed=0)


def test_uniforms_are_those_of_splitmix64():
    # The first output of SplitMix64 with seed 0 is 0xE220A8397B1DCDAF.
    assert uniforms(0, 1)[0] == (0xE220A8397B1DCDAF >> 11) / 2**53


def test_a_rate_code_draws_by_the_samples_number_not_by_its_place():
    values = np.linspace(0, 1, 24).reshape(4, 6)
    together = encode_rate(values, 5, 1000, seed=9)
    assert encode_rate(values[[3, 1]], 5, 1000, seed=9, numbers=[3, 1]) == together.take([3, 1])
    with pytest.raises(ValueError, match=r"numbers: shape \(1,\), expected \(4,\)"):
        encode_rate(values, 5, 1000, seed=9, numbers=[3])


def test_a_delta_code_spikes_when_a_signal_has_moved_by_the_threshold():
    signal = [[10, 0], [12, 0], [13, 2], [7, 2], [8, 2]]
    trains = encode_delta([signal], threshold=3, timestep_us=100, labels=[4])
    # Input 0: +2 is not enough; +3 sends one; from 13 to 7 is twice 3; +1 is not enough.
    # Input 1 moves by 2 only. Rows: off 0, off 1, on 0, on 1.
    assert trains[0].t_us.tolist() == [200, 300, 300]
    assert trains[0].index.tolist() == [2, 0, 0]
    assert (trains.shape, trains.labels.tolist()) == ((2, 2), [4])


def test_a_delta_code_waits_at_what_it_sent_not_at_what_it_saw():
    # 2.5 sends two thresholds of 1 and waits at 2: 3 is one more, 2.1 is none.
    trains = encode_delta([[[0.0], [2.5], [2.1], [3.0]]], threshold=1, timestep_us=1)
    assert trains[0].t_us.tolist() == [1, 1, 3]
    assert trains[0].index.tolist() == [1, 1, 1]


@given(signals=st.lists(SIGNALS, min_size=1, max_size=3), threshold=st.integers(1, 9))
def test_what_a_delta_code_sent_stays_within_a_threshold_of_the_signal(signals, threshold):
    trains = encode_delta(signals, threshold, timestep_us=10)
    assert trains.shape == (2, 3)
    for signal, train in zip(signals, trains, strict=True):
        moves = np.zeros((len(signal), 6), np.int64)
        np.add.at(moves, (train.t_us // 10, train.index), 1)
        sent = signal[0] + threshold * np.cumsum(moves[:, 3:] - moves[:, :3], axis=0)
        assert np.all(np.abs(signal - sent) < threshold)
        assert not np.any((moves[:, :3] > 0) & (moves[:, 3:] > 0))


@pytest.mark.parametrize(
    ("signals", "threshold", "timestep_us", "message"),
    [
        ([[[0]]], 0, 1, "threshold 0, timestep_us 1: expected above 0 and from 1"),
        ([[[0]]], float("nan"), 1, "threshold nan"),
        ([[[0]]], 1, 0, "timestep_us 0"),
        ([], 1, 1, "signals: shapes"),
        ([[1, 2]], 1, 1, r"signals: shapes \[\(2,\)\], expected \[timesteps, ...\] alike"),
        ([[[0]], [[0, 1]]], 1, 1, "signals: shapes"),
        ([np.zeros((0, 2))], 1, 1, "signals: shapes"),
        ([[[float("inf")]]], 1, 1, "signals: expected finite values"),
    ],
)
def test_what_a_delta_code_cannot_encode_is_refused(signals, threshold, timestep_us, message):
    with pytest.raises(ValueError, match=message):
        encode_delta(signals, threshold, timestep_us)
