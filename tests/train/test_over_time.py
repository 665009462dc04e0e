"""Training on labels over time: the loss, its gradients, and what a training makes of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroasync as na
from bench.torch_engine.forward import run_torch_engine
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.model.topology import parse_topology
from neuroasync.train import (
    Batches,
    LayerSync,
    Random,
    RunSettings,
    SpikingNetwork,
    Surrogate,
    evaluate_over_time,
    export_bundle,
    fit,
    vote_loss,
    windowed_vote_loss,
)
from tests.helpers.labels_over_time import changing_samples
from tests.helpers.small_trainings import SHORT, TINY, outcome, tiny_samples
from tests.train.test_losses import nll

# Two classes, four passes, two passes in an interval: votes (1, 0) and (0, 2) in the intervals.
VOTES = torch.tensor([[[1.0, 0.0], [0.0, 0.0], [0.0, 2.0], [0.0, 0.0]]])
VOTERS = parse_topology(
    "timestep_us=1000 decay=0.8; input 6; hidden d24; output d3 refractory=false reset=subtract"
)
OVER_TIME = replace(
    SHORT, loss="windowed", vote_window_us=4000, epochs=10, lr=0.02, init_rate=0.2, vote_scale=1.0,
    penalty=0.0, surrogate_slope=3.0,
)  # fmt: skip


def test_the_loss_is_the_mean_over_the_labelled_intervals():
    found = windowed_vote_loss(VOTES, torch.tensor([[0, 1]]), passes=2, intervals=1, scale=0.5)
    assert float(found) == pytest.approx((nll(0.5, 0) + nll(1, 0)) / 2)
    found = windowed_vote_loss(VOTES, torch.tensor([[0, 1]]), passes=2, intervals=2, scale=0.5)
    assert float(found) == pytest.approx((nll(0.5, 0) + nll(1, 0.5)) / 2)


def test_intervals_without_a_class_do_not_count():
    votes = VOTES.repeat(2, 1, 1)
    labels = np.array([[-1, 0, 1], [-1, -1, -1]])
    found = windowed_vote_loss(votes, labels, passes=2, intervals=9, scale=1.0)
    assert float(found) == pytest.approx(nll(1, 2) / 2)


def test_a_window_as_long_as_the_sample_with_one_label_is_the_final_loss():
    votes = torch.rand(3, 6, 4)
    labels = torch.tensor([0, 3, 1])
    at_end = torch.full((3, 6), -1)
    at_end[:, -1] = labels
    expected = vote_loss(votes, labels, torch.tensor([6] * 3), "final")
    assert float(windowed_vote_loss(votes, at_end, 1, 6)) == pytest.approx(float(expected))


@settings(deadline=None, max_examples=12)
@given(
    data=st.data(),
    passes=st.integers(1, 3),
    intervals=st.integers(1, 5),
    count=st.integers(0, 5),
)
def test_gradients_are_finite_differences_and_stay_within_the_windows(
    data, passes, intervals, count
):
    labels = torch.tensor([data.draw(st.lists(st.integers(-1, 2), min_size=count, max_size=count))])
    labels = labels.reshape(1, count).long()
    votes = torch.rand(1, count * passes, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda v: windowed_vote_loss(v, labels, passes, intervals), votes
    )
    windowed_vote_loss(votes, labels, passes, intervals).backward()
    counted = {
        t
        for k in range(count)
        if labels[0, k] >= 0
        for t in range(max(0, (k + 1 - intervals) * passes), (k + 1) * passes)
    }
    assert set(torch.nonzero(votes.grad[0].abs().sum(1)).ravel().tolist()) == counted


@pytest.mark.parametrize("policy", [LayerSync(), Random()])
def test_gradients_of_the_weights_match_the_torch_engine_in_float64(policy):
    trains, run = changing_samples(6), RunSettings(policy, group_size=2)
    batches = Batches(TINY, trains, 6, seed=1)
    ((batch, labels),) = batches.epoch(0)
    network = SpikingNetwork(TINY, device="cpu", threads=1)
    network.reset_parameters(5)
    with torch.no_grad():
        network.values *= 2
    windowed_vote_loss(network(batch, run).votes, labels, 2, 2).backward()
    weights = network.packed().detach().double().requires_grad_()
    result = run_torch_engine(
        weights, PackedNetwork(TINY, contiguous=True), batch, run, Surrogate(), 0.0
    )
    windowed_vote_loss(result.votes, labels, 2, 2).backward()
    expected = weights.grad.numpy()
    assert np.abs(expected).max() > 0
    found = network.values.grad.double().numpy()
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_arguments_of_the_loss_are_checked():
    with pytest.raises(ValueError, match="`passes` must be an integer of at least 1, got 0"):
        windowed_vote_loss(VOTES, [[0, 1]], 0)
    with pytest.raises(ValueError, match=r"`loss` must be one of \['accumulated', 'timestep'"):
        vote_loss(VOTES, torch.tensor([0]), torch.tensor([4]), "windowed")


def test_batches_end_with_their_labels():
    trains = changing_samples(5)
    batches = Batches(TINY, trains, 5)
    ((batch, labels),) = batches.epoch(0)
    (chosen,) = batches.chosen(0)
    sizes = np.diff(trains.labels_over_time.offsets)[chosen]
    assert batch.passes.tolist() == (2 * sizes).tolist()
    for row, size, k in zip(labels.tolist(), sizes.tolist(), chosen.tolist(), strict=True):
        assert row[:size] == trains.labels_over_time[k].tolist()
        assert set(row[size:]) <= {-1}


@pytest.mark.parametrize("policy", ["layer-sync", "random"])
def test_a_network_learns_labels_over_time(policy):
    train, validation = changing_samples(48), changing_samples(16, seed=1)
    config = replace(OVER_TIME, policy=policy)
    fitted = fit(VOTERS, train, config, validation=validation)
    assert fitted.result.validation_accuracy > 0.8  # chance is a third
    network = SpikingNetwork(fitted.model, device="cpu")
    window = config.vote_window
    found, _ = evaluate_over_time(network, validation, config.run_settings, window, config.seed)
    labels = validation.labels_over_time.labels
    accuracy = np.mean((found == labels)[labels >= 0])
    assert accuracy == fitted.result.validation_accuracy
    bundle = export_bundle(fitted, validation)
    assert bundle.vote_window == na.VoteWindow(4000, 1.0)
    decisions = na.decide_over_time(bundle, validation, seed=config.seed)
    assert np.concatenate([d.labels for d in decisions]).tolist() == found.tolist()
    assert all(result.holds for result in na.replay.verify(bundle))


@pytest.mark.parametrize("window_us", [2000, 6000])
def test_leaky_integrators_learn_labels_over_time(window_us):
    model = parse_topology("timestep_us=1000; input 6; hidden d16 decay=0.6; output d3 decay=0.6")
    (hidden, output), over = model.populations, {"loss": "windowed", "vote_window_us": window_us}
    output = na.Population("output", (3,), na.LI(tau_mem_us=3000.0))
    model = replace(model, populations=(hidden, output))
    train, validation = changing_samples(32), changing_samples(8, seed=1)
    config = replace(OVER_TIME, epochs=10, lr=0.03, policy="random", **over)
    fitted = fit(model, train, config, validation=validation)
    assert fitted.result.validation_accuracy > 0.7
    bundle = export_bundle(fitted, validation)
    decisions = na.decide_over_time(bundle, validation, seed=config.seed)
    found, _ = evaluate_over_time(
        SpikingNetwork(fitted.model, device="cpu"), validation, config.run_settings,
        config.vote_window, config.seed,
    )  # fmt: skip
    assert np.concatenate([d.labels for d in decisions]).tolist() == found.tolist()


def test_a_resumed_training_ends_with_the_same_bits(tmp_path):
    train, path = changing_samples(16), tmp_path / "run.ckpt"
    whole = fit(VOTERS, train, OVER_TIME)

    def interrupt(result):
        if result.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(VOTERS, train, OVER_TIME, checkpoint=path, on_epoch=interrupt)
    assert outcome(fit(VOTERS, train, OVER_TIME, checkpoint=path, resume=True)) == outcome(whole)
    other = changing_samples(16)
    labels = na.LabelsOverTime(
        np.maximum(other.labels_over_time.labels, 0), other.labels_over_time.offsets, 2000
    )
    changed = na.SpikeTrains(other.t_us, other.index, other.offsets, None, (6,), labels)
    with pytest.raises(ValueError, match="belongs to another training"):
        fit(VOTERS, changed, OVER_TIME, checkpoint=path, resume=True)


def relabelled(labels):
    trains = changing_samples(4)
    over = trains.labels_over_time
    return na.SpikeTrains(
        trains.t_us, trains.index, trains.offsets, None, (6,),
        na.LabelsOverTime(labels(over.labels), over.offsets, over.every_us),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fit(TINY, changing_samples(4), SHORT), "`loss` must be 'windowed' for samples"),
        (lambda: fit(TINY, tiny_samples(), OVER_TIME), "`train` must be samples with labels over"),
        (lambda: replace(SHORT, loss="windowed"), "`vote_window_us` must be given with"),
        (
            lambda: replace(SHORT, vote_window_us=5),
            "`loss` must be 'windowed' with `vote_window_us`",
        ),
        (lambda: replace(OVER_TIME, duration_us=5), "`duration_us` must be None with"),
        (lambda: replace(OVER_TIME, vote_window_us=0), "`vote_window_us` must be an integer"),
        (
            lambda: fit(TINY, changing_samples(4), replace(OVER_TIME, vote_window_us=3000)),
            "`vote_window_us` must be a multiple of the interval of the labels, 2000 µs, got 3000",
        ),
        (
            lambda: fit(replace(TINY, timestep_us=1500), changing_samples(4), OVER_TIME),
            "the network must have a timestep that divides the interval of the labels, 2000 µs",
        ),
        (
            lambda: fit(replace(TINY, timestep_us=0), changing_samples(4), OVER_TIME),
            "the network must have a timestep that divides .* got none",
        ),
        (
            lambda: fit(TINY, relabelled(lambda labels: labels + 1), OVER_TIME),
            r"^`train.labels_over_time.labels\[\d+\]` must be from -1 to 2, because the output",
        ),
        (
            lambda: fit(TINY, relabelled(lambda labels: labels * 0 - 1), OVER_TIME),
            "`train` must have at least one interval with a class",
        ),
        (
            lambda: fit(TINY, changing_samples(4), OVER_TIME, validation=tiny_samples()),
            "`validation` must be samples with labels over time",
        ),
    ],
)
def test_trainings_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_configuration_without_a_vote_window_is_written_as_before():
    assert "vote_window_us" not in SHORT.to_dict()
    assert OVER_TIME.to_dict()["vote_window_us"] == 4000
