"""Modules that mix timesteps or samples, or change from timestep to timestep, are refused."""

import numpy as np
import pytest
import torch
from torch import nn

import neuroasync as na
from neuroasync.interchange.torch_modules.framework import Layout
from neuroasync.interchange.torch_modules.from_module import from_module
from neuroasync.interchange.torch_modules.module_import import import_module
from tests.helpers.plain_framework import PlainFramework, PlainLIF


class WholeLIF(PlainLIF):
    """The neurons of ``PlainLIF`` for all timesteps at once, [timesteps, batch, neurons]."""

    def forward(self, current):
        self.mem = torch.zeros(current.shape[1:])
        return torch.stack([super(WholeLIF, self).forward(frame) for frame in current])


class WholeFramework(PlainFramework):
    """A framework whose layers take all timesteps at once."""

    def layouts(self, layers):
        return (Layout.TIME_FIRST,)

    def state(self, layer, args):
        return None


class Changed(nn.Module):
    """A linear layer before neurons; a function changes its input, given a count of the calls."""

    def __init__(self, lif, change):
        super().__init__()
        self.linear, self.lif, self.change, self.calls = nn.Linear(4, 3), lif, change, 0

    def forward(self, given):
        self.calls += 1
        return self.lif(self.linear(self.change(given, self.calls)))


def weight_of(framework, module):
    (connection,) = import_module(framework, module, 1000, (4,), None).model.connections
    return connection.weight


def padded(given):
    return nn.functional.pad(given, (0, 0, 0, 0, 1, 0))[:-1]


@pytest.mark.parametrize(
    "change",
    [
        lambda x, _: x.roll(1, 0),
        lambda x, _: x.flip(0),
        lambda x, _: x.roll(1, 1),
        lambda x, _: x - x.mean(0, keepdim=True),
        lambda x, _: x.transpose(0, 1).contiguous().view(x.shape),
        lambda x, _: padded(x),
        lambda x, _: x + torch.arange(3.0)[:, None, None],
        lambda x, _: x * torch.arange(3.0)[:, None, None],
    ],
)
def test_what_mixes_timesteps_or_samples_is_refused(change):
    with pytest.raises(na.InterchangeError, match="layer `lif` gets an input that mixes timesteps"):
        weight_of(WholeFramework(), Changed(WholeLIF(), change))


@pytest.mark.parametrize("change", [lambda x, _: x - x.mean(0), lambda x, _: x.flip(0)])
def test_what_mixes_samples_of_a_batch_is_refused(change):
    with pytest.raises(na.InterchangeError, match="layer `lif` gets an input that mixes timesteps"):
        weight_of(PlainFramework(), Changed(PlainLIF(), change))


@pytest.mark.parametrize(
    "change",
    [
        lambda x, calls: x * 0.5**calls,
        lambda x, calls: x + calls,
        lambda x, calls: x + 1 if calls == 1 else x,
        lambda x, calls: x.flip(1) if calls % 2 else x,
        lambda x, calls: torch.zeros_like(x) + x.sum(1, keepdim=True) if calls > 2 else x,
    ],
)
def test_what_changes_from_timestep_to_timestep_is_refused(change):
    with pytest.raises(na.InterchangeError, match="`lif` gets an input that is another function"):
        weight_of(PlainFramework(), Changed(PlainLIF(), change))


def test_a_module_that_cannot_run_again_is_refused():
    module = Changed(PlainLIF(), lambda x, _: x + module.kept)
    module.kept = torch.zeros(8, 4)  # the batch of the traced run
    reference = np.ones((5, 3, 4))
    with pytest.raises(na.InterchangeError, match="cannot run the reference samples, 5 at once"):
        from_module(PlainFramework(), module, 1000, None, reference, None, None)


def test_what_treats_all_rows_alike_is_imported():
    def flattened(given, _):
        return given.flatten(0, 1).reshape(given.shape) * 1.0

    def step_by_step(given, _):
        return torch.stack([frame * 1.0 for frame in given])

    module = Changed(WholeLIF(), step_by_step)
    assert weight_of(WholeFramework(), module).tolist() == module.linear.weight.tolist()
    for framework, lif in ((WholeFramework(), WholeLIF()), (PlainFramework(), PlainLIF())):
        module = Changed(lif, flattened)
        found = weight_of(framework, module)
        assert found.tolist() == module.linear.weight.tolist()


def test_weights_that_are_no_numbers_are_named_by_the_model():
    module = Changed(PlainLIF(), lambda x, _: x)
    module.linear.weight.data[0, 0] = torch.nan
    with pytest.raises(na.InterchangeError, match=r"cannot become a network: .*weight"):
        weight_of(PlainFramework(), module)
