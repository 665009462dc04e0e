"""A network with parameters by connection computes and learns like one with a single parameter."""

import copy

import numpy as np
import pytest
import torch

from neuroasync import dump_bundle, parse_topology
from neuroasync.core.model.connections import Conv2d, Dense
from neuroasync.core.model.model import Model, Population
from neuroasync.core.model.neurons import LIF
from neuroasync.errors import BundleError
from neuroasync.train import (
    Batches,
    Random,
    RunSettings,
    SpikingNetwork,
    export_bundle,
    spike_penalty,
    vote_loss,
)
from tests.helpers.small_trainings import TINY, tiny_samples

RNG = np.random.default_rng(4)
LEAKY = LIF(tau_mem_us=9000.0)
MODEL = Model(
    1000,
    (1, 2, 3),
    (Population("planes", (2, 2, 3), LEAKY), Population("output", (3,), LEAKY)),
    (
        Conv2d(
            "input", "planes", RNG.normal(0.7, 0.5, (2, 1, 3, 3)), padding=(1, 1), bias=[0.1, 0.2]
        ),
        Dense("planes", "output", RNG.normal(0.2, 0.5, (3, 12)), bias=RNG.normal(0, 0.1, 3)),
        Dense("output", "planes", RNG.normal(0, 0.2, (12, 3)), delay_us=1000),
        Dense("output", "planes", RNG.normal(0, 0.2, (12, 3)), delay_us=1000),
    ),
    "output",
)
SETTINGS = RunSettings(Random(), 2)
SAMPLES = tiny_samples()


def network(**options):
    return SpikingNetwork(MODEL, device="cpu", threads=1, **options)


def loss_of(net):
    batch, labels = next(Batches(MODEL, SAMPLES, 8).epoch(0))
    result = net(batch, SETTINGS)
    penalty = spike_penalty(result.spikes, batch.passes, net.hidden, 1.0)
    return vote_loss(result.votes, labels, batch.passes) + 0.1 * penalty


def test_each_connection_has_a_name_with_its_weight_and_bias():
    groups = network(by_connection=True).parameters_by_connection()
    assert {name: [tuple(p.shape) for p in group] for name, group in groups.items()} == {
        "input -> planes": [(2, 1, 3, 3), (2,)],
        "planes -> output": [(3, 12), (3,)],
        "output -> planes delay_us=1000": [(12, 3)],
        "output -> planes delay_us=1000 #2": [(12, 3)],
    }
    names = dict(network(by_connection=True).named_parameters())
    assert "planes -> output.bias" in names


def test_gradients_are_those_of_the_single_parameter():
    one, split = network(), network(by_connection=True)
    losses = [loss_of(net) for net in (one, split)]
    for loss in losses:
        loss.backward()
    assert losses[0] == losses[1]
    expected = [part for pair in one.parts(one.values.grad) for part in pair if part is not None]
    found = [p.grad for group in split.parameters_by_connection().values() for p in group]
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert sum(float(gradient.abs().sum()) for gradient in found) > 0


def test_a_step_on_one_group_changes_that_connection_alone():
    split = network(by_connection=True)
    groups = split.parameters_by_connection()
    before = copy.deepcopy(split.state_dict())
    optimizer = torch.optim.Adam([{"params": groups["planes -> output"], "lr": 0.1}])
    loss_of(split).backward()
    optimizer.step()
    changed = {name for name, value in split.state_dict().items() if not value.equal(before[name])}
    assert changed == {"planes -> output.weight", "planes -> output.bias"}
    assert np.array_equal(split.to_model().connections[0].weight, MODEL.connections[0].weight)
    assert not np.array_equal(split.to_model().connections[1].weight, MODEL.connections[1].weight)


def test_new_weights_are_the_same_in_both_forms():
    one, split = network(), network(by_connection=True)
    for net in (one, split):
        net.reset_parameters(5)
    assert one.to_model() == split.to_model()
    assert not one.to_model().connections[1].bias.any()


