"""Torch modules become connections: exact weights, few parameters, and refusals by name."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

import neuroasync as na
from neuroasync.interchange.torch_modules.module_import import import_module
from tests.helpers.plain_framework import PlainFramework, PlainLIF

STEP_US = 1000


def imported(module, shape, timesteps=None):
    return import_module(PlainFramework(), module, STEP_US, shape, timesteps)


def current(connection, spikes, shapes):
    """Return the current of a connection for some spikes, without its bias."""
    weight = torch.from_numpy(np.array(connection.weight))
    match connection:
        case na.Conv2d():
            frames = spikes.reshape(-1, *shapes[connection.source])
            out = nn.functional.conv2d(frames, weight, None, connection.stride, connection.padding)
            return out.flatten(1)
        case na.Dense():
            return spikes @ weight.T
        case na.Sparse():
            sources = len(connection.indptr) - 1
            matrix = torch.zeros(sources, int(np.prod(shapes[connection.target])))
            row = np.repeat(np.arange(sources), np.diff(connection.indptr))
            matrix[row, connection.indices.copy()] = weight
            return spikes @ matrix


def bias_of(connection, size):
    if connection.bias is None:
        return torch.zeros(size)
    bias = torch.from_numpy(np.array(connection.bias))
    return bias.repeat_interleave(size // len(bias))


class Mixed(nn.Module):
    """Views, permutations, sums, products, padding and concatenation between two layers."""

    def __init__(self):
        super().__init__()
        self.first = PlainLIF()
        self.last = PlainLIF()
        self.conv = nn.Conv2d(2, 3, 3, dilation=2, padding=2, groups=1)
        self.linear = nn.Linear(2 * 6 * 6, 20)

    def between(self, z):
        grid = z.view(-1, 2, 6, 6)
        one = self.conv(grid).flatten(1)[:, :20] * 0.5
        two = self.linear(grid.permute(0, 2, 3, 1).reshape(len(z), -1)) - 0.25
        three = torch.cat([z[:, :10], z[:, 10:20] / 4], dim=1)
        return one + two + three + nn.functional.pad(z[:, :18], (1, 1))

    def forward(self, frame):
        return self.last(self.between(self.first(frame)))


def norm(channels):
    layer = nn.BatchNorm2d(channels)
    layer.running_mean.normal_()
    layer.running_var.uniform_(0.2, 2)
    layer.weight.data.normal_()
    layer.bias.data.normal_()
    return layer


CHAINS = {
    "conv": lambda: nn.Conv2d(2, 3, 3, stride=2, padding=1),
    "conv, norm": lambda: nn.Sequential(nn.Conv2d(2, 3, 3, bias=False), norm(3)),
    "average, conv": lambda: nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(2, 3, 3, padding=1)),
    "conv, average": lambda: nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.AvgPool2d(2)),
    "conv, conv": lambda: nn.Sequential(nn.Conv2d(2, 4, 2, padding=1), nn.Conv2d(4, 3, 3)),
    "sum, conv": lambda: nn.Sequential(nn.LPPool2d(1, 3), nn.Conv2d(2, 3, 2)),
}
OTHERS = {
    "flatten, linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(72, 5), nn.Dropout()),
    "norm, conv": lambda: nn.Sequential(norm(2), nn.Conv2d(2, 3, 3, padding=1)),
    "padded conv, conv": lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 3, 3, padding=1)
    ),
    "uneven average, conv": lambda: nn.Sequential(nn.AvgPool2d(4), nn.Conv2d(2, 3, 2, padding=1)),
    "groups": lambda: nn.Conv2d(2, 4, 3, groups=2),
    "average": lambda: nn.AvgPool2d(2),
    "adaptive": lambda: nn.AdaptiveAvgPool2d(2),
    "transposed": lambda: nn.ConvTranspose2d(2, 3, 2, stride=2),
    "rows": lambda: nn.Sequential(nn.Flatten(2), nn.Conv1d(2, 3, 5)),
    "nothing": lambda: nn.Identity(),
}


def check(chain, shape=(2, 6, 6)):
    """Import a chain and compare its current with that of its connections; return these."""
    torch.manual_seed(1)
    chain = chain()
    model = imported(nn.Sequential(chain, PlainLIF()), shape).model
    spikes = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (9, *shape))).float()
    with torch.no_grad():
        expected = chain.eval()(spikes).flatten(1)
    shapes = {"input": shape} | {p.name: p.shape for p in model.populations}
    size = model.populations[0].size
    found = sum(current(c, spikes.flatten(1), shapes) + bias_of(c, size) for c in model.connections)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    return model.connections


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_that_is_one_convolution_becomes_one(name):
    (connection,) = check(CHAINS[name])
    assert isinstance(connection, na.Conv2d)


@pytest.mark.parametrize("name", OTHERS)
def test_another_linear_chain_becomes_a_matrix(name):
    connections = check(OTHERS[name])
    assert not any(isinstance(c, na.Conv2d) for c in connections)


def test_weights_of_a_single_layer_are_kept_to_the_bit():
    for chain, shape in ((nn.Linear(6, 5), (6,)), (nn.Conv2d(2, 3, 3), (2, 6, 6))):
        (connection,) = imported(nn.Sequential(chain, PlainLIF()), shape).model.connections
        np.testing.assert_array_equal(connection.weight, chain.weight.detach().numpy())
        np.testing.assert_array_equal(connection.bias, chain.bias.detach().numpy())


def test_functions_between_layers_are_composed():
    torch.manual_seed(2)
    module = Mixed()
    model = imported(module, (72,)).model
    identity, *rest = model.connections
    assert (identity.source, identity.target) == ("input", "first")
    spikes = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (9, 72))).float()
    shapes = {p.name: p.shape for p in model.populations}
    found = sum(current(c, spikes, shapes) + bias_of(c, 20) for c in rest)
    with torch.no_grad():
        torch.testing.assert_close(found, module.between(spikes), rtol=1e-5, atol=1e-5)


class Skips(nn.Module):
    """A skip from the input, one between layers, and a recurrence that the module keeps itself."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = PlainLIF(), PlainLIF(), PlainLIF()
        self.to_a, self.to_b, self.to_c = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.over = nn.Linear(4, 3, bias=False)
        self.back = nn.Linear(6, 6, bias=False)

    def forward(self, frames):
        spikes, b = [], torch.zeros(frames.shape[1], 6)
        for frame in frames:
            a = self.a(self.to_a(frame))
            b = self.b(self.to_b(a) + self.back(b) + a)
            spikes.append(self.c(self.to_c(b) + self.over(frame)))
        return torch.stack(spikes)


