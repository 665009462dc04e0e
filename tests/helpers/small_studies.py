"""A study that takes seconds: a task of four classes in user data files."""

from pathlib import Path

import numpy as np

from neuroasync import SpikeTrain, SpikeTrains, write_spikes
from neuroasync.datasets.user_data import UserFiles
from neuroasync.study import Case, Grid, StudyPlan
from neuroasync.train import TrainConfig
from neuroasync.train.recipes import recipes_of

NETWORK = "timestep_us=1000 decay={} v_threshold={}; input 12; hidden1 d10; hidden2 d10; output d4"
CONFIG = TrainConfig(
    epochs=2, batch_size=16, lr=0.02, policy="layer-sync", init_rate=0.2, device="cpu"
)
GRID = Grid(group_sizes=(1, 8))


def task(samples: int, seed: int) -> SpikeTrains:
    """Create samples whose label is the busiest quarter of the inputs, over 4 timesteps."""
    rng = np.random.default_rng(seed)
    labels = np.arange(samples) % 4
    trains = []
    for label in labels:
        rate = np.full(12, 0.15)
        rate[3 * label : 3 * label + 3] = 0.8
        t, index = np.nonzero(rng.random((4, 12)) < rate)
        trains.append(SpikeTrain(t * 1000, index))
    return SpikeTrains.from_trains(trains, (12,), labels)


def files(folder: Path, seed: int = 0) -> UserFiles:
    """Write spike files of the task into ``folder``."""
    paths = {}
    for k, (part, samples) in enumerate({"train": 40, "validation": 12, "test": 12}.items()):
        paths[part] = str(folder / f"{part}.npz")
        write_spikes(task(samples, 10 * seed + k), paths[part])
    return UserFiles(**paths)


def case(user_files: UserFiles, **changes) -> Case:
    """Return a case with tiny networks, with some fields replaced."""
    recipes = recipes_of(NETWORK.format(0.0, 0.3), NETWORK.format(0.9, 1.0), CONFIG)
    fields = {
        "name": "task",
        "dataset": "own",
        "recipes": recipes,
        "grid": GRID,
        "files": user_files,
    }
    return Case(**fields | changes)


def plan(user_files: UserFiles, seeds=(0, 1), **changes) -> StudyPlan:
    """Return a study plan of one such case."""
    return StudyPlan((case(user_files, **changes),), seeds)


def results_of(folder: Path) -> dict[str, bytes]:
    """Return the files that are the same, to the byte, in two runs of a study."""
    names = ["results.json", "report.md", "report.html"]
    names += [f"bundles/{path.name}" for path in (folder / "bundles").iterdir()]
    names += [f"recordings/{path.name}" for path in (folder / "recordings").iterdir()]
    return {name: (folder / name).read_bytes() for name in names}
