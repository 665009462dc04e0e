"""A cluster trains a network like one machine, whatever happens to its workers."""

import asyncio
import os
import signal
import threading

import numpy as np
import pytest

import neuroasync as na
from neuroasync.core.formats.bundle import dump_bundle
from neuroasync.datasets.user_data import user_dataset

pytest.importorskip("ray", reason="needs ray: pip install 'neuroasync[ray]'")
pytest.importorskip("torch", reason="needs torch: pip install 'neuroasync[train]'")

from itertools import product

import ray

from neuroasync.cluster import Cluster, ClusterError
from neuroasync.cluster import train_dataset as module
from neuroasync.train import CheckpointError, TrainingWarning
from neuroasync.train.recipes import recipes_for_topology
from neuroasync.train.recipes.training import train_dataset

DENSE = "timestep_us=1000; input 1x4x4; hidden d9; output d2"
CONVOLUTIONS = "timestep_us=1000; input 1x4x4; hidden c3k3; output d2"


def samples(size):
    """Return samples of two classes, which fire at the upper or lower half of the inputs."""
    rng = np.random.default_rng(size)
    labels = np.arange(size) % 2
    trains = []
    for label in labels:
        t, index = np.nonzero(rng.random((6, 16)) < np.where(np.arange(16) // 8 == label, 0.7, 0.1))
        trains.append(na.SpikeTrain(t * 1000, index))
    return na.SpikeTrains.from_trains(trains, (1, 4, 4), labels)


DATA = user_dataset("mine.npz", samples(70), validation=samples(23), timestep_us=1000, classes=2)


def recipe(topology=DENSE, training="unlayered-any", **changes):
    """Return a recipe that trains for three epochs, with a last batch of a few samples."""
    changes = {"epochs": 3, "layered_epochs": 1, "batch_size": 22, "device": "cpu", **changes}
    return recipes_for_topology(topology)[training].with_training(**changes)


def locally(chosen, **options):
    """Return the bytes of the bundle that this process trains."""
    return dump_bundle(train_dataset(DATA, chosen, name="mine", **options))


async def on(cluster, chosen, workers=2, **options):
    """Return the bytes of the bundle that a cluster trains."""
    bundle = await cluster.train_dataset(DATA, chosen, name="mine", workers=workers, **options)
    return dump_bundle(bundle)


def when_read(do):
    """Return entries of a bundle's meta, none at all, that call ``do`` when a worker reads them."""

    class Entries(dict):
        def __reduce__(self):
            return lambda: do() or {}, ()

    return Entries()


def wait_after(checkpoints):
    """Return a function that lets a worker save so many checkpoints, and then wait forever.

    Otherwise, a small network might be trained before the first batch is reported.
    """

    def prepare():
        from neuroasync.train import training_loop

        save, saved = training_loop.save_checkpoint, []

        def save_or_wait(*args):
            if len(saved) == checkpoints:
                threading.Event().wait()
            saved.append(args)
            save(*args)

        training_loop.save_checkpoint = save_or_wait

    return prepare


def test_two_workers_train_the_bundle_of_one_machine(cluster):
    chosen, reported, expected = recipe(penalty=1.0, penalty_target=0.0), [], []
    with pytest.warns(TrainingWarning, match="% of the loss in epoch 2") as warned:
        found = asyncio.run(on(cluster, chosen, on_batch=lambda *report: reported.append(report)))
    with pytest.warns(TrainingWarning) as alone:
        assert found == locally(chosen, on_batch=lambda *report: expected.append(report))
    assert [str(w.message) for w in warned] == [str(w.message) for w in alone]
    assert reported == expected
    assert len(reported) == 12


def test_convolutions_and_a_second_training_on_all_samples_are_those_of_one_machine(
    cluster, tmp_path
):
    chosen = recipe(CONVOLUTIONS, "layered", keep="best", epochs=2)
    options = {"all_data": True, "meta": {"by": "me"}}
    found = asyncio.run(on(cluster, chosen, checkpoint=tmp_path / "training", **options))
    assert found == locally(chosen, **options)
    assert {entry.name for entry in tmp_path.iterdir()} == {"training", "training.all"}


def test_a_killed_worker_changes_no_bit(cluster, tmp_path):
    pids, chosen, killed, batches = tmp_path / "pids", recipe(batch_size=16), [], []
    path, wait = str(pids), wait_after(1)

    def prepare():
        # Writes the processes of the workers, so that the test can kill one of them.
        with open(path, "a") as file:
            file.write(f"{os.getpid()}\n")
        if not os.path.exists(f"{path} killed"):
            wait()

    def kill(batch, epochs):
        batches.append((batch.epoch, batch.batch))
        if (batch.epoch, batch.batch) == (1, 3) and not killed:
            killed.extend(map(int, pids.read_text().split()))
            (tmp_path / "pids killed").touch()
            os.kill(killed[0], signal.SIGKILL)

    found = asyncio.run(on(cluster, chosen, meta=when_read(prepare), on_batch=kill))
    assert found == locally(chosen)
    assert len(set(killed) - {os.getpid()}) == 2
    assert set(batches) == set(product(range(3), range(5)))
    assert len(batches) > 15
    assert batches.count((0, 0)) == 1  # it went on from a checkpoint


def test_interrupted_training_ends_its_workers_and_can_be_resumed(cluster, tmp_path):
    chosen, path, epochs = recipe(), tmp_path / "training", set()

    def fail(batch, _):
        if batch.epoch == 1:
            raise ZeroDivisionError

    async def cancelled():
        training = asyncio.create_task(
            on(
                cluster, chosen, checkpoint=path, resume=True, meta=when_read(wait_after(0)),
                on_batch=lambda *_: training.cancel(),
            )
        )  # fmt: skip
        with pytest.raises(asyncio.CancelledError):
            await training
        assert asyncio.all_tasks() == {asyncio.current_task()}
        async with asyncio.timeout(30):
            while ray.available_resources().get("CPU", 0) < 2:
                await asyncio.sleep(0.05)  # Ray updates the report a few times a second

    options = {"checkpoint": path, "meta": when_read(wait_after(1)), "on_batch": fail}
    with pytest.raises(ZeroDivisionError):
        asyncio.run(on(cluster, chosen, workers=1, **options))
    asyncio.run(cancelled())
    assert [entry.name for entry in tmp_path.iterdir()] == ["training"]
    found = asyncio.run(
        on(
            cluster, chosen, workers=1, checkpoint=path, resume=True,
            on_batch=lambda batch, _: epochs.add(batch.epoch),
        )
    )  # fmt: skip
    assert epochs == {1, 2}
    assert found == locally(chosen)


def test_a_training_cancelled_while_it_writes_a_checkpoint_leaves_no_file(cluster, tmp_path):
    def write_forever():
        os.fsync = lambda _: threading.Event().wait()

    async def main():
        options = {"checkpoint": tmp_path / "training", "meta": when_read(write_forever)}
        training = asyncio.create_task(on(cluster, recipe(), workers=1, **options))
        async with asyncio.timeout(60):
            while not list(tmp_path.glob(".neuroasync-*.tmp")):
                await asyncio.sleep(0.02)  # The worker is another process, which writes here.
        training.cancel()
        with pytest.raises(asyncio.CancelledError):
            await training

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []


def test_a_worker_killed_while_it_writes_a_checkpoint_leaves_no_file(cluster, tmp_path):
    killed, path = tmp_path / "killed", tmp_path / "checkpoints" / "training"
    path.parent.mkdir()
    chosen = recipe()

    def die_once(handle, sync=os.fsync):
        if not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        sync(handle)

    def prepare():
        os.fsync = die_once

    meta = when_read(prepare)
    found = asyncio.run(on(cluster, chosen, workers=1, checkpoint=path, meta=meta))
    assert killed.exists()
    assert [entry.name for entry in path.parent.iterdir()] == ["training"]
    assert found == locally(chosen)


def test_a_checkpoint_of_another_training_is_the_error_of_one_machine(cluster, tmp_path):
    path = tmp_path / "training"
    locally(recipe(epochs=1), checkpoint=path)
    with pytest.raises(CheckpointError, match="its epochs is 1, this one has 2") as alone:
        locally(recipe(epochs=2), checkpoint=path, resume=True)
    with pytest.raises(CheckpointError) as error:
        asyncio.run(on(cluster, recipe(epochs=2), workers=1, checkpoint=path, resume=True))
    assert str(error.value) == str(alone.value)


def test_workers_that_die_each_time_are_an_error(cluster, monkeypatch):
    monkeypatch.setattr(module, "_MAX_LOSSES", 0)
    with pytest.raises(ClusterError, match=r"Ray could not run a task: .*died"):
        asyncio.run(on(cluster, recipe(), workers=1, meta=when_read(lambda: os._exit(1))))


def test_arguments_are_checked_before_a_worker_starts(cluster):
    for workers in (0, 9, "two"):
        with pytest.raises(ValueError, match="`workers` must be an integer from 1 to 8, got"):
            asyncio.run(on(cluster, recipe(), workers=workers))
    with pytest.raises(ValueError, match="at most 2, the CPUs of the cluster, got 3"):
        asyncio.run(on(cluster, recipe(), workers=3))
    with pytest.raises(ValueError, match="`resume=True` needs a `checkpoint`"):
        asyncio.run(on(cluster, recipe(), resume=True))
    with pytest.raises(ValueError, match="`on_batch` must be a function, got 3"):
        asyncio.run(on(cluster, recipe(), on_batch=3))
    with pytest.raises(na.ClosedError, match="use it inside `with`"):
        asyncio.run(on(Cluster(), recipe()))