def test_skips_and_recurrence_become_connections():
    model = imported(Skips(), (4,)).model
    ends = {(c.source, c.target, c.delay_us) for c in model.connections}
    assert ends == {
        ("input", "a", 0), ("a", "b", 0), ("b", "b", STEP_US), ("b", "c", 0), ("input", "c", 0),
    }  # fmt: skip
    module = Skips()
    model = imported(module, (4,)).model
    (joint,) = [c for c in model.connections if (c.source, c.target) == ("a", "b")]
    expected = module.to_b.weight.detach().numpy() + np.eye(6, dtype=np.float32)
    np.testing.assert_allclose(joint.weight, expected, rtol=1e-6)


class FixedLoop(nn.Module):
    """A module that always runs five timesteps."""

    def __init__(self):
        super().__init__()
        self.linear, self.lif = nn.Linear(4, 3), PlainLIF()

    def forward(self, frames):
        return torch.stack([self.lif(self.linear(frames[t])) for t in range(5)])


def test_a_module_with_a_fixed_number_of_timesteps_is_run_with_that_number():
    assert imported(FixedLoop(), (4,), timesteps=5).model.sizes == "4-3"
    with pytest.raises(na.InterchangeError, match="was called 15 times for 3 timesteps"):
        imported(FixedLoop(), (4,))


class Loops(nn.Module):
    """A module that reads its input in one of several ways."""

    def __init__(self, frames_of):
        super().__init__()
        self.linear, self.lif, self.frames_of = nn.Linear(4, 3), PlainLIF(), frames_of

    def forward(self, given):
        return torch.stack([self.lif(self.linear(frame)) for frame in self.frames_of(given)])


@pytest.mark.parametrize(
    "frames_of",
    [
        list,
        lambda given: given.unbind(0),
        lambda given: (given[t] for t in range(given.size(0))),
        lambda given: (given[t, :, :] for t in range(len(given))),
        lambda given: (given[t, ...] for t in range(len(given))),
        lambda given: (given.select(0, t) for t in range(len(given))),
        lambda given: (given[:, t] for t in range(given.shape[1])),
        lambda given: given.unbind(1),
    ],
)
def test_a_loop_may_read_timesteps_of_the_first_or_second_dimension(frames_of):
    module = Loops(frames_of)
    (connection,) = imported(module, (4,)).model.connections
    assert (connection.source, connection.delay_us) == ("input", 0)
    np.testing.assert_array_equal(connection.weight, module.linear.weight.detach().numpy())


