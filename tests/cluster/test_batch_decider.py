"""Rows of a Ray dataset are decided as samples of a data set on one machine."""

import asyncio
import gc

import numpy as np
import pytest

import neuroasync as na
from tests.helpers.small_networks import chain

pytest.importorskip("ray", reason="needs ray: pip install 'neuroasync[ray]'")

import ray.data

from neuroasync.cluster import BatchDecider

# Ray Data warns of the defaults of its own settings.
pytestmark = pytest.mark.filterwarnings(r"ignore::DeprecationWarning:ray\.")

BUNDLE = chain()
OPTIONS = {"until": "margin(1)", "group_size": 3}


def samples(size):
    """Return random samples for ``BUNDLE``; some are empty, and some have values."""
    rng = np.random.default_rng(1)
    inputs = BUNDLE.model.input_size
    return [
        na.SpikeTrain(
            np.sort(rng.integers(0, 8000, n)),
            rng.integers(0, inputs, n),
            rng.random(n, np.float32) if n % 2 else None,
        )
        for n in rng.integers(0, 60, size) * rng.integers(0, 2, size)
    ]


def rows_of(trains):
    """Return the rows of a dataset."""
    return [
        {"number": k, "t_us": train.t_us, "index": train.index, "value": train.value}
        for k, train in enumerate(trains)
    ]


def batch_of(rows):
    """Return a batch, as Ray passes it to a function."""
    names = ("t_us", "index", "value")
    columns = {name: np.array([None, *(row[name] for row in rows)], object)[1:] for name in names}
    return {"number": np.array([row["number"] for row in rows], np.int64), **columns}


def decisions_of(trains, **arguments):
    """Return what a network on this machine decides, as rows."""

    async def decide():
        async with na.Network(BUNDLE, **OPTIONS) as network:
            return await network.decide_all(trains, **arguments)

    return [
        {
            "decided_label": -1 if d.label is None else d.label,
            "votes": d.votes.tolist(),
            "stopped": d.stopped,
            "spikes": d.total_spikes,
            "steps": d.steps,
            "rounds": d.rounds,
        }
        for d in asyncio.run(decide())
    ]


def plain(row, names):
    """Return some columns of a row, with lists in the place of arrays."""
    return {name: np.asarray(row[name]).tolist() for name in names}


@pytest.fixture
def quiet_data():
    """Ray Data without progress bars, and with rows in order."""
    context = ray.data.DataContext.get_current()
    before = context.enable_progress_bars, context.execution_options.preserve_order
    context.enable_progress_bars, context.execution_options.preserve_order = False, True
    yield
    context.enable_progress_bars, context.execution_options.preserve_order = before


def test_rows_of_a_dataset_are_decided_as_on_one_machine(cluster, quiet_data):
    trains = samples(60)
    expected = decisions_of(trains, seed=5)
    dataset = ray.data.from_items(rows_of(trains), override_num_blocks=7)
    decided = dataset.map_batches(
        BatchDecider(na.Network(BUNDLE, **OPTIONS), seed=5), batch_size=11
    )
    found = decided.take_all()
    assert [row["number"] for row in found] == list(range(60))
    assert [plain(row, expected[0]) for row in found] == expected
    assert len({row["decided_label"] for row in found}) > 2


def test_actors_decide_as_on_one_machine(cluster, quiet_data):
    trains = samples(20)
    dataset = ray.data.from_items(rows_of(trains), override_num_blocks=4)
    decided = dataset.map_batches(
        BatchDecider,
        fn_constructor_args=(na.Network(BUNDLE, **OPTIONS),),
        fn_constructor_kwargs={"seed": 5},
        compute=ray.data.ActorPoolStrategy(size=1),
    )
    expected = decisions_of(trains, seed=5)
    assert [plain(row, expected[0]) for row in decided.take_all()] == expected


def test_decisions_depend_on_the_number_and_not_on_the_place(cluster):
    trains = samples(30)
    decide = BatchDecider(na.Network(BUNDLE, seed=8, **OPTIONS), duration_us="9ms")
    expected = decisions_of(trains, seed=8, duration_us="9ms")
    order = np.random.default_rng(0).permutation(30)[:20]
    rows = rows_of(trains)
    found = decide(batch_of([rows[k] for k in order]))
    names = list(expected[0])
    for at, k in enumerate(order):
        assert plain({name: found[name][at] for name in names}, names) == expected[k]


async def test_a_batch_is_decided_in_a_running_loop_as_in_a_notebook(cluster):
    decide = BatchDecider(na.Network(BUNDLE))
    batch = batch_of(rows_of(samples(3)))
    frozen = gc.get_freeze_count()
    alone = await asyncio.to_thread(decide, batch)
    assert decide(batch)["votes"].tolist() == alone["votes"].tolist()
    assert gc.get_freeze_count() == frozen  # only objects of workers are frozen


def test_a_batch_without_rows_has_all_columns(cluster):
    found = BatchDecider(na.Network(BUNDLE))(batch_of([]))
    assert found["votes"].shape == (0, 4)
    assert found["decided_label"].dtype == np.int64


def test_bad_batches_are_named_in_the_error(cluster):
    decide = BatchDecider(na.Network(BUNDLE))
    batch = batch_of(rows_of(samples(3)))
    with pytest.raises(TypeError, match=r"got list; use batch_format='numpy'"):
        decide([batch])
    without = {name: batch[name] for name in ("number", "t_us")}
    with pytest.raises(na.EventsError, match=r"has no index; it has number, t_us$"):
        decide(without)
    with pytest.raises(na.EventsError, match=r"has a column votes, which the decisions would over"):
        decide(batch | {"votes": np.zeros(3)})
    for numbers in (np.arange(3.0), np.array([0, None, 2]), np.zeros((3, 1), int), ["a", "b", "c"]):
        with pytest.raises(
            na.EventsError, match=r"^`number` must have one integer per sample, wit"
        ):
            decide(batch | {"number": numbers})
    with pytest.raises(na.EventsError, match=r"^`number` must be at least 0, got -1$"):
        decide(batch | {"number": np.arange(-1, 2)})
    for name in ("t_us", "index", "value"):
        with pytest.raises(
            na.EventsError, match=rf"^`{name}` must be of the same .* \(3\), got 2 ent"
        ):
            decide(batch | {name: batch[name][:2]})
    with pytest.raises(na.EventsError, match=r"^`value` must be one-dimensional numbers"):
        decide(batch | {"value": np.array(["x", None, None], object)})


def test_columns_may_be_lists(cluster):
    rows, decide = rows_of(samples(3)), BatchDecider(na.Network(BUNDLE))
    lists = {name: [row[name] for row in rows] for name in rows[0]}
    assert decide(lists)["votes"].tolist() == decide(batch_of(rows))["votes"].tolist()
    assert decide({name: [] for name in lists})["votes"].shape == (0, 4)


def test_an_error_names_the_sample(cluster):
    batch = batch_of([{"number": 40, "t_us": np.array([5]), "index": [99], "value": None}])
    with pytest.raises(na.EventsError) as error:
        BatchDecider(na.Network(BUNDLE))(batch)
    assert error.value.__notes__ == ["in sample 40"]


async def test_arguments_are_checked(cluster):
    with pytest.raises(TypeError, match="`network` must be a Network, got Bundle"):
        BatchDecider(BUNDLE)
    with pytest.raises(ValueError, match="`seed` must be"):
        BatchDecider(na.Network(BUNDLE), seed=-1)
    async with na.Network(BUNDLE) as network:
        with pytest.raises(TypeError, match=r"an open network .* cannot be pickled"):
            BatchDecider(network)
