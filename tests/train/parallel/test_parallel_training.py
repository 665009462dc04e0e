"""Several workers train a network with the bits of one worker."""

import threading
from dataclasses import replace

import pytest
import torch

from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.model.topology import parse_topology
from neuroasync.errors import ForwardStepLimitError
from neuroasync.train import CheckpointError, SpikingNetwork, evaluate, fit, make_batch
from neuroasync.train.parallel.exchange import Exchange
from tests.helpers.small_networks import loop
from tests.helpers.small_trainings import SHORT, TINY, outcome, tiny_samples
from tests.helpers.thread_exchange import in_threads

TRAIN, VALIDATION = tiny_samples(27, 0), tiny_samples(13, 1)
CONVOLUTIONS = parse_topology(
    "timestep_us=1000 decay=0.9; input 1x2x3; hidden c2k2; output d3 refractory=false; "
    "hidden -> output delay_us=1000"
)
INTEGRATORS = parse_topology("timestep_us=1000 decay=0.9; input 6; hidden d5; output d3 neuron=li")
LAYERED = replace(SHORT, policy="layer-sync")
ANY_ORDER = replace(
    SHORT, modes="layer-sync; random,momentum,fifo F=1,8 prioritised,queued", layered_epochs=1
)
NOISY = replace(
    SHORT, policy="momentum", input="queued", layered_epochs=1, batch_size=10, input_dropout=0.1,
    refractory_dropout=0.3, momentum_noise=0.5, time_jitter_us=400.0, penalty=0.1,
    penalty_target=0.5, init_rate=0.3, keep="best",
)  # fmt: skip
LEARNING = replace(SHORT, learn="tau_mem,threshold", batch_size=5, init_rate=0.3)


def trained(model, config, exchange=None, threads=1):
    """Return the outcome of a training, with the parameters of its neurons."""
    fitted = fit(model, TRAIN, config, validation=VALIDATION, threads=threads, exchange=exchange)
    return outcome(fitted), [p.neuron for p in fitted.model.populations]


@pytest.mark.parametrize("workers", [2, 3, 8])
@pytest.mark.parametrize(
    ("model", "config"),
    [
        (TINY, SHORT),
        (TINY, LAYERED),
        (TINY, ANY_ORDER),
        (TINY, replace(ANY_ORDER, mode_focus=30.0)),
        (TINY, NOISY),
        (TINY, LEARNING),
        (TINY, replace(SHORT, batch_size=13)),  # the last batch has a single sample
        (CONVOLUTIONS, SHORT),
        (CONVOLUTIONS, LAYERED),
        (INTEGRATORS, replace(SHORT, loss="maximum")),
    ],
    ids=["random", "layer-sync", "any order", "focus", "noisy", "learning", "single sample",
         "convolutions", "layer-sync convolutions", "integrators"],
)  # fmt: skip
def test_several_workers_train_like_one(model, config, workers):
    alone = trained(model, config)
    found = in_threads(workers, lambda exchange: trained(model, config, exchange))
    assert found == [alone] * workers


def test_threads_of_workers_change_nothing():
    found = in_threads(2, lambda exchange: trained(TINY, SHORT, exchange, threads=2))
    assert found == [trained(TINY, SHORT)] * 2


def test_each_worker_runs_its_share_only():
    batch = make_batch(TINY, TRAIN, range(21), range(21))

    def ran(exchange):
        network = SpikingNetwork(TINY, device="cpu", exchange=exchange)
        with torch.no_grad():
            result = network(batch, SHORT.run_settings)
        record = network._recorder.run(network.packed().detach().numpy(), batch, RunSettings())
        return len(record.rows()), result.labels.tolist()

    assert [samples for samples, _ in in_threads(2, ran)] == [10, 11]
    assert len({str(labels) for _, labels in in_threads(3, ran)}) == 1


def test_evaluation_is_shared_too():
    def evaluated(exchange=None):
        network = SpikingNetwork(TINY, device="cpu", threads=1, exchange=exchange)
        network.reset_parameters(3)
        labels, spikes = evaluate(network, TRAIN, RunSettings(), batch_size=10)
        return labels.tolist(), spikes.tolist()

    assert in_threads(2, evaluated) == [evaluated()] * 2