def test_a_loop_that_mixes_timesteps_is_refused():
    with pytest.raises(na.InterchangeError, match="`flip` of the input of all timesteps together"):
        imported(Loops(lambda given: given.flip(0)), (4,))


def test_input_of_the_previous_timestep_has_a_delay():
    module = Loops(lambda given: (given[max(t - 1, 0)] for t in range(len(given))))
    (connection,) = imported(module, (4,)).model.connections
    assert connection.delay_us == STEP_US


def test_names_of_layers_are_those_of_the_module():
    module = nn.Sequential()
    module.add_module("dense", nn.Linear(4, 3))
    module.add_module("hidden", PlainLIF())
    module.add_module("2", PlainLIF())
    names = [p.name for p in imported(module, (4,)).model.populations]
    assert names == ["hidden", "layer2"]


@pytest.mark.parametrize(
    ("layers", "names"),
    [
        (("encoder.lif", "lif"), ["lif", "lif_2"]),
        (("0.lif", "1.lif", "lif"), ["lif", "1.lif", "lif_2"]),
        (("first.1", "layer1"), ["layer1", "layer1_2"]),
        (("input", "output"), ["input_2", "output"]),
        (("a.input", "input"), ["a.input", "input_2"]),
    ],
)
def test_populations_have_different_names(layers, names):
    module = nn.Sequential()
    for name in layers:
        *parents, last = name.split(".")
        place = module
        for parent in parents:
            place.add_module(parent, nn.Sequential())
            place = place.get_submodule(parent)
        place.add_module(last, PlainLIF())
    model = imported(module, (4,)).model
    assert [p.name for p in model.populations] == names
    assert [(c.source, c.target) for c in model.connections] == list(pairwise(["input", *names]))


def test_the_module_keeps_its_modes():
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), PlainLIF())
    module[1].eval()
    before = module[1].running_mean.clone()
    imported(module, (1, 4, 4))
    assert (module.training, module[0].training, module[1].training) == (True, True, False)
    assert torch.equal(module[1].running_mean, before)


class StaticImage(nn.Module):
    """A module that shows the same image in four timesteps."""

    def __init__(self):
        super().__init__()
        self.linear, self.lif = nn.Linear(4, 3), PlainLIF()

    def forward(self, image):
        return torch.stack([self.lif(self.linear(image)) for _ in range(4)])


class StateAsInput(nn.Module):
    """A module whose second layer gets the potentials of the first."""

    def __init__(self):
        super().__init__()
        self.first, self.last = PlainLIF(), PlainLIF()

    def forward(self, frame):
        z = self.first(frame)
        return self.last(torch.relu(z - 0.5))


class Forgets(nn.Module):
    """A module that resets its layer in every timestep."""

    def __init__(self):
        super().__init__()
        self.linear, self.lif = nn.Linear(4, 3), PlainLIF()

    def forward(self, frame):
        if isinstance(self.lif.mem, torch.Tensor):
            self.lif.mem = torch.zeros_like(self.lif.mem)
        return self.lif(self.linear(frame))


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), PlainLIF()), (1, 6, 6),
         r"layer `2` gets `\w*max_pool2d\w*` in MaxPool2d `1`, which is not a linear"),
        (nn.Sequential(nn.Linear(4, 3), nn.ReLU(), PlainLIF()), (4,), "`relu` in ReLU `1`"),
        (nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), PlainLIF()), (4,), "in LayerNorm `1`"),
        (nn.Sequential(nn.Linear(4, 3), PlainLIF(), nn.Linear(3, 2)), (4,),
         "`linear` in Linear `2` leads to no spiking layer"),
        (nn.Sequential(nn.Linear(4, 3)), (4,), "has no spiking layer of plain"),
        (StaticImage(), (4,), "layer `lif` was called 12 times for 3 timesteps"),
        (Forgets(), (4,), "layer `lif` does not continue from its state of the previous timestep"),
        (StateAsInput(), (4,), "layer `last` gets `relu`"),
        (nn.Sequential(nn.Linear(4, 3), PlainLIF()), (5,), r"on an input of shape \(5,\)"),
        (3, (5,), "`module` must be a torch module, got int"),
    ],
)  # fmt: skip
def test_what_has_no_counterpart_is_refused_by_name(module, shape, message):
    with pytest.raises(na.InterchangeError, match=message):
        imported(module, shape)
