import numpy as np
import pytest

from neuroasync.encoders import encode_latency, encode_rate, uniforms


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
