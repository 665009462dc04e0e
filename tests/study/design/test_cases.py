"""Built-in cases and regimes: each fits its data set and can run."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from neuroasync import parse_run_modes, parse_topology
from neuroasync.datasets import DATASETS, load_dataset
from neuroasync.datasets.user_data import UserFiles
from neuroasync.errors import DatasetError
from neuroasync.study import Grid, Mode, StudyPlan
from neuroasync.study.design.builtin_cases import CASES, DEFAULT, QUICK, quick_case, user_case
from neuroasync.study.design.regimes import REGIMES
from neuroasync.study.run.samples import StudySamples
from neuroasync.train.recipes import Recipe
from tests.helpers.small_studies import CONFIG, GRID, NETWORK, case, files

USER_FILES = UserFiles(train="train.npz", test="test.npz")
NOT_SHIPPED = ("nmnist", "shd", "dvs-gesture")


def check_fit(one, dataset):
    """Check that every network of the case fits the input shape and the classes."""
    for training in one.trainings:
        model = parse_topology(one.recipe(training).topology)
        assert math.prod(model.input_shape) == math.prod(dataset.input_shape)
        assert model.populations[-1].size == len(dataset.classes)


def test_every_data_set_has_a_case_that_fits():
    assert tuple(CASES) == DATASETS
    for name, one in CASES.items():
        if name not in NOT_SHIPPED:
            check_fit(one, load_dataset(name))
    assert set(QUICK) < set(DEFAULT) == set(DATASETS) - set(NOT_SHIPPED)


def test_regimes_have_different_names_and_fit_their_data_set():
    StudyPlan(REGIMES, (0,))
    for one in REGIMES:
        check_fit(one, load_dataset(one.dataset, coding=one.coding))


def test_unlayered_recipes_differ_from_layered_only_in_the_policy():
    for one in (*CASES.values(), *REGIMES):
        layered = one.recipe("layered")
        for policy in ("random", "momentum", *(("fifo",) if one in REGIMES else ())):
            recipe = one.recipe(f"unlayered-{policy}")
            assert recipe.topology == layered.topology
            config = replace(recipe.config, policy="layer-sync", input=layered.config.input)
            assert config == layered.config
            assert recipe.config.input == one.input
        assert layered.config.input == "prioritised"


def test_only_the_network_for_all_orders_has_more_epochs_in_a_regime():
    for one in REGIMES:
        epochs = {training: one.recipe(training).config.epochs for training in one.trainings}
        assert epochs.pop("unlayered-any") == 96
        assert set(epochs.values()) == {24}


def test_layer_sync_has_more_weight_in_regimes_with_a_single_timestep():
    for one in REGIMES:
        (layer_sync, *others), weights = zip(
            *parse_run_modes(one.recipe("unlayered-any").config.modes), strict=True
        )
        assert (layer_sync.name, len(others)) == ("layer-sync", 12)
        assert weights == (4 if "-5-" in one.name else 16, *[1] * 12)


def test_quick_case_has_fewer_samples_and_epochs_but_the_same_networks():
    for name in QUICK:
        one = quick_case(CASES[name])
        samples = StudySamples(one, None).of_seed(1).dataset
        assert len(samples.split.train) <= 1200
        assert 0 < len(samples.test) <= 150
        for training, recipe in CASES[name].recipes.items():
            assert one.recipes[training].topology == recipe.topology
            assert one.recipes[training].config.epochs <= recipe.config.epochs
            assert one.recipes[training].config.shift == 0


def test_quick_case_raises_no_limit():
    for one in CASES.values():
        quick = quick_case(one)
        assert quick.encodings_per_image <= one.encodings_per_image
        assert quick.max_train <= (one.max_train or quick.max_train)
        assert quick.max_measured <= (one.max_measured or quick.max_measured)
    assert quick_case(CASES["dvs-gesture"]).max_measured == 100
    small = quick_case(case(USER_FILES, max_train=8, max_measured=4, encodings_per_image=1))
    assert (small.max_train, small.max_measured, small.encodings_per_image) == (8, 4, 1)


def test_quick_case_keeps_the_share_of_layered_epochs():
    base = case(USER_FILES)
    config = replace(base.recipes["layered"].config, epochs=60, layered_epochs=15)
    recipe = replace(base.recipes["layered"], config=config)
    quick = quick_case(case(USER_FILES, recipes={"layered": recipe})).recipes["layered"].config
    assert (quick.epochs, quick.layered_epochs) == (16, 4)


def test_each_seed_of_a_small_data_set_has_another_fold():
    samples = StudySamples(CASES["braille"], None)
    parts = [set(samples.of_seed(seed).dataset.split.test.tolist()) for seed in range(6)]
    assert sum(map(len, parts[:5])) == len(set.union(*parts[:5])) == 918
    assert not set.union(*parts) & set(load_dataset("braille").split.test.tolist())
    assert parts[5] not in parts[:5], "the samples are shuffled again"
    unfolded = StudySamples(CASES["spoken-digits"], None)
    assert unfolded.of_seed(0).digest == unfolded.of_seed(1).digest


def test_user_topology_keeps_its_explicit_parameters():
    one = user_case(USER_FILES, "timestep_us=1000; input 4; a d3 v_threshold=0.7; output d2")
    for training, threshold in (("layered-paper", 0.3), ("layered", 1.0)):
        model = parse_topology(one.recipe(training).topology)
        assert [p.neuron.v_threshold for p in model.populations] == [0.7, threshold]


def test_case_without_test_samples_is_rejected(tmp_path):
    user_files = files(tmp_path)
    with pytest.raises(
        DatasetError, match="task: the data set has no validation samples or test samples"
    ):
        StudySamples(case(replace(user_files, test=None)), None).of_seed(0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "a/b"}, "`name` must consist of .*, got 'a/b'"),
        ({"recipes": {}}, r"task: `recipes` must be one or more of .*, got \[\]"),
        (
            {"recipes": {"layered": Recipe(NETWORK, replace(CONFIG, device="cuda"))}},
            r"task: recipes\['layered'\]\.config\.device must be 'auto' or 'cpu', because a study",
        ),
        (
            {"recipes": {"layered": Recipe(NETWORK, replace(CONFIG, group_size=4))}},
            r"task: recipes\['layered'\]\.config\.group_size must be 8, which the report",
        ),
        ({"grid": Grid(group_sizes=(1,))}, "task: `grid` must have .*, which the report shows"),
        ({"grid": Grid(inputs=("queued",))}, "task: `grid` must have .*, which the report shows"),
        ({"folds": 1}, "`folds` must be 0, or an integer of at least 2, got 1"),
        ({"folds": -1}, "`folds` must be an integer of at least 0, got -1"),
        ({"max_train": 0}, "`max_train` must be an integer of at least 1, got 0"),
        ({"max_measured": 2.5}, "`max_measured` must be an integer of at least 1, got 2.5"),
        ({"encodings_per_image": 0}, "`encodings_per_image` must be an integer of at least 1"),
        ({"encodings_per_image": 2}, "task: `coding` and .* are for images, but `files` has ev"),
        ({"coding": "latency"}, "task: `coding` and .* are for images, but `files` has events"),
    ],
)
def test_case_that_the_report_cannot_show_is_rejected(changes, message):
    with pytest.raises(ValueError, match=message):
        case(USER_FILES, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": 3}, "`name` must be a str, got int"),
        ({"recipes": None}, "`recipes` must be a Mapping, got NoneType"),
        ({"recipes": {"layered": NETWORK}}, r"`recipes\['layered'\]` must be a Recipe, got str"),
        ({"grid": (8,)}, "`grid` must be a Grid, got tuple"),
        ({"files": "train.npz"}, "`files` must be a UserFiles, got str"),
    ],
)
def test_fields_of_other_types_are_rejected(changes, message):
    with pytest.raises(TypeError, match=f"^{message}$"):
        case(USER_FILES, **changes)


@pytest.mark.parametrize(
    ("field", "values", "message"),
    [
        (
            "group_sizes",
            (8, 8),
            r"`group_sizes` must have one or more different entries, got \[8, 8",
        ),
        ("policies", (), r"`policies` must have one or more different entries, got \[\]"),
        ("inputs", ("first",), "`input` must be 'prioritised' or 'queued', got 'first'"),
        ("group_sizes", (0,), "`group_size` must be an integer of at least 1, got 0"),
    ],
)
def test_grid_of_other_modes_is_rejected(field, values, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        Grid(**{field: values})
    with pytest.raises(TypeError, match=f"^`{field}` must be a tuple, got 'random'$"):
        Grid(**{field: "random"})


def test_plain_forms_of_a_plan_are_the_same(tmp_path):
    expected = StudyPlan((case(USER_FILES),), (0, 1), str(tmp_path))
    sizes = Grid(group_sizes=[np.int64(size) for size in GRID.group_sizes])
    paths = UserFiles(**{part: Path(path) for part, path in asdict(USER_FILES).items() if path})
    given = StudyPlan([case(paths, grid=sizes)], iter(np.arange(2)), tmp_path)
    assert given == expected
    assert json.dumps(given.to_json()) == json.dumps(expected.to_json())
    with pytest.raises(TypeError, match=r"^`cases\[0\]` must be a Case, got str$"):
        StudyPlan(["digits"], (0,))
    with pytest.raises(TypeError, match=r"^`seeds` must be a tuple, got 3$"):
        StudyPlan((case(USER_FILES),), 3)
    with pytest.raises(
        ValueError, match=r"^`seed` must be an integer from 0 to 2\*\*64 - 1, got -1$"
    ):
        StudyPlan((case(USER_FILES),), (-1,))


def test_duplicate_cases_and_seeds_are_rejected():
    with pytest.raises(
        ValueError,
        match=r"^`cases` must have one or more different entries, got \['task', 'task'\]",
    ):
        StudyPlan((case(USER_FILES), case(USER_FILES)), (0,))
    with pytest.raises(
        ValueError, match=r"^`seeds` must have one or more different entries, got \[1, 1\]"
    ):
        StudyPlan((case(USER_FILES),), (1, 1))


def test_more_seeds_than_folds_are_rejected():
    message = "^`seeds` must have at most 2 entries, one for each fold of task, got 3$"
    with pytest.raises(ValueError, match=message):
        StudyPlan((case(USER_FILES, folds=2),), (0, 1, 2))
    StudyPlan((case(USER_FILES, folds=2),), (0, 1))
    StudyPlan((case(USER_FILES),), (0, 1, 2))


def test_layered_network_is_shown_with_the_input_of_its_case():
    one = case(USER_FILES, input="queued")
    assert one.trained_mode("layered") == Mode("layer-sync", 8, "prioritised")
    assert one.shown_mode("layered", 1) == Mode("layer-sync", 1, "queued")
    for training in ("unlayered-random", "unlayered-momentum"):
        assert one.shown_mode(training) == one.trained_mode(training)
        assert one.shown_mode(training).input == "queued"


def test_invalid_mode_is_rejected():
    with pytest.raises(ValueError, match="best"):
        Mode("best", 8, "queued")
    with pytest.raises(ValueError, match="group_size"):
        Mode("random", 0, "queued")
    assert len(list(GRID)) == len(GRID) == 16
