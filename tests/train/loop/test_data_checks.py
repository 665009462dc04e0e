"""Samples that nothing can be learned from are refused before a training starts, by name."""

from dataclasses import replace

import pytest

from neuroasync.core.events.labels_over_time import LabelsOverTime
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.model.topology import parse_topology
from neuroasync.errors import LimitError
from neuroasync.train import TrainConfig, fit
from neuroasync.train.loop.data_checks import check_samples
from tests.helpers.small_trainings import SHORT, TINY, tiny_samples

SILENT, BUSY = SpikeTrain([], []), SpikeTrain([0, 1000, 2000], [0, 1, 2])


def samples(*trains):
    return SpikeTrains.from_trains(trains, (6,), [k % 3 for k in range(len(trains))])


def test_samples_of_which_some_are_silent_are_accepted():
    check_samples("train", samples(SILENT, BUSY, SILENT), TINY, SHORT)


def test_a_silent_set_is_refused_before_the_training():
    silent = samples(SILENT, SILENT)
    with pytest.raises(ValueError, match=r"^`train` must have at least one event, because nothing"):
        fit(TINY, silent, SHORT)
    with pytest.raises(ValueError, match=r"^`validation` must have at least one event, because"):
        fit(TINY, tiny_samples(), SHORT, validation=silent)


def test_a_set_that_is_silent_until_the_end_of_every_sample_is_refused():
    late = samples(SILENT, SpikeTrain([5000], [0]), SpikeTrain([9000], [0]))
    check_samples("train", late, TINY, replace(SHORT, duration_us=5001))
    config = TrainConfig.from_dict(SHORT.to_dict() | {"duration_us": 5000})
    with pytest.raises(ValueError, match=r"at least one event before `duration_us` \(5000\), bec"):
        fit(TINY, late, config)


def test_a_sample_with_a_stray_event_is_refused_by_its_number():
    stray = samples(BUSY, SILENT, BUSY, SpikeTrain([0, 100_000_000], [0, 1]), BUSY)
    with pytest.raises(
        ValueError,
        match=r"^`train\[3\]` has 100001 passes, because it lasts until 100000000 µs, but half of "
        "the samples have at most 3; remove its stray events, or set `duration_us`",
    ):
        fit(TINY, stray, SHORT)
    check_samples("train", stray, TINY, replace(SHORT, duration_us=20_000))


def test_a_sample_with_too_many_passes_is_refused_by_its_number():
    endless = samples(BUSY, SpikeTrain([0, 10_000_000_000], [0, 1]))
    with pytest.raises(LimitError, match=r"^`train\[1\]` has 10000001 passes, .* is 10000000"):
        fit(TINY, endless, SHORT)
    config = TrainConfig.from_dict(SHORT.to_dict() | {"duration_us": 20_000_000_000})
    with pytest.raises(LimitError, match=r"^`train\[0\]` has 20000000 passes"):
        fit(TINY, endless, config)


@pytest.mark.parametrize(
    "last_us",
    [
        9_999_999,  # 10,000 passes are accepted in any case.
        2_999_999,
    ],
)
def test_a_long_sample_is_accepted(last_us):
    check_samples("train", samples(BUSY, BUSY, SpikeTrain([0, last_us], [0, 1])), TINY, SHORT)


def test_long_samples_among_others_of_their_length_are_accepted():
    long = SpikeTrain([0, 100_000_000], [0, 1])
    check_samples("train", samples(long, long, long, BUSY), TINY, SHORT)


def test_without_a_timestep_late_events_cost_nothing():
    model = parse_topology("timestep_us=0 tau_mem_us=9000; input 6; hidden d5; output d3")
    check_samples("train", samples(BUSY, BUSY, SpikeTrain([0, 10**12], [0, 1])), model, SHORT)


def test_samples_with_more_inputs_than_the_network_are_refused_before_the_training():
    wide = replace(tiny_samples(), shape=(7,))
    epochs = []
    for arguments in ({"train": wide}, {"train": tiny_samples(), "validation": wide}):
        name = list(arguments)[-1]
        message = rf"`{name}` must be samples with at most 6 inputs, .* got the input shape \(7,\)"
        with pytest.raises(ValueError, match=message):
            fit(TINY, config=SHORT, on_epoch=epochs.append, **arguments)
    assert not epochs


def test_a_shift_needs_samples_with_two_axes():
    shifted = replace(SHORT, shift=1)
    with pytest.raises(ValueError, match=r"`shift` must be 0 for samples with one axis, .* got 1"):
        fit(TINY, tiny_samples(), shifted)
    assert fit(TINY, replace(tiny_samples(), shape=(2, 3)), replace(shifted, epochs=1)).history


def test_a_long_silent_sample_with_labels_over_time_is_refused_by_its_number():
    labels = LabelsOverTime.from_samples([[0, 1, 2], [1] * 10_000_001], 1000)
    trains = SpikeTrains.from_trains([BUSY, SILENT], (6,), labels_over_time=labels)
    config = replace(SHORT, loss="windowed", vote_window_us=1000)
    with pytest.raises(LimitError, match=r"`train\[1\]` has 10000001 passes.* or shorter samples$"):
        fit(TINY, trains, config)
    labels = LabelsOverTime.from_samples([[0, 1, 2], [0, 1, 2], [1] * 10_001], 1000)
    trains = SpikeTrains.from_trains([BUSY, BUSY, SILENT], (6,), labels_over_time=labels)
    with pytest.raises(ValueError, match=r"`train\[2\]` has 10001 .*; split it into shorter sam"):
        fit(TINY, trains, config)
