"""Export a trained network as a bundle, with a description of its training and golden samples."""

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import torch

from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.core.formats.bundle import Bundle, GoldenSample, Scalar
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.core.model.topology import parse_topology, same_topology
from neuroasync.core.recording.recording import rows_digest
from neuroasync.train.batch import make_batch
from neuroasync.train.event_record import EventRecordRunner
from neuroasync.train.loop.results import Fit

__all__ = ["export_bundle"]


def export_bundle(
    fit: Fit,
    samples: SpikeTrains,
    *,
    golden: int = 3,
    classes: Sequence[str] | None = None,
    topology: str | None = None,
    meta: Mapping[str, Scalar] | None = None,
) -> Bundle:
    """Return a bundle of a finished training.

    Args:
        fit: The finished training.
        samples: The first ``golden`` of these become golden samples: the bundle holds their
            decisions and a digest of their spikes, computed by the runtime's compiled engine
            under the order that the network was trained for.
        golden: Number of golden samples.
        classes: Distinct names of the classes, one per output neuron.
        topology: Topology text that the network was made from, stored in the meta as
            ``topology``.
        meta: Additional entries, for example data set and licence. They override the entries
            that describe the training.

    Raises:
        BundleError: The classes, samples or meta do not fit the network or the format.
        ModelError: ``topology`` cannot be parsed.
        ValueError: ``topology`` describes another network.
    """
    description: dict[str, Scalar] = {f"train.{k}": v for k, v in fit.config.to_dict().items()}
    description |= {
        "method": "surrogate gradients through the forward steps, peak rule",
        "neuroasync": _version(),
        "numpy": np.__version__,
        "torch": str(torch.__version__),
        "parameters": fit.model.parameters,
    }
    if topology is not None:
        if not same_topology(parse_topology(topology), fit.model):
            raise ValueError(
                "`topology` must describe the trained network, but it describes another one"
            )
        description["topology"] = topology
    if fit.history:
        last = fit.history[-1]
        description |= {
            "train_loss": last.loss,
            "train_accuracy": last.accuracy,
            "train_spikes_per_sample": last.spikes,
            "validation_accuracy": last.validation_accuracy,
            "validation_spikes_per_sample": last.validation_spikes,
        }
    return Bundle(
        fit.model,
        None if classes is None else tuple(classes),
        fit.config.policy_spec,
        _golden_samples(fit, samples, min(golden, len(samples))),
        description | dict(meta or {}),
    )


def _version() -> str | None:
    try:
        return version("neuroasync")
    except PackageNotFoundError:  # The package runs from a source tree that is not installed.
        return None


def _golden_samples(fit: Fit, samples: SpikeTrains, n: int) -> tuple[GoldenSample, ...]:
    """Return the first ``n`` samples with their decisions and spike digests."""
    # Golden samples end with the bin of their last event, even if training used a duration.
    recorder = EventRecordRunner(fit.model, threads=1)
    seeds = [sample_seed(fit.config.seed, i) for i in range(n)]
    batch = make_batch(fit.model, samples, range(n), seeds)
    weights = recorder.packed.arrays.weights
    record = recorder.run(weights, batch, fit.config.run_settings, keep=False)
    return tuple(
        GoldenSample(
            samples[i],
            fit.config.policy_spec,
            seeds[i],
            None if (label := int(record.labels[i])) < 0 else label,
            rows_digest(rows),
        )
        for i, rows in enumerate(record.rows())
    )
