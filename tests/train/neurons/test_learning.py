"""Trainings with learned parameters of neurons, and with potentials as the readout."""

import asyncio
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import neuroasync as na
from neuroasync.core.formats.bundle import dump_bundle
from neuroasync.train import SpikingNetwork, TrainConfig, export_bundle, fit, potential_loss
from tests.train.test_training_loop import CONFIG, StopTrainingError, task

LEARN = replace(CONFIG, learn="threshold,tau_mem", learn_per="neuron")


def network(output, hidden=""):
    """Return an untrained network for the task."""
    return na.parse_topology(
        f"timestep_us=1000 decay=0.9; input 12; hidden d16 {hidden}; output d3 {output}"
    )


@pytest.mark.parametrize("per", ["population", "neuron"])
def test_learned_parameters_change_resume_and_are_exported(per, tmp_path):
    config, path, train = replace(LEARN, learn_per=per), tmp_path / "training", task(96, 0)
    model = network("reset=subtract refractory=false", "reset=subtract reset_delayed=true")
    fitted = fit(model, train, config, validation=task(40, 1), threads=1)

    def stop(result):
        if result.epoch == 1:
            raise StopTrainingError

    with pytest.raises(StopTrainingError):
        fit(model, train, config, validation=task(40, 1), checkpoint=path, on_epoch=stop)
    resumed = fit(model, train, config, validation=task(40, 1), checkpoint=path, resume=True)
    assert dump_bundle(export_bundle(resumed, train)) == dump_bundle(export_bundle(fitted, train))
    assert resumed.history == fitted.history
    for population, start in zip(fitted.model.populations, model.populations, strict=True):
        assert np.any(population.neuron.tau_mem_us != start.neuron.tau_mem_us)
        assert np.any(population.neuron.v_threshold != start.neuron.v_threshold)
        for value in (population.neuron.tau_mem_us, population.neuron.v_threshold):
            assert np.shape(value) == (() if per == "population" else population.shape)
    assert export_bundle(fitted, train).meta["train.learn"] == "tau_mem,threshold"


def test_fine_tuning_starts_from_the_learned_parameters():
    train = task(96, 0)
    first = fit(network(""), train, LEARN)
    config = replace(LEARN, init_rate=None, epochs=0)
    again = fit(first.model, train, config)
    assert again.model.populations == first.model.populations
    tuned = fit(first.model, train, replace(config, epochs=1, lr=1e-3))
    for old, new in zip(first.model.populations, tuned.model.populations, strict=True):
        ratio = new.neuron.tau_mem_us / old.neuron.tau_mem_us
        assert 0 < np.abs(ratio - 1).max() < 0.01


def test_nothing_learned_leaves_the_neurons_as_they_are():
    model = network("")
    fitted = fit(model, task(96, 0), CONFIG)
    assert fitted.model.populations == model.populations
    assert "train.learn" not in export_bundle(fitted, task(4, 0)).meta


@pytest.mark.parametrize("loss", ["accumulated", "final", "maximum"])
def test_a_network_whose_readout_is_potentials_learns_a_task(loss):
    model = network("neuron=li", "tau_syn_us=1500")
    config = TrainConfig(
        epochs=8, batch_size=32, lr=0.02, policy="random", group_size=2, loss=loss,
        vote_scale=2.0, learn="tau_mem,tau_syn", device="cpu",
    )  # fmt: skip
    test = task(200, 1)
    fitted = fit(model, task(300, 0), config, validation=test)
    assert fitted.history[-1].validation_accuracy > 0.9
    bundle = export_bundle(fitted, test)

    async def decide():
        async with na.Network(bundle) as network:
            return [decision.label for decision in await network.decide_all(test)]

    right = np.mean(np.array(asyncio.run(decide())) == test.labels)
    assert right == pytest.approx(fitted.history[-1].validation_accuracy)


@pytest.mark.parametrize(
    ("output", "loss", "allowed"),
    [
        ("neuron=li", "timestep", "['accumulated', 'final', 'maximum', 'windowed'] for an out"),
        ("", "maximum", "['accumulated', 'timestep', 'final', 'windowed'] for an output of neuro"),
    ],
)
def test_a_loss_that_does_not_fit_the_output_is_refused(output, loss, allowed):
    with pytest.raises(ValueError, match="`loss` must be one of") as error:
        fit(network(output), task(8, 0), replace(CONFIG, loss=loss))
    assert allowed in str(error.value)


def cross_entropy(logits, label):
    return math.log(sum(math.exp(z) for z in logits)) - logits[label]


def test_losses_of_potentials_use_the_passes_that_a_sample_has():
    # Two classes; the third pass of the first sample, with 9, does not exist.
    u = torch.tensor([[[1.0, 0.0], [0.0, 3.0], [9.0, 0.0]], [[0.0, 0.0], [0.0, 1.0], [2.0, 1.0]]])
    labels, passes = np.array([0, 1]), np.array([2, 3])

    def loss(kind):
        return float(potential_loss(u, labels, passes, kind, 0.5))

    first, second = cross_entropy([0, 1.5], 0), cross_entropy([1, 0.5], 1)
    assert loss("final") == pytest.approx((first + second) / 2)
    first, second = cross_entropy([0.5, 1.5], 0), cross_entropy([1, 0.5], 1)
    assert loss("maximum") == pytest.approx((first + second) / 2)
    first = (cross_entropy([0.5, 0], 0) + cross_entropy([0, 1.5], 0)) / 2
    second = sum(cross_entropy(z, 1) for z in ([0, 0], [0, 0.5], [1, 0.5])) / 3
    assert loss("accumulated") == pytest.approx((first + second) / 2)


def test_a_sample_without_passes_has_potentials_of_0():
    u = torch.zeros(1, 0, 2)
    for kind in ("accumulated", "final", "maximum"):
        loss = float(potential_loss(u, np.array([0]), np.array([0]), kind))
        assert loss == pytest.approx(0 if kind == "accumulated" else math.log(2))


def test_a_configuration_names_what_is_learned_in_one_order():
    assert TrainConfig(learn=" threshold, tau_mem").learn == "tau_mem,threshold"
    with pytest.raises(ValueError, match="`learn_per` must be 'population' or 'neuron', got 'x'"):
        TrainConfig(learn_per="x")
    with pytest.raises(ValueError, match="`learn_per` must be 'population' unless `learn` is giv"):
        TrainConfig(learn_per="neuron")
    with pytest.raises(ValueError, match="`learn_per` must be 'population' unless `learn` is giv"):
        SpikingNetwork(network(""), device="cpu", learn_per="neuron")
