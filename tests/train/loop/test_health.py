"""A training warns, once of each kind, if a part of the network learns nothing."""

import warnings
from dataclasses import replace

import pytest

from neuroasync.core.model.topology import parse_topology
from neuroasync.train import EpochResult, TrainingWarning, fit
from neuroasync.train.loop.health import HealthChecks
from tests.helpers.small_trainings import SHORT, tiny_samples

MODEL = parse_topology("timestep_us=1000 decay=0.9; input 6; a d5; b d4; output d3")


def result(*spikes, epoch=0, loss=1.0, penalty=0.0):
    return EpochResult(
        epoch, "fifo", loss, 0.5, sum(spikes), None, None, 1.0, penalty, tuple(map(float, spikes))
    )


def messages(*results):
    checks = HealthChecks(MODEL)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for one in results:
            checks.check(one)
    assert all(w.category is TrainingWarning for w in caught)
    return [str(w.message) for w in caught]


def test_a_healthy_epoch_gives_no_warning():
    assert messages(result(3, 2, 1), result(3, 2, 1, penalty=0.5)) == []


def test_each_kind_is_reported_once():
    found = messages(
        result(3, 0, 1),
        result(0, 0, 1, epoch=1),
        result(3, 0, 0, epoch=2),
        result(3, 2, 0, epoch=3),
        result(3, 2, 1, epoch=4, loss=2.0, penalty=1.5),
        result(3, 2, 1, epoch=5, loss=2.0, penalty=1.5),
    )
    assert [text.split(";")[0] for text in found] == [
        "no neuron of 'b' fired in epoch 1, so nothing can be learned through it",
        "the output 'output' never fired in epoch 3, so every sample is undecided",
        "the spike penalty was 75% of the loss in epoch 5, so the network learns to be silent",
    ]
    assert all("; try " in text for text in found)


def test_an_epoch_without_these_figures_gives_no_warning():
    assert messages(EpochResult(0, "fifo", 1.0, 0.5, 0.0, None, None, 1.0)) == []


def test_a_training_of_a_silent_network_warns_at_the_line_of_the_caller():
    silent = replace(SHORT, init_rate=None)
    with pytest.warns(TrainingWarning, match="the output 'output' never fired") as caught:
        fit(MODEL, tiny_samples(), silent)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_results_of_an_epoch_have_penalty_and_spikes_of_each_population():
    penal = replace(SHORT, penalty=0.3, penalty_target=0.5, epochs=2)
    last = fit(MODEL, tiny_samples(), penal).history[-1]
    assert len(last.population_spikes) == 3
    assert sum(last.population_spikes) == pytest.approx(last.spikes)
    assert 0 < last.penalty < last.loss
