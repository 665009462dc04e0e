"""The two tasks of a study for each network: its training and its measurement.

An executor runs them in this process or on a worker of a cluster, so they depend on nothing but
their arguments and change nothing but the checkpoint.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from neuroasync.core.formats.bundle import Bundle
from neuroasync.study.design.case import StudyNetwork
from neuroasync.study.run.measurement import Measured, Subject, measure
from neuroasync.study.run.samples import SeedSamples
from neuroasync.study.run.versions import check_versions
from neuroasync.train.loop.results import BatchResult
from neuroasync.train.recipes.training import train_dataset

__all__ = ["OnShare", "measure_network", "train_network"]

OnShare: TypeAlias = Callable[[float, str], None]
"""Called with the share of a network that is done, 0 to 1, and a text for the current activity."""

_TRAINING_SHARE: Final = 0.7
"""Share of a network's time that its training takes, roughly."""


def train_network(
    network: StudyNetwork,
    versions: dict[str, str],
    checkpoint: Path | None,
    samples: SeedSamples,
    on_share: OnShare,
) -> Bundle:
    """Train a network on the CPU, from its checkpoint if there is one.

    Args:
        network: The network.
        versions: Versions of the packages that the study runs with.
        checkpoint: File that stores the state of the training; None to store nothing.
        samples: The samples of its seed.
        on_share: Called after each batch.

    Raises:
        StudyError: Other versions are installed here.
        ValueError: The network does not fit the samples.
        FloatingPointError: The training diverged.
    """
    check_versions(versions)
    recipe = network.recipe

    def on_batch(batch: BatchResult, epochs: int) -> None:
        share = (batch.epoch * batch.batches + batch.batch + 1) / (epochs * batch.batches)
        activity = f"{network.name}: training, accuracy {batch.accuracy:.0%}"
        on_share(_TRAINING_SHARE * share, activity)

    return train_dataset(
        samples.dataset,
        # Another device would round differently, and workers of a cluster have no GPU.
        recipe.with_training(seed=network.seed, device="cpu"),
        name=network.training,
        checkpoint=checkpoint,
        resume=checkpoint is not None and checkpoint.exists(),
        on_batch=on_batch,
        meta={
            "case": network.case.name,
            "samples_sha256": samples.digest,
            # Bundles describe the recipe of the study.
            "train.device": recipe.config.device,
        },
    )


def measure_network(subject: Subject, samples: SeedSamples, on_share: OnShare) -> Measured:
    """Measure a trained network.

    Args:
        subject: The network.
        samples: The samples of its seed.
        on_share: Called after each mode.

    Raises:
        StudyError: Other versions are installed here, two engines disagree, or a rule stops a
            sample elsewhere than computed.
        LimitError: A pass did not end, or the samples do not fit into a recording.
    """
    check_versions(subject.versions)

    def on_mode(done: int) -> None:
        share = _TRAINING_SHARE + (1 - _TRAINING_SHARE) * done / len(subject.network.case.grid)
        on_share(share, f"{subject.network.name}: running")

    return measure(subject, samples, on_mode)
