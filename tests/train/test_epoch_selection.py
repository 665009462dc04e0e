"""Early stopping, the best epoch, and training on all samples; resuming keeps every bit."""

from dataclasses import replace

import numpy as np
import pytest

from neuroasync.core.events.labels_over_time import LabelsOverTime
from neuroasync.train import EpochResult, TrainConfig, fit, refit
from neuroasync.train.loop.epoch_selection import best_epoch, is_finished
from tests.helpers.small_trainings import SHORT, TINY, outcome, tiny_samples

TRAIN, VALIDATION = tiny_samples(), tiny_samples(30, seed=1)
BEST = replace(SHORT, epochs=8, layered_epochs=2, keep="best", patience=2, penalty=0.0)


class StopTrainingError(Exception):
    """Raised by a test to interrupt the training."""


def history(*accuracies):
    return [EpochResult(k, "fifo", 1.0, 0.5, 9.0, a, 9.0, 1.0) for k, a in enumerate(accuracies)]


@pytest.mark.parametrize(
    ("accuracies", "changes", "best", "finished"),
    [
        ([0.5], {}, 0, False),
        ([0.5, 0.7, 0.7], {}, 1, False),
        ([0.5, 0.7, 0.7, 0.6], {}, 1, True),
        ([0.5, 0.7, 0.6, 0.8], {}, 3, False),
        ([0.5, 0.7, 0.7, 0.6], {"patience": None}, 1, False),
        ([0.9, 0.9, 0.6], {"policy": "fifo", "layered_epochs": 2}, 2, False),
        ([0.9, 0.9], {"policy": "fifo", "layered_epochs": 2}, None, False),
        ([0.9, 0.8, 0.7], {"policy": "fifo", "layered_epochs": 9}, 0, True),
        ([0.5, 0.7], {"keep": "last", "patience": None}, None, False),
        ([0.5, 0.7], {"stop_after": 2}, 1, True),
        ([0.5] * 6, {"patience": None}, 0, True),
    ],
)
def test_the_best_epoch_is_the_earliest_under_the_policy(accuracies, changes, best, finished):
    config = replace(TrainConfig(epochs=6, policy="layer-sync", keep="best", patience=2), **changes)
    assert best_epoch(history(*accuracies), config) == best
    assert is_finished(history(*accuracies), config) is finished


def test_a_training_keeps_the_weights_of_its_best_epoch():
    fitted = fit(TINY, TRAIN, BEST, validation=VALIDATION)
    best = fitted.best_epoch
    short = replace(BEST, keep="last", patience=None, stop_after=best + 1)
    ended = fit(TINY, TRAIN, short, validation=VALIDATION)
    assert len(ended.history) == best + 1
    assert ended.model == fitted.model
    assert fitted.result == fitted.history[best] == ended.history[-1]
    assert len(fitted.history) in (8, best + 3)


@pytest.mark.parametrize("stop", [1, 3, 4])
def test_a_resumed_training_keeps_the_same_epoch_and_bits(tmp_path, stop):
    def interrupt(result):
        if result.epoch == stop - 1:
            raise StopTrainingError

    path = tmp_path / "training"
    expected = fit(TINY, TRAIN, BEST, validation=VALIDATION)
    with pytest.raises(StopTrainingError):
        fit(TINY, TRAIN, BEST, validation=VALIDATION, checkpoint=path, on_epoch=interrupt)
    resumed = fit(TINY, TRAIN, BEST, validation=VALIDATION, checkpoint=path, resume=True)
    again = fit(TINY, TRAIN, BEST, validation=VALIDATION, checkpoint=path, resume=True)
    assert resumed.best_epoch == expected.best_epoch
    assert resumed.history == expected.history == again.history
    assert outcome(resumed) == outcome(expected) == outcome(again)


def test_a_network_is_trained_anew_on_all_samples_for_as_many_epochs_as_were_best():
    fitted = fit(TINY, TRAIN, BEST, validation=VALIDATION)
    again = refit(fitted, TINY, TRAIN, VALIDATION)
    assert len(again.history) == fitted.best_epoch + 1
    assert again.history[0].validation_accuracy is None
    assert again.config.epochs == 8
    joined = tiny_samples()
    everything = type(joined).from_trains(
        [*TRAIN, *VALIDATION], (6,), np.concatenate([TRAIN.labels, VALIDATION.labels])
    )
    assert again.model == fit(TINY, everything, again.config).model


def test_the_best_epoch_needs_validation_and_patience_needs_the_best():
    with pytest.raises(ValueError, match="`validation` must be given with `keep='best'`"):
        fit(TINY, TRAIN, BEST)
    with pytest.raises(ValueError, match="`keep` must be 'best' with `patience`, got 'last'"):
        TrainConfig(patience=3)
    with pytest.raises(ValueError, match="`keep` must be 'last' or 'best', got 'first'"):
        TrainConfig(keep="first")


def test_fields_at_their_later_default_are_not_written():
    assert TrainConfig().to_dict().keys().isdisjoint({"keep", "patience", "stop_after"})
    assert TrainConfig.from_dict(BEST.to_dict()) == BEST


def test_samples_that_are_labelled_differently_are_not_joined():
    fitted = fit(TINY, TRAIN, SHORT, validation=VALIDATION)
    finer = LabelsOverTime.from_samples([[0] * 8] * 4, 500)
    coarser = LabelsOverTime.from_samples([[0] * 4] * 4, 1000)
    four = tiny_samples(4)
    fine, coarse = (replace(four, labels=None, labels_over_time=each) for each in (finer, coarser))
    for train, validation, message in (
        (coarse, fine, "labelled like `train`, one every 1000 µs, got one every 500 µs"),
        (TRAIN, fine, "labelled like `train`, one per sample, got one every 500 µs"),
        (
            TRAIN,
            replace(VALIDATION, labels=None),
            "labelled like `train`, one per sample, got none",
        ),
    ):
        with pytest.raises(ValueError, match=f"`validation` must be {message}"):
            refit(fitted, TINY, train, validation)