def test_groups_of_a_single_parameter_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match="`by_connection` must be True"):
        network().parameters_by_connection()


@pytest.mark.parametrize("make", [network, lambda: network(by_connection=True), lambda: MODEL])
def test_any_network_can_be_exported(make):
    bundle = export_bundle(make(), SAMPLES, settings=SETTINGS, seed=2, meta={"by": "me"})
    assert bundle.model == MODEL
    assert (bundle.policy.name, bundle.policy.group_size, len(bundle.golden)) == ("random", 2, 3)
    assert bundle.meta["by"] == "me"
    assert dump_bundle(bundle) == dump_bundle(
        export_bundle(MODEL, SAMPLES, settings=SETTINGS, seed=2, meta={"by": "me"})
    )


def test_an_export_needs_settings_and_a_built_in_policy():
    class Newest:
        name = "newest"

        def order(self, pending, group_size):
            return range(group_size)

    with pytest.raises(ValueError, match="`settings` must be given for a network"):
        export_bundle(MODEL, SAMPLES)
    with pytest.raises(BundleError, match="`name` must be"):
        export_bundle(MODEL, SAMPLES, settings=RunSettings(Newest()))


def test_an_unknown_loss_is_refused():
    votes = torch.zeros(1, 2, 3)
    with pytest.raises(ValueError, match="`loss` must be one of"):
        vote_loss(votes, torch.zeros(1), torch.ones(1), "mse")


def test_the_output_is_not_hidden():
    assert SpikingNetwork(TINY, device="cpu").hidden == {0: 5}


def test_a_pool_has_no_parameters():
    model = parse_topology("timestep_us=1000; input 1x2x4; a c2k1 bias=true; p sumk2; output d3")
    split = SpikingNetwork(model, device="cpu", by_connection=True)
    split.reset_parameters(1)
    assert set(split.parameters_by_connection()) == {"input -> a", "p -> output"}
    one = SpikingNetwork(split.to_model(), device="cpu")
    assert torch.equal(split.packed(), one.packed())


@pytest.mark.parametrize("by_connection", [False, True])
def test_parameters_of_another_precision_are_refused_and_not_misread(by_connection):
    network = SpikingNetwork(TINY, device="cpu", by_connection=by_connection)
    batch = network.batch(SAMPLES, [0], [0])
    expected = network(batch, RunSettings()).votes
    for dtype in (torch.float64, torch.float16):
        network.to(dtype)
        for gradients in (torch.enable_grad(), torch.no_grad()):
            with gradients, pytest.raises(ValueError, match=f"torch.float32 on cpu, got {dtype}"):
                network(batch, RunSettings())
    network.to(torch.float32)
    assert torch.equal(network(batch, RunSettings()).votes, expected)
    with pytest.raises(ValueError, match=r"on cpu, got torch.float32 on meta"):
        network.to("meta")(batch, RunSettings())


@pytest.mark.parametrize("dropout", [-0.1, 1.5, float("nan"), "a"])
def test_a_dropout_that_is_no_probability_is_refused(dropout):
    network = SpikingNetwork(TINY, device="cpu")
    with pytest.raises(ValueError, match="`dropout` must be a number from 0 to 1"):
        network(network.batch(SAMPLES, [0], [0]), RunSettings(), dropout)
    with pytest.raises(ValueError, match="`dropout` must be a number from 0 to 1"):
        network.batch(SAMPLES, [0], [0], dropout=dropout)


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2"])
def test_a_number_of_threads_is_at_least_one(threads):
    with pytest.raises(ValueError, match="`threads` must be an integer of at least 1"):
        SpikingNetwork(TINY, device="cpu", threads=threads)


@pytest.mark.parametrize("option", [{"seed": -1}, {"golden": -1}, {"golden": "3"}])
def test_an_export_checks_its_numbers(option):
    (name,) = option
    with pytest.raises(ValueError, match=f"`{name}` must be an integer"):
        export_bundle(TINY, SAMPLES, settings=RunSettings(), **option)
