"""Losses, schedules and surrogate derivatives have values that were worked out by hand."""

import math

import numpy as np
import pytest
import torch

from neuroasync.train import Surrogate
from neuroasync.train.kernels.surrogate import derivative
from neuroasync.train.losses import (
    _loss_by_torch,
    potential_loss,
    spike_penalty,
    vote_loss,
    window_votes,
    windowed_vote_loss,
)
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


@pytest.mark.parametrize("kind", ["accumulated", "timestep", "final"])
@pytest.mark.parametrize("label", [-100, -1, 2])
def test_labels_that_are_no_classes_are_refused(kind, label):
    with pytest.raises(ValueError, match=rf"`labels\[0\]` must be .* 0 .* 1, got {label}"):
        vote_loss(VOTES, torch.tensor([label]), ALL, kind)


@pytest.mark.parametrize(
    ("labels", "passes", "message"),
    [
        ([0, 1], [3], r"`labels` must be an integer for each of the 1 samples, got .*\(2,\)"),
        ([0], [3, 3], r"`passes` must be an integer for each of the 1 samples, got .*\(2,\)"),
        ([0.0], [3], r"`labels` must be an integer for each of the 1 samples, got torch.float32"),
        (0, [3], r"`labels` must be an integer for each of the 1 samples, got .*\(\)"),
    ],
)
def test_labels_or_passes_of_another_shape_or_type_are_refused(labels, passes, message):
    with pytest.raises(ValueError, match=message):
        vote_loss(VOTES, torch.tensor(labels), torch.tensor(passes))


def test_outputs_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"`votes` must be .* got \(3, 2\)"):
        vote_loss(VOTES[0], LABEL, ALL)
    with pytest.raises(ValueError, match=r"`potentials` must be .* got \(3, 2\)"):
        potential_loss(VOTES[0], LABEL, ALL)


@pytest.mark.parametrize("kind", ["accumulated", "timestep"])
def test_loss_has_second_derivatives(kind):
    """A function of the gradient can be a part of the loss, as in a gradient penalty."""
    votes = VOTES.double().requires_grad_()
    single = VOTES.clone().requires_grad_()
    penalties = []
    for given in (votes, single):
        loss = vote_loss(given, LABEL, ALL, kind)
        (gradient,) = torch.autograd.grad(loss, given, create_graph=True)
        (loss + 100 * gradient.square().sum()).backward()
        penalties.append(given.grad)
    torch.testing.assert_close(penalties[0].float(), penalties[1])
    assert torch.autograd.gradgradcheck(lambda x: vote_loss(x, LABEL, ALL, kind), (votes,))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_loss_has_the_precision_of_the_outputs(dtype):
    loss = vote_loss(VOTES.to(dtype), LABEL, ALL)
    assert loss.dtype == dtype
    assert float(loss) == pytest.approx(float(vote_loss(VOTES, LABEL, ALL)), rel=0.02)


def test_gradient_of_outputs_in_other_memory_order_is_the_same():
    votes = VOTES.permute(0, 2, 1).contiguous().permute(0, 2, 1).requires_grad_()
    assert not votes.is_contiguous()
    same = VOTES.clone().requires_grad_()
    for given in (votes, same):
        vote_loss(given, LABEL, ALL).backward()
    torch.testing.assert_close(votes.grad, same.grad)


def test_gradients_of_long_samples_have_full_precision():
    rng = np.random.default_rng(7)
    exact = torch.from_numpy(rng.poisson(0.002, (1, 5000, 4)).astype(float)).requires_grad_()
    votes = exact.detach().float().requires_grad_()
    for given in (exact, votes):
        vote_loss(given, LABEL, torch.tensor([5000])).backward()
    torch.testing.assert_close(votes.grad.double(), exact.grad, rtol=1e-5, atol=2e-7)


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


@pytest.mark.parametrize("kind", ["accumulated", "timestep", "final"])
@pytest.mark.parametrize("passes", [-1, 4])
def test_a_sample_cannot_have_more_passes_than_its_outputs(kind, passes):
    with pytest.raises(ValueError, match=rf"`passes\[0\]` must be .* from 0 to 3, got {passes}"):
        vote_loss(VOTES, LABEL, torch.tensor([passes]), kind)
    if kind != "timestep":
        with pytest.raises(ValueError, match=r"`passes\[0\]` must be an integer from 0 to 3"):
            potential_loss(VOTES, LABEL, torch.tensor([passes]), kind)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[0, 2, 1]], r"`labels\[0, 1\]` must be an integer from -1 to 1, got 2"),
        ([[0, -2, 1]], r"`labels\[0, 1\]` must be an integer from -1 to 1, got -2"),
        ([0], r"`labels` must be an integer for each interval .* torch.int64 of the shape \(1,\)"),
        ([[0], [1]], r"each interval of each of the 1 samples, .* of the shape \(2, 1\)"),
        ([[0.0]], "each interval of each of the 1 samples, got torch.float32"),
    ],
)
def test_labels_over_time_that_do_not_fit_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        windowed_vote_loss(VOTES, torch.tensor(labels), 1)


def test_labels_over_time_may_be_of_any_integer_type():
    expected = windowed_vote_loss(VOTES, torch.tensor([[0, -1, 1]]), 1)
    for labels in (np.array([[0, -1, 1]], np.int8), torch.tensor([[0, -1, 1]], dtype=torch.int32)):
        assert float(windowed_vote_loss(VOTES, labels, 1)) == float(expected)


def test_vote_windows_of_no_length_and_outputs_of_another_shape_are_refused():
    for passes, intervals in ((0, 1), (-1, 1), (1, 0)):
        with pytest.raises(ValueError, match="must be an integer of at least 1"):
            window_votes(VOTES, passes, intervals)
    with pytest.raises(ValueError, match=r"`votes` must be .* got \(3, 2\)"):
        window_votes(VOTES[0], 1, 1)


def test_a_spike_penalty_of_populations_that_do_not_exist_is_refused():
    with pytest.raises(ValueError, match="`hidden` must be an integer from 0 to 1, got 2"):
        spike_penalty(VOTES, ALL, {2: 5})
    with pytest.raises(ValueError, match="`passes` must be an integer for each of the 1 samples"):
        spike_penalty(VOTES, torch.tensor([3, 3]), {0: 5})
    with pytest.raises(ValueError, match=r"\[samples, passes, populations\], got \(3, 2\)"):
        spike_penalty(VOTES[0], ALL, {0: 5})


def test_schedules_of_a_training_without_steps_are_defined():
    assert learning_rate_factor(0, 0, 0.05) == 1
    assert penalty_factor(0, 0) == 0
