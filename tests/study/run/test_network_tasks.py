"""A study trains its networks on the CPU, whatever devices a machine has."""

from dataclasses import replace

import pytest

from neuroasync.study.design.case import StudyNetwork
from neuroasync.study.run import network_tasks
from neuroasync.study.run.network_tasks import train_network
from neuroasync.study.run.samples import StudySamples
from neuroasync.study.run.versions import package_versions
from tests.helpers.small_studies import case, files


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_training_is_on_the_cpu_and_the_bundle_has_the_device_of_the_recipe(
    device, tmp_path, monkeypatch
):
    devices, train = [], network_tasks.train_dataset

    def listen(dataset, recipe, **options):
        devices.append(recipe.config.device)
        return train(dataset, recipe, **options)

    monkeypatch.setattr(network_tasks, "train_dataset", listen)
    whole = case(files(tmp_path))
    recipe = whole.recipes["layered"]
    recipe = replace(recipe, config=replace(recipe.config, device=device))
    chosen = replace(whole, recipes={"layered": recipe})
    samples = StudySamples(chosen, None).of_seed(0)
    bundle = train_network(
        StudyNetwork(chosen, "layered", 0), package_versions(), None, samples, lambda *_: None
    )
    assert devices == ["cpu"]
    assert bundle.meta["train.device"] == device