class StopTrainingError(Exception):
    """Raised by a test to interrupt the training."""


def test_workers_continue_from_the_checkpoint_of_the_first(tmp_path):
    path = tmp_path / "training"

    def interrupted(exchange):
        def stop(result):
            if result.epoch == 1:
                raise StopTrainingError

        fit(TINY, TRAIN, SHORT, checkpoint=path, on_epoch=stop, threads=1, exchange=exchange)

    def resumed(exchange: Exchange):
        # The others need not have the file.
        own = path if exchange.worker == 0 else tmp_path / "no such folder" / "training"
        first = exchange.worker == 0
        done = fit(TINY, TRAIN, SHORT, checkpoint=own, resume=first, threads=1, exchange=exchange)
        return outcome(done)

    with pytest.raises(StopTrainingError):
        in_threads(2, interrupted)
    assert in_threads(3, resumed) == [outcome(fit(TINY, TRAIN, SHORT, threads=1))] * 3
    assert [entry.name for entry in tmp_path.iterdir()] == ["training"]


def test_a_checkpoint_of_another_training_is_an_error_on_every_worker(tmp_path):
    path = tmp_path / "training"
    fit(TINY, TRAIN, SHORT, checkpoint=path)
    messages = []

    def resumed(exchange):
        try:
            fit(TINY, TRAIN, LAYERED, checkpoint=path, resume=True, exchange=exchange)
        except CheckpointError as error:
            messages.append(str(error))

    in_threads(2, resumed)
    assert len(messages) == 2
    assert all("its policy is 'random', this one has 'layer-sync'" in text for text in messages)


def test_workers_with_different_samples_are_refused():
    def different(exchange):
        parts = [TRAIN[:13], TRAIN[13:]]
        with pytest.raises(ValueError, match="give all of them all samples"):
            fit(TINY, parts[exchange.worker], SHORT, exchange=exchange)

    in_threads(2, different)


def test_workers_that_round_differently_are_noticed_after_an_epoch(monkeypatch):
    networks = {}  # by thread: each worker has its own
    original = SpikingNetwork.forward

    def keep_and_run(network, *args):
        networks[threading.get_ident()] = network
        return original(network, *args)

    monkeypatch.setattr(SpikingNetwork, "forward", keep_and_run)

    def different(exchange):
        def disturb(result):
            # As if the processor of one worker had rounded another way.
            if exchange.worker == 1 and result.batch == 3:
                with torch.no_grad():
                    networks[threading.get_ident()].values[0] += 1e-7

        with pytest.raises(ValueError, match="no longer have the same weights"):
            fit(TINY, TRAIN, SHORT, on_batch=disturb, exchange=exchange)

    in_threads(2, different)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_a_pass_that_does_not_end_is_the_same_error_on_every_worker(workers):
    model = loop().model
    quiet, endless = SpikeTrain([], []), SpikeTrain([0], [0])
    samples = SpikeTrains.from_trains([quiet] * 5 + [endless] * 2, (1,))
    batch = make_batch(model, samples, range(7), range(7))
    settings, messages = RunSettings(max_forward_steps=50), []

    def run(exchange):
        try:
            SpikingNetwork(model, device="cpu", exchange=exchange)(batch, settings)
        except ForwardStepLimitError as error:
            messages.append(str(error))

    in_threads(workers, run)
    with pytest.raises(ForwardStepLimitError, match="sample 5 of the batch: pass 0") as alone:
        SpikingNetwork(model, device="cpu")(batch, settings)
    assert messages == [str(alone.value)] * workers


def test_more_workers_than_chunks_are_refused():
    def too_many(exchange):
        with pytest.raises(ValueError, match=r"`workers` must be at most 8, .* got 9"):
            SpikingNetwork(TINY, exchange=exchange)

    in_threads(9, too_many)


def test_workers_train_on_the_cpu():
    def on_gpu(exchange):
        with pytest.raises(ValueError, match="`device` must be 'cpu' or 'auto' with `exchange`"):
            SpikingNetwork(TINY, device="cuda", exchange=exchange)
        assert SpikingNetwork(TINY, exchange=exchange).engine == "cpu"

    in_threads(1, on_gpu)
