"""A module may change tensors in place: exactly imported if they become the input, else refused."""

import pytest
import torch
from torch import nn

import neuroasync as na
from neuroasync.interchange.torch_modules.module_import import import_module
from tests.helpers.plain_framework import PlainFramework, PlainLIF

WEIGHT = torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
BIAS = torch.tensor([0.5, -1.0])


class Changed(nn.Module):
    """A linear layer of known weights, whose result a function changes before the neurons."""

    def __init__(self, change):
        super().__init__()
        self.linear, self.lif, self.change = nn.Linear(4, 2), PlainLIF(), change
        self.linear.load_state_dict({"weight": WEIGHT, "bias": BIAS})

    def forward(self, frame):
        return self.lif(self.change(self.linear(frame), frame))


class Loop(nn.Module):
    """Two layers in a loop; a function changes the input or the potentials of the first one."""

    def __init__(self, change_input=lambda given: None, change_state=lambda potential: potential):
        super().__init__()
        self.linear, self.lif, self.last = nn.Linear(4, 2), PlainLIF(), PlainLIF()
        self.change_input, self.change_state = change_input, change_state

    def forward(self, given):
        self.change_input(given)
        for frame in given:
            self.last(self.lif(self.linear(frame)))
            self.lif.mem = self.change_state(self.lif.mem)


def imported(module):
    return import_module(PlainFramework(), module, 1000, (4,), None)


def doubled(current, frame):
    current *= 2
    return current


def less_a_constant(current, frame):
    current -= 0.25
    return current


def doubled_without_a_version(current, frame):
    with torch.inference_mode():
        return (current * 1.0).mul_(2)


def twice_the_input(current, frame):
    frame.mul_(3.0)
    return current.add_(frame[:, :2])


def summed_up(current, frame):
    total = torch.ones(len(current), 2)
    total += current
    total.add_(current, alpha=0.5)
    return total


def into_another(current, frame):
    out = torch.empty_like(current)
    torch.add(current, current, out=out)
    return out


def plus_constants_in_freed_memory(current, frame):
    for _ in range(20):
        scratch = torch.zeros(len(current), 2).add_(current)
        scratch.data = torch.zeros(1)
    for constant in [torch.ones(len(current), 2) for _ in range(40)]:
        current = current + constant
    return current


ONES = torch.eye(2, 4)


@pytest.mark.parametrize(
    ("change", "weight", "bias"),
    [
        (doubled, 2 * WEIGHT, 2 * BIAS),
        (doubled_without_a_version, 2 * WEIGHT, 2 * BIAS),
        (less_a_constant, WEIGHT, BIAS - 0.25),
        (twice_the_input, WEIGHT + 3 * ONES, BIAS),
        (summed_up, 1.5 * WEIGHT, 1 + 1.5 * BIAS),
        (into_another, 2 * WEIGHT, 2 * BIAS),
        (plus_constants_in_freed_memory, WEIGHT, BIAS + 40),
        (lambda x, _: torch.mul(input=x, other=2), 2 * WEIGHT, 2 * BIAS),
        (lambda x, _: torch.rsub(x, 2, alpha=2), -2 * WEIGHT, 2 - 2 * BIAS),
        (lambda x, _: x.to(torch.float64).to(x.dtype), WEIGHT, BIAS),
    ],
)
def test_weights_are_those_after_the_change(change, weight, bias):
    (connection,) = imported(Changed(change)).model.connections
    assert connection.weight.tolist() == weight.tolist()
    assert connection.bias.tolist() == bias.tolist()


def set_first(current, frame):
    current[:, 0] = 0
    return current


def set_through_a_view(current, frame):
    current.view(-1)[0] = 0
    return current


def scale_a_view(current, frame):
    current[:, :1].mul_(0.5)
    return current


def clear_an_alias(current, frame):
    current.detach().zero_()
    return current


def clear_data(current, frame):
    current.data[:, 0] = 0
    return current


def replace_data(current, frame):
    current.data = torch.zeros_like(current)
    return current


def fill_data(current, frame):
    total = torch.zeros(len(current), 2)
    total.data.add_(current)
    return total


def clear_without_a_version(current, frame):
    with torch.inference_mode():
        current = current * 1.0
        current.view(-1)[0] = 0
        return current


def double_a_view_without_a_version(current, frame):
    with torch.inference_mode():
        current = current * 1.0
        first = current[:, :1]
        torch.add(first, first, out=first)
        return current


def clip_a_view_without_a_version(current, frame):
    with torch.inference_mode():
        current = current * 1.0
        nn.functional.relu(current[:, 1:], inplace=True)
        return current


def fill_a_part(current, frame):
    part = torch.zeros(len(current), 2)
    part[:, :1] += current[:, :1]
    return part + current


def copy_into_a_view(current, frame):
    part = torch.zeros(len(current), 2)
    part[:, :1].copy_(current[:, :1])
    return part + current


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_first, "layer `lif` gets `setitem`"),
        (set_through_a_view, "layer `lif` gets `setitem`"),
        (scale_a_view, "layer `lif` gets `mul`"),
        (clear_an_alias, "layer `lif` gets `zero`"),
        (clear_data, "layer `lif` gets `setitem`"),
        (replace_data, "layer `lif` gets `set`"),
        (fill_data, "layer `lif` gets `add`"),
        (clear_without_a_version, "layer `lif` gets `setitem`"),
        (double_a_view_without_a_version, "layer `lif` gets `add`"),
        (clip_a_view_without_a_version, "layer `lif` gets `relu`"),
        (fill_a_part, "layer `lif` gets `setitem`"),
        (copy_into_a_view, "layer `lif` gets `copy`"),
        (lambda x, _: x.to(torch.int32).float(), "layer `lif` gets `to`"),
        (lambda x, _: torch.div(x, 2, rounding_mode="floor"), "layer `lif` gets `div`"),
    ],
)
def test_a_change_that_cannot_be_followed_is_refused(change, message):
    with pytest.raises(na.InterchangeError, match=message):
        imported(Changed(change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda given: given.mul_(0.5), "layer `lif` gets `mul`"),
        (lambda given: given[0].mul_(0.5), "layer `lif` gets `mul`"),
        (lambda given: given.__setitem__(0, 0), "layer `lif` gets `setitem`"),
    ],
)
def test_a_changed_sequence_of_frames_is_refused(change, message):
    with pytest.raises(na.InterchangeError, match=message):
        imported(Loop(change_input=change))


@pytest.mark.parametrize(
    "change",
    [
        lambda potential: potential.clamp(min=0),
        lambda potential: potential * 0.5,
        lambda potential: potential.mul_(0.5),
        lambda potential: potential.clamp_(min=0),
    ],
)
def test_changed_potentials_are_refused(change):
    with pytest.raises(na.InterchangeError, match="`lif` does not continue from its state"):
        imported(Loop(change_state=change))


def test_potentials_may_be_copied():
    model = imported(Loop(change_state=lambda potential: potential.detach().clone())).model
    assert [(c.source, c.target) for c in model.connections] == [("input", "lif"), ("lif", "last")]
