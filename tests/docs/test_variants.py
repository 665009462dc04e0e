"""The measurement of variants computes what the page says."""

import asyncio
import json

import numpy as np
import pytest

pytest.importorskip("torch")

from neuroasync import Network, parse_topology, write_bundle
from neuroasync.shipped import shipped_bundle
from neuroasync.study.design.builtin_cases import CASES
from neuroasync.study.run.samples import StudySamples
from neuroasync.train.recipes import RECIPES
from tools import variants
from tools.result_pages import with_rows
from tools.variants import (
    PAGE,
    SEEDS,
    Variant,
    convolution_rows,
    convolutional,
    measure,
    sparse_rows,
    sparser,
    time_rows,
    trained_otherwise,
)

NAMES = ("digits", "nmnist-small", "mnist", "fashion-mnist")


def outcome(accuracy, rounds, spikes):
    return {"accuracy": accuracy, "rounds": rounds, "spikes": spikes}


def decide_samples(network, samples):
    """Return the decisions on all samples."""

    async def decide():
        async with network:
            return await network.decide_all(samples, seed=0)

    return asyncio.run(decide())


def results(early, quiet=(0.9, 40.0, 160.0)):
    """Return results with the same outcome in all orders."""
    one = {"early": outcome(*early), "quiet": outcome(*quiet)}
    orders = dict.fromkeys(("layer-sync", "random", "fifo"), one)
    modes = [quiet[0]] * 18 + [quiet[0] / 2]
    return {"validation": 0.95, "parameters": 12_345, "orders": orders, "modes": modes}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder with results of one target, in which sparser networks take half."""
    monkeypatch.setattr(variants, "_TARGETS", {"digits": (2.0,)})
    early = {
        ("layered", ""): (0.96, 20.0, 80.0),
        ("unlayered-any", ""): (0.95, 10.0, 60.0),
        ("layered", "target 2"): (0.95, 16.0, 40.0),
        ("unlayered-any", "target 2"): (0.94, 8.0, 30.0),
    }
    for group in sparser("digits"):
        for variant in group:
            for seed in SEEDS:
                result = results(early[variant.training, variant.label])
                variant.path(tmp_path, seed).write_text(json.dumps(result), "utf-8")
    return tmp_path


def test_shares_are_those_of_the_study_and_of_the_same_target(folder):
    rows = [list(row) for row in sparse_rows(folder)]
    assert [row[1:3] for row in rows] == [
        ["study", "`layered`, layer-sync"],
        ["study", "`unlayered-any`, random"],
        ["study", "`unlayered-any`, fifo"],
        ["target 2", "`layered`, layer-sync"],
        ["target 2", "`unlayered-any`, random"],
        ["target 2", "`unlayered-any`, fifo"],
    ]
    assert rows[0][4] == ""
    assert rows[0][-4:] == ["", "", "", ""]
    assert rows[1][-4:] == ["50", "75", "50", "75"]
    assert rows[3][-4:] == ["80", "50", "", ""]
    assert rows[4][-4:] == ["40", "38", "50", "75"]
    assert rows[4][3].startswith("94.0")
    assert rows[4][4].startswith("-2.0")


@pytest.mark.parametrize("case", NAMES)
def test_sparser_networks_differ_from_the_recipe_in_the_target_only(case):
    study, *others = sparser(case)
    assert all(variant.recipe is None for variant in study)
    for variant in (variant for group in others for variant in group):
        recipe = RECIPES[case][variant.training]
        assert variant.recipe.topology == recipe.topology
        changed = {
            name
            for name in recipe.config.__dataclass_fields__
            if getattr(recipe.config, name) != getattr(variant.recipe.config, name)
        }
        assert changed == {"penalty_target"}


def test_other_epochs_are_compared_with_those_of_the_study_over_all_modes(tmp_path, monkeypatch):
    monkeypatch.setattr(variants, "TITLES", {"digits": "digits"})
    for variant in trained_otherwise("digits"):
        accuracy = 0.92 if variant.label else 0.9
        for seed in SEEDS:
            text = json.dumps(results((0.9, 1.0, 1.0), (accuracy, 40.0, 1234.0)))
            variant.path(tmp_path, seed).write_text(text, "utf-8")
        if variant.label:
            expected = 24 if variant.training == "unlayered-any" else 48
            assert variant.recipe.config.epochs == expected
    rows = [list(row) for row in time_rows(tmp_path)]
    assert [row[1] for row in rows] == [
        "`layered`", "`layered`, twice the epochs",
        "`unlayered-random`", "`unlayered-random`, twice the epochs",
        "`unlayered-momentum`", "`unlayered-momentum`, twice the epochs",
        "`unlayered-any`", "`unlayered-any`, half the epochs",
    ]  # fmt: skip
    assert rows[0][2:4] == ["87.6", "45.0"]  # (18 * 90 + 45) / 19
    assert rows[0][5] == ""
    assert rows[7][4].startswith("92.0")
    assert rows[7][5].startswith("+2.0")


def test_convolutional_networks_connect_every_population_to_the_output(tmp_path):
    for case in ("mnist", "nmnist-small"):
        dense, convolutions = convolutional(case)
        assert dense.recipe is None
        model = parse_topology(convolutions.recipe.topology)
        assert [p.name for p in model.populations] == ["conv1", "conv2", "hidden", "output"]
        sources = {c.source for c in model.connections if c.target == "output"}
        assert sources == {"conv1", "conv2", "hidden"}
        for variant in (dense, convolutions):
            for seed in SEEDS:
                text = json.dumps(results((0.9, 1.0, 1.0), (0.97, 40.0, 1234.0)))
                variant.path(tmp_path, seed).write_text(text, "utf-8")
    rows = [list(row) for row in convolution_rows(tmp_path)]
    assert [row[:3] for row in rows[:2]] == [
        ["MNIST", "dense, study", "12,345"], ["MNIST", "convolutions", "12,345"],
    ]  # fmt: skip
    assert rows[0][4].startswith("97.0")
    assert rows[0][-1].startswith("1,234")


def test_outcomes_are_those_of_deciding_the_held_out_samples(tmp_path):
    (tmp_path / "bundles").mkdir()
    bundle = shipped_bundle("layered")
    write_bundle(bundle, tmp_path / "bundles" / "digits-layered-0.nab")
    measured = measure(Variant("digits", "layered"), tmp_path, 0, str(tmp_path))
    test = StudySamples(CASES["digits"], None).of_seed(0).dataset.test
    network = Network(bundle, policy="fifo", group_size=8, until="quiet")
    decisions = decide_samples(network, test)
    outcome = measured["orders"]["fifo"]["quiet"]
    right = [d.label == label for d, label in zip(decisions, test.labels, strict=True)]
    assert outcome["accuracy"] == pytest.approx(np.mean(right))
    assert outcome["rounds"] == pytest.approx(np.mean([d.rounds for d in decisions]))
    for runs in measured["orders"].values():
        assert runs["early"]["rounds"] < runs["quiet"]["rounds"]
        assert runs["early"]["spikes"] < runs["quiet"]["spikes"]
    assert measured["parameters"] == bundle.model.parameters
    assert len(measured["modes"]) == 19
    assert measured["modes"][0] == measured["orders"]["layer-sync"]["quiet"]["accuracy"]
    assert outcome["accuracy"] in measured["modes"]


def test_every_network_has_its_own_files(tmp_path):
    networks = [v for case in NAMES for group in sparser(case) for v in group]
    networks += [v for case in NAMES for v in trained_otherwise(case) if v.label]
    networks += [v for case in ("mnist", "nmnist-small") for v in convolutional(case) if v.label]
    paths = {variant.path(tmp_path, seed) for variant in networks for seed in SEEDS}
    assert len(paths) == len(networks) * len(SEEDS)


def test_page_has_the_tables_that_the_tool_fills(folder):
    page = PAGE.read_text("utf-8")
    assert "| digits | target 2 |" in with_rows(page, "sparser", sparse_rows(folder))
    for name in ("time", "convolutions"):
        assert "| only |" in with_rows(page, name, [["only"]])
