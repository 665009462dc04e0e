"""Write the tables of ``docs/results/variants.md``: networks that differ from those of the study.

::

    python -m tools.variants STUDY OUT --data DIR

STUDY is the output folder of the study that ``docs/results/study.md`` names. Results are stored in
the folder OUT, one file for each network, and a network with a file is not measured again: use a
new folder after a change of the variants below.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from neuroasync.core.formats.atomic_write import atomic_file
from neuroasync.metrics.mean import Mean
from neuroasync.metrics.orders.mode_comparison import compare_modes
from neuroasync.study.design.builtin_cases import CASES
from neuroasync.study.design.stop_rules import ONE_POINT
from neuroasync.study.report.number_format import counted, percent, points
from neuroasync.study.results.output_folder import StudyError
from neuroasync.study.run.samples import StudySamples
from neuroasync.train.recipes import RECIPES, VOTING, Recipe, Training, recipes_for_topology
from neuroasync.train.recipes.training import train_dataset
from tools.learned_orders.measure import Subject, read_subject
from tools.learned_orders.stops import Moments, built_in, quiet
from tools.result_pages import PAGES, TITLES, Rows, with_rows

PAGE: Final = PAGES / "variants.md"
SEEDS: Final = (0, 1, 2)

_ORDERS: Final = ("layer-sync", "random", "fifo")
_COMPARED: Final[tuple[Training, ...]] = ("layered", "unlayered-any")
_TARGETS: Final = {
    "digits": (3.0, 2.0),
    "nmnist-small": (3.0, 2.0),
    "mnist": (2.0,),
    "fashion-mnist": (3.0,),
}
"""Targets of the spike penalty, by case."""
_EPOCHS: Final[Mapping[Training, tuple[float, str]]] = {
    "layered": (2, "twice the epochs"),
    "unlayered-random": (2, "twice the epochs"),
    "unlayered-momentum": (2, "twice the epochs"),
    "unlayered-any": (0.5, "half the epochs"),
}
"""Factor of the epochs, and what the variant is called, by training."""
_MODES: Final = "layer-sync; random,momentum,fifo F=1,8,32 prioritised,queued"
"""The run modes of the study, layer-sync first."""
_NEURONS: Final = f"decay=0.9 v_threshold=1.0 {VOTING}"
_POPULATIONS: Final = "conv1 c8k5s2; conv2 c16k3s2; hidden d64; output d10"
_CONVOLUTIONS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "mnist": (
        f"timestep_us=1000 {_NEURONS}; input 1x28x28; {_POPULATIONS}",
        {"epochs": 32, "lr": 6e-3},
    ),
    "nmnist-small": (
        f"timestep_us=20000 {_NEURONS}; input 2x34x34; {_POPULATIONS}",
        {"lr": 4e-3},
    ),
}
"""Topology text of the network with convolutions, and changes of the training, by case."""

Results: TypeAlias = Sequence[Mapping[str, Any]]
"""The results of the seeds of a network."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A network of the study, or one that differs from it.

    Attributes:
        case: Case of the study.
        training: How the network is trained.
        label: What differs; empty for a network of the study.
        recipe: Its recipe; None for a network of the study.
    """

    case: str
    training: Training
    label: str = ""
    recipe: Recipe | None = None

    def path(self, folder: Path, seed: int) -> Path:
        """Return the file with the results of a seed."""
        label = self.label.replace(" ", "-") or "study"
        return folder / f"{self.case}-{self.training}-{label}-{seed}.json"

    def results(self, folder: Path) -> Results:
        """Return the results of all seeds."""
        paths = [self.path(folder, seed) for seed in SEEDS]
        return [json.loads(path.read_text("utf-8")) for path in paths]


def sparser(case: str) -> Iterator[list[Variant]]:
    """Yield the networks that are compared for each target, those of the study first."""
    yield [Variant(case, training) for training in _COMPARED]
    for target in _TARGETS[case]:
        group = []
        for training in _COMPARED:
            recipe = RECIPES[case][training].with_training(penalty_target=target)
            group.append(Variant(case, training, f"target {target:g}", recipe))
        yield group


def trained_otherwise(case: str) -> Iterator[Variant]:
    """Yield the networks of the study, each followed by one with more or fewer epochs."""
    for training, (factor, label) in _EPOCHS.items():
        recipe = RECIPES[case][training]
        yield Variant(case, training)
        changed = recipe.with_training(epochs=round(factor * recipe.config.epochs))
        yield Variant(case, training, label, changed)


def convolutional(case: str) -> list[Variant]:
    """Return the dense network of the study and the one with convolutions."""
    topology, changes = _CONVOLUTIONS[case]
    config = replace(RECIPES[case]["layered"].config, **changes)
    recipe = recipes_for_topology(topology, config)["layered"]
    return [Variant(case, "layered"), Variant(case, "layered", "convolutions", recipe)]


def measure(variant: Variant, study: Path, seed: int, data: str) -> dict[str, Any]:
    """Measure a network on held-out samples, after training it if it is not one of the study.

    The result has the accuracy in each run mode until quiet. It also has the accuracy, rounds and
    spikes in each order, both until quiet and with the stop rule that takes the fewest rounds on
    validation samples, among those that lose at most one point there.
    """
    subject = read_subject(study, variant.case, variant.training, seed, data)
    if variant.recipe is not None:
        dataset = StudySamples(CASES[variant.case], data).of_seed(seed).dataset
        recipe = variant.recipe.with_training(seed=seed)
        bundle = train_dataset(dataset, recipe, name=variant.training)
        subject = replace(subject, bundle=bundle)
    return {
        "validation": subject.bundle.meta["validation_accuracy"],
        "parameters": subject.bundle.meta["parameters"],
        "orders": {order: _order(subject, order) for order in _ORDERS},
        "modes": _accuracies(subject),
    }


def _accuracies(subject: Subject) -> list[float | None]:
    """Return the accuracy on held-out samples in each run mode."""
    compared = compare_modes(subject.bundle, subject.test, _MODES, seed=subject.seed)
    return [run.summary.accuracy for run in compared.runs]


def _order(subject: Subject, order: str) -> dict[str, Any]:
    validation, test = subject.recordings(order)
    known, held = Moments([validation]), Moments([test])
    rows = np.arange(len(held))
    early = built_in(known, np.arange(len(known)), ONE_POINT)
    return {
        "quiet": held.outcome(quiet(held), rows)._asdict(),
        "early": held.outcome(early(held), rows)._asdict(),
    }


def sparse_rows(folder: Path) -> Rows:
    """Yield the early answers of each network, relative to ``layered`` under layer-sync.

    The shares are those of the network of the study, and of the one with the same target.
    """
    for case in _TARGETS:
        study: Results = ()
        for group in sparser(case):
            layered = group[0].results(folder)
            study = study or layered
            for variant in group:
                results = variant.results(folder)
                orders = ("layer-sync",) if variant.training == "layered" else ("random", "fifo")
                for order in orders:
                    yield _sparse_row(variant, order, results, layered, study)


def _sparse_row(
    variant: Variant, order: str, results: Results, layered: Results, study: Results
) -> list[str]:
    early, same, first = (
        [result["orders"][name]["early"] for result in each]
        for each, name in ((results, order), (layered, "layer-sync"), (study, "layer-sync"))
    )
    change = [one["accuracy"] - other["accuracy"] for one, other in zip(early, first, strict=True)]
    shares = [
        "" if early == whole else f"{_share(early, whole, column):.0f}"
        for whole in (first, same)
        for column in ("rounds", "spikes")
    ]
    return [
        TITLES[variant.case],
        variant.label or "study",
        f"`{variant.training}`, {order}",
        percent(Mean.of(one["accuracy"] for one in early)),
        "" if early == first else points(Mean.of(change)),
        *(counted(Mean.of(one[column] for one in early)) for column in ("rounds", "spikes")),
        *shares,
    ]


def _share(part: Results, whole: Results, column: str) -> float:
    """Return the ratio of two means in percent."""
    return 100 * sum(one[column] for one in part) / sum(one[column] for one in whole)


def time_rows(folder: Path) -> Rows:
    """Yield the accuracy over all run modes, and that under layer-sync, until quiet."""
    for case in TITLES:
        study: Results = ()
        for variant in trained_otherwise(case):
            results = variant.results(folder)
            study = study or results
            over_modes = np.mean([result["modes"] for result in results], axis=0)
            layered = [[result["modes"][0] for result in each] for each in (results, study)]
            change = [one - other for one, other in zip(*layered, strict=True)]
            spikes = [result["orders"]["layer-sync"]["quiet"]["spikes"] for result in results]
            yield [
                TITLES[case],
                f"`{variant.training}`{', ' if variant.label else ''}{variant.label}",
                f"{100 * over_modes.mean():.1f}",
                f"{100 * over_modes.min():.1f}",
                percent(Mean.of(layered[0])),
                "" if results is study else points(Mean.of(change)),
                counted(Mean.of(spikes)),
            ]


def convolution_rows(folder: Path) -> Rows:
    """Yield the accuracy of dense networks and of networks with convolutions, until quiet."""
    for case in _CONVOLUTIONS:
        for variant in convolutional(case):
            results = variant.results(folder)
            quiet_runs = {
                order: [result["orders"][order]["quiet"] for result in results] for order in _ORDERS
            }
            yield [
                TITLES[case],
                variant.label or "dense, study",
                f"{results[0]['parameters']:,}",
                percent(Mean.of(result["validation"] for result in results)),
                *(
                    percent(Mean.of(run["accuracy"] for run in runs))
                    for runs in quiet_runs.values()
                ),
                counted(Mean.of(run["spikes"] for run in quiet_runs["layer-sync"])),
            ]


def main() -> None:
    """Measure what is missing, and write the tables into the page."""
    parser = argparse.ArgumentParser("python -m tools.variants")
    parser.add_argument("study", type=Path, metavar="STUDY", help="output folder of the study")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the results")
    parser.add_argument("--data", required=True, metavar="DIR", help="folder of the data sets")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    groups = [group for case in _TARGETS for group in sparser(case)]
    groups += [list(trained_otherwise(case)) for case in TITLES]
    groups += [convolutional(case) for case in _CONVOLUTIONS]
    for variant in (variant for group in groups for variant in group):
        for seed in SEEDS:
            path = variant.path(args.out, seed)
            if not path.exists():
                measured = measure(variant, args.study, seed, args.data)
                with atomic_file(path, StudyError) as file:
                    file.write(json.dumps(measured, indent=1).encode())
    tables = {"sparser": sparse_rows, "time": time_rows, "convolutions": convolution_rows}
    page = PAGE.read_text("utf-8")
    for name, rows in tables.items():
        page = with_rows(page, name, rows(args.out))
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
