"""Silence does not end a training: batches without events, and networks that do not fire."""

import numpy as np
import pytest
import torch

from bench.torch_engine.forward import run_torch_engine
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.model.topology import parse_topology
from neuroasync.train import Surrogate, TrainConfig, TrainingWarning, fit, make_batch
from neuroasync.train.autograd_function import run_event_record
from neuroasync.train.event_record import EventRecordRunner
from neuroasync.train.losses import vote_loss
from tests.helpers.small_trainings import SHORT, TINY, outcome, tiny_samples

SILENT = SpikeTrain([], [])
UNTIMED = parse_topology("timestep_us=0 tau_mem_us=9000; input 6; hidden d5; output d3")


def with_silence(count):
    """Return samples of which ``count`` are silent."""
    busy = [SpikeTrain([0, 1000, 2000], [k % 4, (k + 1) % 4, 2]) for k in range(4)]
    trains = [*busy, *[SILENT] * count]
    return SpikeTrains.from_trains(trains, (6,), [k % 3 for k in range(len(trains))])


@pytest.mark.parametrize("loss", ["accumulated", "timestep", "final"])
@pytest.mark.parametrize("model", [TINY, UNTIMED], ids=["timesteps", "event times"])
@pytest.mark.parametrize("duration_us", [None, 4000, 1])
def test_a_batch_without_events_trains_on(loss, model, duration_us):
    config = TrainConfig(
        epochs=2, batch_size=1, loss=loss, duration_us=duration_us, policy="random", device="cpu"
    )
    done = fit(model, with_silence(3), config, validation=with_silence(1))
    assert len(done.history) == 2
    assert all(np.isfinite(c.weight).all() for c in done.model.connections)
    assert outcome(done) == outcome(fit(model, with_silence(3), config, validation=with_silence(1)))


def test_a_network_in_which_nothing_fires_trains_on():
    config = TrainConfig.from_dict(SHORT.to_dict() | {"init_rate": None})
    assert not any(c.weight.any() for c in TINY.connections)
    with pytest.warns(TrainingWarning, match="the output 'output' never fired in epoch 1"):
        done = fit(TINY, tiny_samples(), config)
    assert [result.spikes for result in done.history] == [0, 0, 0]


def test_dropped_input_trains_on():
    config = TrainConfig.from_dict(SHORT.to_dict() | {"input_dropout": 0.999, "batch_size": 1})
    with pytest.warns(TrainingWarning, match="never fired"):
        assert len(fit(TINY, tiny_samples(), config).history) == 3


def test_input_that_is_always_dropped_is_refused():
    with pytest.raises(ValueError, match="`input_dropout` must be below 1, because otherwise no i"):
        TrainConfig(input_dropout=1.0)


def test_an_empty_sample_has_no_loss_and_no_gradient():
    votes = torch.zeros(2, 0, 3, requires_grad=True)
    none = torch.zeros(2, dtype=torch.int64)
    for kind in ("accumulated", "timestep"):
        loss = vote_loss(votes, none, none, kind, 1.0)
        loss.backward()
        assert float(loss.detach()) == 0
    final = vote_loss(votes.detach(), none, none, "final", 1.0)
    assert float(final) == pytest.approx(np.log(3))


@pytest.mark.parametrize("model", [TINY, UNTIMED], ids=["timesteps", "event times"])
@pytest.mark.parametrize("duration_us", [None, 3000])
def test_both_engines_give_a_silent_batch_a_gradient_of_zero(model, duration_us):
    batch = make_batch(model, with_silence(2), [4, 5], [1, 2], duration_us)
    recorder = EventRecordRunner(model, threads=1)
    for run, first in ((run_event_record, recorder), (run_torch_engine, recorder.packed)):
        weights = torch.ones(recorder.packed.arrays.weights.size, requires_grad=True)
        result = run(weights, first, batch, RunSettings(), Surrogate())
        assert result.labels.tolist() == [-1, -1]
        (result.votes.sum() + result.spikes.sum()).backward()
        assert weights.grad is not None
        assert not weights.grad.any() or model.timestep_us
