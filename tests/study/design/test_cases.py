"""The tables of cases: each can be run."""

import math
from dataclasses import replace

import pytest

from neuroasync import parse_topology
from neuroasync.datasets import DATASETS, load_dataset
from neuroasync.datasets.user_data import UserFiles
from neuroasync.errors import DatasetError
from neuroasync.study import Grid, Mode, StudyPlan
from neuroasync.study.design.builtin_cases import CASES, DEFAULT, QUICK, own_case, quickly
from neuroasync.study.design.regimes import REGIMES
from neuroasync.study.run.samples import Samples
from neuroasync.train.recipes import Recipe
from tests.helpers.small_studies import CONFIG, GRID, NETWORK, case, files

OWN = UserFiles(train="train.npz", test="test.npz")
TONIC = ("nmnist", "shd", "dvs-gesture")


def fits(one, dataset):
    """Every network of the case reads the samples and has their classes."""
    for training in one.trainings:
        model = parse_topology(one.recipe(training).topology)
        assert math.prod(model.input_shape) == math.prod(dataset.input_shape)
        assert model.populations[-1].size == len(dataset.classes)


def test_there_is_a_case_for_each_data_set_and_it_fits():
    assert tuple(CASES) == DATASETS
    for name, one in CASES.items():
        if name not in TONIC:
            fits(one, load_dataset(name))
    assert set(QUICK) < set(DEFAULT) == set(DATASETS) - set(TONIC)


def test_a_regime_has_a_name_of_its_own_and_fits_its_data_set():
    StudyPlan(REGIMES, (0,))
    for one in REGIMES:
        fits(one, load_dataset(one.dataset, coding=one.coding))


def test_unlayered_recipes_differ_from_the_layered_one_in_their_order_alone():
    for one in (*CASES.values(), *REGIMES):
        layered = one.recipe("layered")
        for policy in ("random", "momentum"):
            recipe = one.recipe(f"unlayered-{policy}")
            assert recipe.topology == layered.topology
            config = replace(recipe.config, policy="layer-sync", input=layered.config.input)
            assert config == layered.config
            assert recipe.config.input == one.input
        assert layered.config.input == "prioritised"


def test_a_quick_case_has_fewer_samples_and_epochs_and_the_same_networks():
    for name in QUICK:
        one = quickly(CASES[name])
        samples = Samples(one, None).of_seed(1).dataset
        assert len(samples.split.train) <= 1200
        assert 0 < len(samples.test) <= 150
        for training, recipe in CASES[name].recipes.items():
            assert one.recipes[training].topology == recipe.topology
            assert one.recipes[training].config.epochs <= recipe.config.epochs


def test_a_quick_case_is_in_nothing_larger():
    for one in CASES.values():
        quick = quickly(one)
        assert quick.encodings_per_image <= one.encodings_per_image
        assert quick.max_train <= (one.max_train or quick.max_train)
        assert quick.max_measured <= (one.max_measured or quick.max_measured)
    assert quickly(CASES["dvs-gesture"]).max_measured == 100
    small = quickly(case(OWN, max_train=8, max_measured=4, encodings_per_image=1))
    assert (small.max_train, small.max_measured, small.encodings_per_image) == (8, 4, 1)


def test_quick_keeps_the_part_of_the_epochs_that_is_layered():
    own = case(OWN)
    config = replace(own.recipes["layered"].config, epochs=60, layered_epochs=15)
    recipe = replace(own.recipes["layered"], config=config)
    quick = quickly(case(OWN, recipes={"layered": recipe})).recipes["layered"].config
    assert (quick.epochs, quick.layered_epochs) == (20, 5)


def test_a_small_set_is_measured_on_another_fold_with_each_seed():
    samples = Samples(CASES["braille"], None)
    parts = [set(samples.of_seed(seed).dataset.split.test.tolist()) for seed in range(6)]
    assert sum(map(len, parts[:5])) == len(set.union(*parts[:5])) == 918
    assert not set.union(*parts) & set(load_dataset("braille").split.test.tolist())
    assert parts[5] not in parts[:5], "dealt anew"
    own = Samples(CASES["spoken-digits"], None)
    assert own.of_seed(0).digest == own.of_seed(1).digest


def test_own_networks_keep_what_their_populations_say():
    one = own_case(OWN, "timestep_us=1000; input 4; a d3 v_threshold=0.7; output d2")
    for training, threshold in (("layered-paper", 0.3), ("layered", 1.0)):
        model = parse_topology(one.recipe(training).topology)
        assert [p.neuron.v_threshold for p in model.populations] == [0.7, threshold]


def test_a_case_without_anything_to_measure_on_is_refused(tmp_path):
    own = files(tmp_path)
    with pytest.raises(DatasetError, match="task: no samples to test or to validate on"):
        Samples(case(replace(own, test=None)), None).of_seed(0)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "a/b"}, "name: 'a/b', expected letters"),
        ({"recipes": {}}, r"task: recipes \[\], expected some of"),
        (
            {"recipes": {"layered": Recipe(NETWORK, replace(CONFIG, group_size=4))}},
            r"task: recipes\['layered'\]\.config\.group_size: 4, expected 8, which the report",
        ),
        ({"grid": Grid(group_sizes=(1,))}, "task: grid without .* which the report shows"),
        ({"grid": Grid(inputs=("queued",))}, "task: grid without .* which the report shows"),
    ],
)
def test_a_case_that_cannot_be_reported_is_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        case(OWN, **changes)


def test_a_plan_in_which_files_would_overwrite_each_other_is_refused():
    with pytest.raises(ValueError, match=r"cases: \['task', 'task'\], expected some, all diff"):
        StudyPlan((case(OWN), case(OWN)), (0,))
    with pytest.raises(ValueError, match=r"seeds: \(1, 1\), expected some, all different"):
        StudyPlan((case(OWN),), (1, 1))


def test_more_seeds_than_folds_are_refused_for_a_sample_would_count_twice():
    says = "^seeds: 3, but task has 2 folds, one for each seed; expected 2 seeds at most$"
    with pytest.raises(ValueError, match=says):
        StudyPlan((case(OWN, folds=2),), (0, 1, 2))
    StudyPlan((case(OWN, folds=2),), (0, 1))
    StudyPlan((case(OWN),), (0, 1, 2))


def test_a_layered_network_is_shown_with_the_input_of_its_case_and_trained_with_input_first():
    one = case(OWN, input="queued")
    assert one.own_mode("layered") == Mode("layer-sync", 8, "prioritised")
    assert one.shown_mode("layered", 1) == Mode("layer-sync", 1, "queued")
    for training in ("unlayered-random", "unlayered-momentum"):
        assert one.shown_mode(training) == one.own_mode(training)
        assert one.shown_mode(training).input == "queued"


def test_a_mode_is_one_of_the_runtime():
    with pytest.raises(ValueError, match="best"):
        Mode("best", 8, "queued")
    with pytest.raises(ValueError, match="group_size"):
        Mode("random", 0, "queued")
    assert len(list(GRID)) == len(GRID) == 16
