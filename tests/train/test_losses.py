"""Losses, schedules and surrogate derivatives have values that were worked out by hand."""

import math

import numpy as np
import pytest
import torch

from neuroasync.train import Surrogate
from neuroasync.train.kernels.surrogate import derivative
from neuroasync.train.losses import _loss_by_torch, potential_loss, spike_penalty, vote_loss
from neuroasync.train.schedule import learning_rate_factor, penalty_factor

# One sample, two classes, three passes: votes so far are (1, 0), (1, 0), (1, 2).
VOTES = torch.tensor([[[1.0, 0.0], [0.0, 0.0], [0.0, 2.0]]])
LABEL, ALL = torch.tensor([0]), torch.tensor([3])


def nll(right, wrong):
    """Return the negative log-likelihood of the right one of two logits."""
    return math.log(1 + math.exp(wrong - right))


def test_accumulated_loss_is_the_mean_over_the_votes_so_far():
    expected = (nll(0.5, 0) + nll(0.5, 0) + nll(0.5, 1)) / 3
    assert float(vote_loss(VOTES, LABEL, ALL, "accumulated", 0.5)) == pytest.approx(expected)


def test_timestep_loss_is_the_mean_over_each_pass_alone():
    expected = (nll(2, 0) + nll(0, 0) + nll(0, 4)) / 3
    assert float(vote_loss(VOTES, LABEL, ALL, "timestep", 2.0)) == pytest.approx(expected)


def test_final_loss_uses_all_votes_at_the_end():
    assert float(vote_loss(VOTES, LABEL, ALL, "final", 1.0)) == pytest.approx(nll(1, 2))


def test_passes_beyond_the_end_of_a_sample_do_not_count():
    votes = VOTES.repeat(2, 1, 1)
    votes[1, 2] = 0
    labels, passes = torch.tensor([0, 0]), torch.tensor([3, 1])
    expected = ((nll(1, 0) + nll(1, 0) + nll(1, 2)) / 3 + nll(1, 0)) / 2
    assert float(vote_loss(votes, labels, passes, "accumulated", 1.0)) == pytest.approx(expected)


@pytest.mark.parametrize("samples", [1, 13])
@pytest.mark.parametrize("kind", ["accumulated", "timestep"])
def test_kernel_and_torch_compute_the_same_loss_and_gradient(kind, samples):
    rng = np.random.default_rng(3)
    votes = torch.from_numpy(rng.poisson(0.5, (samples, 7, 5)).astype(np.float32))
    votes.requires_grad_()
    labels = torch.from_numpy(rng.integers(0, 5, samples))
    passes = torch.from_numpy(rng.integers(0, 8, samples))
    passes[0] = 7
    loss = vote_loss(votes, labels, passes, kind, 0.7)
    (gradient,) = torch.autograd.grad(2 * loss, votes)
    expected = _loss_by_torch(votes, labels, passes, 0.7, accumulates=kind == "accumulated")
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient, torch.autograd.grad(2 * expected, votes)[0])


def test_accumulated_loss_of_potentials_is_the_mean_over_each_pass_alone():
    expected = (nll(2, 0) + nll(0, 0) + nll(0, 4)) / 3
    assert float(potential_loss(VOTES, LABEL, ALL, "accumulated", 2.0)) == pytest.approx(expected)


def test_loss_of_outputs_that_are_not_finite_is_not_finite():
    for value in (math.inf, -math.inf, math.nan):
        potentials = VOTES.clone()
        potentials[0, 1, 0] = value
        assert not math.isfinite(float(potential_loss(potentials, LABEL, ALL)))


@pytest.mark.parametrize("label", [-1, 2])
def test_labels_that_are_no_classes_are_refused(label):
    with pytest.raises(ValueError, match="`labels` must be classes from 0 to 1, got"):
        vote_loss(VOTES, torch.tensor([label]), ALL)


@pytest.mark.parametrize(("labels", "passes"), [([0, 1], [3]), ([0], [3, 3])])
def test_another_number_of_labels_or_passes_than_of_samples_is_refused(labels, passes):
    with pytest.raises(ValueError, match="`labels` must be of the same length as `passes` and"):
        vote_loss(VOTES, torch.tensor(labels), torch.tensor(passes))


def test_spike_penalty_is_the_squared_excess_of_each_hidden_population():
    # Spikes per pass: (8, 2, 9) in a sample of 2 passes; (6, 7, 9) in one of 1. Target 6.
    spikes = torch.tensor([[[10.0, 1, 9], [6, 3, 9]], [[6, 7, 9], [0, 0, 0]]])
    passes = torch.tensor([2, 1])
    expected = ((8 - 6) ** 2 + 0 + 0 + (7 - 6) ** 2) / 2
    assert float(spike_penalty(spikes, passes, {0: 64, 1: 64}, 6.0)) == expected
    # 64 of 128 neurons fire 4 and 3 times. Fewer than 64 neurons count as they are.
    expected = (0 + 0 + 0 + (7 - 6) ** 2) / 2
    assert float(spike_penalty(spikes, passes, {0: 128, 1: 32}, 6.0)) == expected


def test_learning_rate_rises_then_falls_to_zero():
    factors = [learning_rate_factor(step, 25, 0.2) for step in range(26)]
    assert factors[:5] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert factors[5] == 1.0
    assert factors[15] == pytest.approx(0.5)
    assert factors[25] == pytest.approx(0.0)


def test_learning_rate_without_warm_up_starts_at_its_highest():
    assert learning_rate_factor(0, 10, 0.0) == 1.0


def test_spike_penalty_is_off_then_ramps_up_then_stays_on():
    factors = [penalty_factor(step, 20) for step in (0, 1, 2, 5, 8, 19)]
    assert factors == pytest.approx([0, 0, 0, 0.5, 1, 1])


@pytest.mark.parametrize(
    ("surrogate", "expected"),
    [
        (Surrogate("arctan", 2.0), 1 / (1 + 4 * 0.25)),
        (Surrogate("fast-sigmoid", 2.0), 1 / (1 + 2 * 0.5) ** 2),
        (Surrogate("sigmoid", 2.0), 2 * math.exp(-1) / (1 + math.exp(-1)) ** 2),
    ],
)
def test_surrogates_have_their_textbook_values(surrogate, expected):
    kind, slope = surrogate.code
    for x in (0.5, -0.5):
        assert float(surrogate.derivative(torch.tensor(x))) == pytest.approx(expected)
        assert derivative(kind, np.float32(slope), np.float32(x)) == pytest.approx(expected)


@pytest.mark.parametrize(("name", "slope"), [("step", 1.0), ("arctan", 0.0), ("arctan", math.inf)])
def test_an_invalid_surrogate_is_rejected(name, slope):
    with pytest.raises(ValueError, match="surrogate"):
        Surrogate(name, slope)
