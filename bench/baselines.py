"""How accurate are other models on the samples of the study?

The study compares trainings of spiking networks with each other. This benchmark gives the absolute
scale: models of other libraries, on the same training, validation and held-out samples of each
seed.

- ``linear``: logistic regression on the square root of the number of events of each input
  (scikit-learn).
- ``perceptron``: three hidden layers of 64 rectified units, on the same numbers (scikit-learn).
- ``snntorch``: leaky neurons in three hidden layers of 64, layer by layer, on the events of each
  timestep (snnTorch, with its default reset). It trains for as many epochs as the recipe of the
  data set, with the same batch size.

Each has a few settings. The setting with the highest accuracy on the validation samples of the
first seed is used for all seeds (the first one of several). Held-out samples are only used with
the chosen setting. A library that is not installed is left out.

If the recipe shifts the training samples, each setting is tried without shifts and with shifts as
large: on the samples and four shifted copies of each (scikit-learn), or on samples that are shifted
anew in each epoch (snnTorch).

::

    python -m bench.baselines [DATASET]... [--data DIR] [--seeds N] [--json]
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.environment import describe
from bench.snntorch_classifier import Task, random_seeds, train_snntorch
from neuroasync import SpikeTrains, parse_topology
from neuroasync.datasets import Dataset
from neuroasync.datasets.dataset import join
from neuroasync.study.design.builtin_cases import CASES
from neuroasync.study.design.case import Case
from neuroasync.study.run.samples import StudySamples
from neuroasync.train.augmentation import Augmentation, Shift

__all__ = ["Result", "main", "measure"]

_DATASETS: Final = ("digits", "nmnist-small", "spoken-digits", "mnist", "fashion-mnist", "braille")

_COPIES: Final = 4
"""Shifted copies of each training sample for a model of scikit-learn."""
# Both limits are so high that each training ends because it has converged.
_LINEAR_ITERATIONS: Final = 10_000
_PERCEPTRON_EPOCHS: Final = 4_000

Predict: TypeAlias = Callable[[SpikeTrains], tuple[NDArray[np.int64], float | None]]
"""Return the label of each sample, and the mean number of hidden spikes if the model has some."""

Train: TypeAlias = Callable[[Dataset, int], Predict]
"""Train on the training samples of a data set with a seed."""


@dataclass(frozen=True, slots=True)
class Result:
    """The accuracy of a baseline on one data set.

    Attributes:
        dataset: Name of the data set.
        baseline: Name of the baseline.
        setting: Chosen setting, and the number of settings in parentheses.
        accuracy: Accuracy on the held-out samples of each seed.
        hidden_spikes: Mean number of hidden spikes per held-out sample of each seed; None if the
            model does not spike.
    """

    dataset: str
    baseline: str
    setting: str
    accuracy: list[float]
    hidden_spikes: list[float] | None


def features(samples: SpikeTrains) -> NDArray[np.float64]:
    """Return the square root of the number of events of each input, f64[samples, inputs].

    The square root gives all counts about the same variance.
    """
    inputs = int(np.prod(samples.shape))
    sample = np.repeat(np.arange(len(samples)), np.diff(samples.offsets))
    flat = np.bincount(sample * inputs + samples.index, minlength=len(samples) * inputs)
    return np.sqrt(flat.reshape(len(samples), inputs))


def with_copies(samples: SpikeTrains, augmentation: Augmentation, seed: int) -> SpikeTrains:
    """Return the samples, followed by four changed copies of all of them."""
    generator = np.random.default_rng(seed)
    seeds = [random_seeds(generator, len(samples)) for _ in range(_COPIES)]
    return join([samples, *(augmentation(samples, each) for each in seeds)])


def _on_counts(make: Callable[[int], Any], augmentation: Augmentation | None) -> Train:
    """Return the training of a classifier of scikit-learn on counts."""

    def train(dataset: Dataset, seed: int) -> Predict:
        samples = dataset.train
        if augmentation is not None:
            samples = with_copies(samples, augmentation, seed)
        model = make(seed).fit(features(samples), samples.labels)
        return lambda samples: (model.predict(features(samples)), None)

    return train


def _linear(augmentation: Augmentation | None) -> dict[str, Train]:
    from sklearn.linear_model import LogisticRegression

    def with_strength(strength: float) -> Train:
        return _on_counts(
            lambda _: LogisticRegression(C=strength, max_iter=_LINEAR_ITERATIONS), augmentation
        )

    return {f"C = {c:g}": with_strength(c) for c in (0.01, 0.1, 1.0, 10.0)}


def _perceptron(augmentation: Augmentation | None) -> dict[str, Train]:
    from sklearn.neural_network import MLPClassifier

    def with_decay(decay: float) -> Train:
        return _on_counts(
            lambda seed: MLPClassifier(
                (64, 64, 64), alpha=decay, max_iter=_PERCEPTRON_EPOCHS, random_state=seed
            ),
            augmentation,
        )

    return {f"alpha = {a:g}": with_decay(a) for a in (1e-4, 1e-2, 1.0)}


def _snntorch(case: Case, augmentation: Augmentation | None) -> dict[str, Train]:
    recipe = case.recipes["layered"]
    timestep_us = parse_topology(recipe.topology).timestep_us
    epochs, size = recipe.config.epochs, recipe.config.batch_size

    def with_setting(lr: float, beta: float) -> Train:
        task = Task(timestep_us, epochs, size, lr, beta, augmentation)
        return lambda dataset, seed: train_snntorch(dataset.train, task, seed)

    pairs = [(lr, beta) for lr in (1e-3, 4e-3) for beta in (0.9, 0.95)]
    return {f"lr = {lr:g}, beta = {beta:g}": with_setting(lr, beta) for lr, beta in pairs}


def _models(case: Case) -> dict[str, dict[str, Train]]:
    """Return the settings of each baseline."""
    cells = case.recipes["layered"].config.shift
    augmentations: dict[str, Augmentation | None] = {"": None}
    if cells:
        augmentations[f", shifts up to {cells}"] = Shift(cells)
    models: dict[str, dict[str, Train]] = {}
    for name, augmentation in augmentations.items():
        given = {"linear": _linear(augmentation), "perceptron": _perceptron(augmentation)}
        if find_spec("snntorch") is not None:
            given["snntorch"] = _snntorch(case, augmentation)
        for model, settings in given.items():
            named = {f"{setting}{name}": train for setting, train in settings.items()}
            models[model] = models.get(model, {}) | named
    return models


def measure(case: Case, data_dir: str | None, seeds: Sequence[int]) -> list[Result]:
    """Measure all baselines on a case of the study.

    Args:
        case: The case.
        data_dir: Folder of the data sets, or None for the data sets that ship.
        seeds: Seeds; each has the samples that the study gives to it.
    """
    samples = StudySamples(case, data_dir)
    results = []
    for name, settings in _models(case).items():
        first = samples.of_seed(seeds[0]).dataset
        trained = {setting: train(first, seeds[0]) for setting, train in settings.items()}
        chosen = max(trained, key=lambda setting: _score(trained[setting], first.validation)[0])
        models = {seeds[0]: trained[chosen]}
        scores = []
        for seed in seeds:
            dataset = samples.of_seed(seed).dataset
            model = models.get(seed) or settings[chosen](dataset, seed)
            scores.append(_score(model, dataset.test))
        spikes = [hidden for _, hidden in scores if hidden is not None]
        setting = f"{chosen} ({len(settings)})"
        accuracy = [right for right, _ in scores]
        results.append(Result(case.dataset, name, setting, accuracy, spikes or None))
        print(_line(results[-1]), file=sys.stderr)
    return results


def _score(predict: Predict, samples: SpikeTrains) -> tuple[float, float | None]:
    labels, hidden = predict(samples)
    return float((labels == samples.labels).mean()), hidden


def _line(result: Result) -> str:
    spikes = "-" if result.hidden_spikes is None else f"{np.mean(result.hidden_spikes):.0f}"
    return (
        f"| {result.dataset} | {result.baseline} | {_percent(result.accuracy)} | {spikes} | "
        f"{result.setting} |"
    )


def _percent(values: Sequence[float]) -> str:
    mean = 100 * statistics.fmean(values)
    if len(values) < 2:
        return f"{mean:.1f}"
    return f"{mean:.1f} ± {100 * statistics.stdev(values) / len(values) ** 0.5:.1f}"


def main(args: Sequence[str] | None = None) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.baselines", description=__doc__.splitlines()[0]
    )
    parser.add_argument("datasets", nargs="*", metavar="DATASET", default=list(_DATASETS))
    parser.add_argument("--data", metavar="DIR", help="folder of the data sets")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="use the seeds 0 to N-1")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(args)
    if unknown := [name for name in given.datasets if name not in CASES]:
        parser.error(f"{unknown[0]!r} is not one of {list(CASES)}")
    if given.seeds < 1:
        parser.error(f"--seeds must be at least 1, got {given.seeds}")
    results = [
        result
        for name in given.datasets
        for result in measure(CASES[name], given.data, range(given.seeds))
    ]
    if given.json:
        print(json.dumps({"environment": describe(), "results": [asdict(r) for r in results]}))
        return
    print("| data set | model | accuracy, % | hidden spikes | setting (of how many) |")
    print("| --- | --- | ---: | ---: | --- |")
    print(*map(_line, results), sep="\n")


if __name__ == "__main__":
    main()
