"""Encoders turn values into spikes as documented."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import neuroasync as na
from neuroasync.encoders import encode_current, encode_delta, encode_latency, encode_rate, uniforms

SIGNALS = hnp.arrays(
    np.int64, st.tuples(st.integers(1, 20), st.just(3)), elements=st.integers(-50, 50)
)


def test_latency_code_spikes_earlier_for_larger_values_and_never_for_zero():
    trains = encode_latency([[1.0, 0.5, 0.25, 0.0]], timesteps=5, timestep_us=100)
    # (1 - value) * 4 timesteps: 0, 2, 3
    assert trains[0].t_us.tolist() == [0, 200, 300]
    assert trains[0].index.tolist() == [0, 1, 2]


def test_rate_code_spikes_always_for_a_value_of_one_and_never_for_zero():
    trains = encode_rate([[1.0, 0.0]], timesteps=3, timestep_us=10, seed=1)
    assert trains[0].t_us.tolist() == [0, 10, 20]
    assert trains[0].index.tolist() == [0, 0, 0]


def test_rate_code_spikes_with_the_probability_of_its_value():
    trains = encode_rate(np.full((20, 50), 0.3), timesteps=40, timestep_us=1, seed=3)
    # For 40,000 draws, the standard deviation is sqrt(0.3 * 0.7 / 40,000) = 0.0023.
    assert len(trains.t_us) / 40_000 == pytest.approx(0.3, abs=0.01)


def test_rate_code_depends_on_the_seed_and_not_on_the_other_samples():
    values = np.linspace(0, 1, 24).reshape(4, 6)
    first, second = (encode_rate(values, 5, 1000, seed=9) for _ in range(2))
    other = encode_rate(values, 5, 1000, seed=10)
    alone = encode_rate(values[:1], 5, 1000, seed=9)
    assert first == second != other
    assert first[0] == alone[0]


def test_encoded_trains_have_the_labels_and_the_shape_of_the_values():
    trains = encode_latency(np.ones((2, 3, 4)), 2, 10, labels=[7, 1])
    assert trains.shape == (3, 4)
    assert trains.labels.tolist() == [7, 1]


@pytest.mark.parametrize("value", [1.5, -0.1, float("nan")])
def test_value_out_of_range_is_rejected(value):
    with pytest.raises(ValueError, match=rf"`values` must be from 0 to 1, got {value}"):
        encode_latency([[0.5, value]], 2, 10)


@pytest.mark.parametrize("values", [[0.5], 0.5])
def test_values_without_an_axis_for_samples_are_rejected(values):
    with pytest.raises(ValueError, match=r"`values` must have the shape \[samples, ...\], got \("):
        encode_latency(values, 2, 10)


def test_zero_timesteps_are_rejected():
    with pytest.raises(ValueError, match=r"^`timesteps` must be an integer from 1 to 10000000"):
        encode_rate([[0.5]], 0, 10, seed=0)


def test_timestep_of_zero_is_rejected():
    with pytest.raises(ValueError, match="`timestep_us` must be an integer of at least 1, got 0"):
        encode_latency([[0.5]], 2, 0)


def test_uniforms_equal_the_output_of_splitmix64():
    # The first output of SplitMix64 with seed 0 is 0xE220A8397B1DCDAF.
    assert uniforms(0, 1)[0] == (0xE220A8397B1DCDAF >> 11) / 2**53


def test_rate_code_depends_on_the_number_of_a_sample_and_not_on_its_position():
    values = np.linspace(0, 1, 24).reshape(4, 6)
    together = encode_rate(values, 5, 1000, seed=9)
    assert encode_rate(values[[3, 1]], 5, 1000, seed=9, numbers=[3, 1]) == together.take([3, 1])
    with pytest.raises(ValueError, match=r"`numbers` must have the shape \(4,\), got \(1,\)"):
        encode_rate(values, 5, 1000, seed=9, numbers=[3])


def test_delta_code_spikes_when_a_signal_has_changed_by_the_threshold():
    signal = [[10, 0], [12, 0], [13, 2], [7, 2], [8, 2]]
    trains = encode_delta([signal], threshold=3, timestep_us=100, labels=[4])
    # Input 0: a change of 2 is too small, 3 gives one event, -6 gives two, and 1 is too small.
    # Input 1 changes by 2 only. The neurons are: off 0, off 1, on 0, on 1.
    assert trains[0].t_us.tolist() == [200, 300, 300]
    assert trains[0].index.tolist() == [2, 0, 0]
    assert (trains.shape, trains.labels.tolist()) == ((2, 2), [4])


def test_delta_code_measures_changes_from_its_reference_and_not_from_the_last_value():
    # The value 2.5 gives two events and a reference of 2. From there, 2.1 gives no event, and 3.0
    # gives one.
    trains = encode_delta([[[0.0], [2.5], [2.1], [3.0]]], threshold=1, timestep_us=1)
    assert trains[0].t_us.tolist() == [1, 1, 3]
    assert trains[0].index.tolist() == [1, 1, 1]


@given(signals=st.lists(SIGNALS, min_size=1, max_size=3), threshold=st.integers(1, 9))
def test_signal_decoded_from_a_delta_code_differs_by_less_than_the_threshold(signals, threshold):
    trains = encode_delta(signals, threshold, timestep_us=10)
    assert trains.shape == (2, 3)
    for signal, train in zip(signals, trains, strict=True):
        counts = np.zeros((len(signal), 6), np.int64)
        np.add.at(counts, (train.t_us // 10, train.index), 1)
        decoded = signal[0] + threshold * np.cumsum(counts[:, 3:] - counts[:, :3], axis=0)
        assert np.all(np.abs(signal - decoded) < threshold)
        assert not np.any((counts[:, :3] > 0) & (counts[:, 3:] > 0))


ENCODED: dict = {
    "rate": lambda values, **kw: encode_rate(values, 3, 1000, seed=0, **kw),
    "latency": lambda values, **kw: encode_latency(values, 3, 1000, **kw),
    "delta": lambda values, **kw: encode_delta([[row, row] for row in values], 1, 1000, **kw),
}


@pytest.mark.parametrize("code", ["rate", "latency"])
@pytest.mark.parametrize("shape", [(0, 4), (0, 2, 3)])
def test_no_samples_are_encoded_to_no_samples(code, shape):
    trains = ENCODED[code](np.zeros(shape), labels=[])
    assert (len(trains), trains.shape, trains.labels.tolist()) == (0, shape[1:], [])


@pytest.mark.parametrize("code", ENCODED)
@pytest.mark.parametrize("labels", [[0.9, 1.7], [1.0, 2.0], ["3", "1"], [True, False], [None, 1]])
def test_labels_that_are_no_integers_are_refused(code, labels):
    with pytest.raises(na.EventsError, match=r"^`labels` must be one-dimensional integers, got "):
        ENCODED[code]([[0.5], [0.5]], labels=labels)


@pytest.mark.parametrize("code", ENCODED)
def test_labels_of_any_integer_type_are_taken(code):
    for labels in ([3, 1], (3, 1), np.array([3, 1], np.uint8), np.array([3, 1], ">i4")):
        assert ENCODED[code]([[0.5], [0.5]], labels=labels).labels.tolist() == [3, 1]


@pytest.mark.parametrize("numbers", [[1.7, 1.2], [1.0, 2.0], ["1", "2"], [True, False]])
def test_sample_numbers_that_are_no_integers_are_refused(numbers):
    with pytest.raises(ValueError, match=r"^`numbers` must be one-dimensional integers, got "):
        ENCODED["rate"]([[0.5], [0.5]], numbers=numbers)


@pytest.mark.parametrize("code", ENCODED)
@pytest.mark.parametrize("values", [[["a"], ["b"]], [[None], [None]], [[0.5], [0.5, [1.0]]]])
def test_values_that_are_no_numbers_are_refused(code, values):
    with pytest.raises(ValueError, match=r"must be an array of numbers, got "):
        ENCODED[code](values)


def test_integers_of_numpy_give_the_same_events_as_integers():
    values = np.linspace(0, 1, 24).reshape(4, 6)
    numbers = np.arange(4, dtype=np.uint8)
    given_ints = encode_rate(values, 5, 1000, seed=9, numbers=numbers.tolist())
    of_numpy = encode_rate(values, np.uint8(5), np.int16(1000), seed=np.uint64(9), numbers=numbers)
    assert of_numpy == given_ints
    with pytest.raises(
        ValueError, match=r"^`timesteps` must be an integer from 1 to 10000000, got 5\.0"
    ):
        encode_rate(values, 5.0, 1000, seed=9)
    with pytest.raises(
        ValueError, match=r"^`seed` must be an integer from 0 to 2\*\*64 - 1, got -1"
    ):
        encode_rate(values, 5, 1000, seed=-1)


@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", ">i4", "<u4", "<i8", "<u8", "<f4"])
def test_the_delta_code_does_not_depend_on_the_type_of_the_signal(dtype):
    signal = [[100], [3], [120], [120], [0]]
    found = encode_delta([np.array(signal, dtype)], np.int8(40), 10)
    assert found == encode_delta([signal], 40, 10)
    assert found[0].t_us.tolist() == [10, 10, 20, 20, 40, 40]


@pytest.mark.parametrize(
    ("signals", "threshold", "timestep_us", "message"),
    [
        ([[[0]]], 0, 1, "`threshold` must be a finite number above 0, got 0"),
        ([[[0]]], float("nan"), 1, "`threshold` must be a finite number above 0, got nan"),
        ([[[0]]], 1, 0, "`timestep_us` must be an integer of at least 1, got 0"),
        ([], 1, 1, "`signals` must have at least one signal, got none"),
        (
            [[1, 2]],
            1,
            1,
            r"`signals` must be arrays \[timesteps, ...\] of at least .* got shapes \[\(2,\)\]",
        ),
        ([[[0]], [[0, 1]]], 1, 1, "`signals` must be arrays"),
        ([np.zeros((0, 2))], 1, 1, "`signals` must be arrays .* of at least one timestep"),
        ([[[float("inf")]]], 1, 1, "`signals` must have finite values only"),
    ],
)
def test_invalid_argument_of_the_delta_code_is_rejected(signals, threshold, timestep_us, message):
    with pytest.raises(ValueError, match=message):
        encode_delta(signals, threshold, timestep_us)


def test_a_rate_code_is_the_same_in_blocks(monkeypatch):
    values = np.linspace(0, 1, 12).reshape(2, 6)
    expected = encode_rate(values, 50, 1000, seed=9)
    for block in (1, 13, 299):
        monkeypatch.setattr("neuroasync.encoders._BLOCK", block)
        assert encode_rate(values, 50, 1000, seed=9) == expected


def test_a_latency_code_with_many_timesteps_needs_memory_for_its_events_only():
    trains = encode_latency([[1.0, 0.5, 0.0]], 10_000_000, 1)
    assert trains[0].t_us.tolist() == [0, 5_000_000]


@pytest.mark.parametrize("code", [encode_latency, lambda v, n, us: encode_rate(v, n, us, 0)])
def test_more_timesteps_than_a_network_runs_are_refused(code):
    with pytest.raises(ValueError, match="`timesteps` must be an integer from 1 to 10000000, "):
        code([[0.5]], 10_000_001, 1)


@pytest.mark.parametrize(
    "encode",
    [
        lambda us: encode_rate([[0.5]], 2049, us, 0),
        lambda us: encode_latency([[1e-9, 1.0]], 2049, us),
        lambda us: encode_delta([np.zeros((2049, 1))], 1, us),
    ],
    ids=ENCODED,
)
def test_times_that_would_overflow_are_refused(encode):
    encode(2**42)
    # 2048 * 2**53 µs would wrap around to 0.
    with pytest.raises(ValueError, match=r"`timestep_us` must be short enough that 2049 timesteps"):
        encode(2**53)


@pytest.mark.parametrize(
    "encode",
    [
        lambda values: encode_rate(values, 3, 1000, 0),
        lambda values: encode_latency(values, 3, 1000),
        lambda values: encode_delta([values], 1, 1000),
    ],
    ids=ENCODED,
)
def test_masked_values_are_refused(encode):
    with pytest.raises(ValueError, match="must be an array without masked values"):
        encode(np.ma.array([[0.5, 0.5]], mask=[[False, True]]))
    assert len(encode(np.ma.array([[0.5, 0.5]]))) == 1


def test_a_negative_number_of_a_sample_is_refused():
    with pytest.raises(ValueError, match=r"`numbers\[1\]` must be at least 0, got -1"):
        encode_rate([[0.5], [0.5]], 3, 1000, 0, numbers=[0, -1])


@pytest.mark.parametrize(
    ("signal", "threshold"),
    [
        ([[2**60], [2**60 + 1]], 0.5),
        ([[-(2**60)], [0]], 0.5),
        (np.array([[2**63], [2**63 + 3]], np.uint64), 1),
        (np.array([[0], [2**64 - 1]], np.uint64), 2**62),
        ([[2**62], [0]], 1),
        ([[2**54], [0]], 2**62),
    ],
)
def test_integers_that_a_delta_code_would_round_are_refused(signal, threshold):
    with pytest.raises(ValueError, match=r"`signals\[1\]` must be integers from .* be rounded"):
        encode_delta([[[0], [1]], signal], threshold, 1000)


def test_a_delta_code_of_large_integers_is_exact():
    signal = [[2**62 - 1], [2**62 - 4], [-(2**62) + 1]]
    trains = encode_delta([signal[:2]], 3, 1000)
    assert trains[0].index.tolist() == [0]
    trains = encode_delta([signal], 2**61, 1000)
    assert trains[0].index.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("signal", "threshold"),
    [
        ([[0.0], [1e300]], 1e-3),
        ([[-1e308], [1e308]], 1.0),
        ([[0], [2**40]], 1),
        ([[0], [1]], 1e-320),
    ],
)
def test_a_delta_code_with_too_many_events_is_refused(signal, threshold):
    with pytest.raises(
        ValueError, match=r"`signals\[0\]` must give at most \d+ events, got more; "
    ):
        encode_delta([signal], threshold, 1000)


def test_a_current_gives_each_number_that_is_not_0_in_every_timestep():
    trains = encode_current([[0.5, 0.0, -2.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]], 2, 100, [0, 1, 2])
    assert trains[0].t_us.tolist() == [0, 0, 100, 100]
    assert trains[0].index.tolist() == [0, 2, 0, 2]
    assert trains[0].value.tolist() == [0.5, -2.0, 0.5, -2.0]
    assert len(trains[1]) == 0
    assert trains[2].t_us.tolist() == [0, 100]
    assert trains.labels.tolist() == [0, 1, 2]
    assert trains.shape == (3,)


def test_a_rate_code_has_a_bounded_number_of_events(monkeypatch):
    monkeypatch.setattr("neuroasync.encoders._MAX_EVENTS", 6)
    assert encode_rate([[1.0, 1.0], [1.0, 0.0]], 3, 1, 0).t_us.size == 9
    with pytest.raises(ValueError, match="`values` must be such that a sample has at most 6 event"):
        encode_rate([[1.0, 1.0]], 4, 1, 0)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float16, ">f8", ">i4"])
def test_a_current_may_have_any_type_of_numbers(dtype):
    values = np.array([[1, 0, 1]]).astype(dtype)
    assert encode_current(values, 2, 100) == encode_current([[1.0, 0.0, 1.0]], 2, 100)


@given(
    hnp.arrays(np.float32, (2, 4, 3), elements=st.floats(-2, 2, width=32)),
    st.integers(1, 5),
)
def test_a_constant_current_is_that_of_repeated_frames(values, timesteps):
    constant = encode_current(values[:, 0], timesteps, 10)
    assert constant == encode_current(np.repeat(values[:, :1], timesteps, axis=1), None, 10)
    frames = np.zeros_like(values)
    for sample, train in enumerate(encode_current(values, None, 10)):
        frames[sample, train.t_us // 10, train.index] = train.value
    assert frames.tolist() == values.tolist()


@pytest.mark.parametrize(
    ("values", "timesteps", "message"),
    [
        ([1.0], 2, "`values` must have the shape .samples, ...., got"),
        ([[1.0]], None, "`values` must have the shape .samples, timesteps, ...., got"),
        ([[np.nan]], 2, "must be a number from"),
        ([[2.0**25]], 2, "must be a number from"),
        ([[1.0]], 0, "`timesteps` must be"),
        (["a"], 1, "`values` must be an array of numbers"),
    ],
)
def test_currents_that_cannot_be_encoded_are_refused(values, timesteps, message):
    with pytest.raises(ValueError, match=message):
        encode_current(values, timesteps, 1000)
