"""Export a trained network as a bundle, with a description of its training and golden samples."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import torch

from neuroasync.core.durations import Duration, optional_microseconds
from neuroasync.core.engine.policies import policy_name
from neuroasync.core.engine.run_settings import RunSettings, check_seed
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.bundle import (
    Bundle,
    GoldenSample,
    PolicySpec,
    Scalar,
    VoteWindow,
)
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.core.model.checks import check_int
from neuroasync.core.model.model import Model
from neuroasync.core.model.topology import parse_topology, same_topology
from neuroasync.core.recording.recording import rows_digest
from neuroasync.train.batch import make_batch
from neuroasync.train.event_record import EventRecordRunner
from neuroasync.train.loop.results import Fit
from neuroasync.train.module import SpikingNetwork

__all__ = ["export_bundle"]


def export_bundle(
    trained: Fit | SpikingNetwork | Model,
    samples: SpikeTrains,
    *,
    settings: RunSettings | None = None,
    seed: int = 0,
    duration_us: Duration | None = None,
    golden: int = 3,
    classes: Sequence[str] | None = None,
    topology: str | None = None,
    meta: Mapping[str, Scalar] | None = None,
    vote_window: VoteWindow | None = None,
) -> Bundle:
    """Return a bundle of a trained network.

    Args:
        trained: What :func:`fit` returned, or a network that was trained in another loop.
        samples: The first ``golden`` of these become golden samples: the bundle holds their
            decisions and a digest of their spikes, computed by the runtime's compiled engine
            under the order that the network was trained for.
        settings: Ordering policy, group size and input mode that the network was trained for.
            Required, unless ``trained`` is a ``Fit``, which knows them.
        seed: Golden sample i runs with ``sample_seed(seed, i)``. A ``Fit`` has its own seed.
        duration_us: Length of every sample in the training, µs or such as ``"20ms"``. Events after
            it are left out, as in training. A ``Fit`` has its own.
        golden: Number of golden samples.
        classes: Distinct names of the classes, one per output neuron.
        topology: Topology text that the network was made from, stored in the meta as
            ``topology``.
        meta: Additional entries, for example data set and licence. They override the entries
            that describe the training.
        vote_window: How the network decides over time, if it was trained to. A ``Fit`` has its own.

    Raises:
        BundleError: The classes, samples or meta do not fit the network or the format, or the
            policy is a custom one.
        ModelError: ``topology`` cannot be parsed.
        ValueError: ``topology`` describes another network, ``seed``, ``duration_us`` or ``golden``
            is out of range, or ``settings`` is missing or given for a ``Fit``.
    """
    if isinstance(trained, Fit) != (settings is None):
        raise ValueError(
            "`settings` must be given for a network, and must not be given for a `Fit`, which "
            "knows its own"
        )
    description: dict[str, Scalar] = {}
    seed, golden = check_seed(seed), check_int("golden", golden, 0, 2**53 - 1, ValueError)
    length_us = optional_microseconds(duration_us, "duration_us")
    if isinstance(trained, Fit):
        model, spec, seed = trained.model, trained.config.policy_spec, trained.config.seed
        settings, length_us = trained.config.run_settings, trained.config.duration_us
        description |= {f"train.{k}": v for k, v in trained.config.to_dict().items()}
    else:
        model = trained.to_model() if isinstance(trained, SpikingNetwork) else trained
        settings = settings or RunSettings()
        spec = _policy_spec(settings)
    description |= {
        "method": "surrogate gradients through the forward steps, peak rule",
        "neuroasync": _version(),
        "numpy": np.__version__,
        "torch": str(torch.__version__),
        "parameters": model.parameters,
    }
    if topology is not None:
        _check_topology(parse_topology(topology), model)
        description["topology"] = topology
    if isinstance(trained, Fit):
        description |= _results(trained)
    # Golden samples end with their last events, whatever their labels over time say.
    samples = replace(samples[:golden].before(length_us), labels_over_time=None)
    window = trained.config.vote_window if isinstance(trained, Fit) else vote_window
    return Bundle(
        model,
        None if classes is None else tuple(classes),
        spec,
        _golden_samples(model, spec, settings, seed, samples, length_us),
        description | dict(meta or {}),
        duration_us=length_us,
        vote_window=window,
    )


def _check_topology(described: Model, model: Model) -> None:
    """Raise ValueError unless a topology text describes the trained network."""
    if same_topology(described, model):
        return
    problem = "it describes another one"
    shapes, found = ([(p.name, p.shape) for p in m.populations] for m in (described, model))
    if shapes == found and same_topology(replace(described, populations=model.populations), model):
        problem = (
            "its neurons have other parameters; if these were learned, leave `topology` out, "
            "because a text does not describe learned values"
        )
    raise ValueError(f"`topology` must describe the trained network, but {problem}")


def _policy_spec(settings: RunSettings) -> PolicySpec:
    """Return what a bundle says about the order of run settings, without noise of training."""
    return PolicySpec(policy_name(settings.policy), settings.group_size, settings.input)


def _results(fit: Fit) -> dict[str, Scalar]:
    """Return the meta entries with the results of a training."""
    if (result := fit.result) is None:
        return {}
    entries: dict[str, Scalar] = {
        "train_loss": result.loss,
        "train_accuracy": result.accuracy,
        "train_spikes_per_sample": result.spikes,
        "validation_accuracy": result.validation_accuracy,
        "validation_spikes_per_sample": result.validation_spikes,
    }
    if fit.best_epoch is not None:
        entries |= {"best_epoch": fit.best_epoch + 1, "epochs_trained": len(fit.history)}
    return entries


def _version() -> str | None:
    try:
        return version("neuroasync")
    except PackageNotFoundError:  # The package runs from a source tree that is not installed.
        return None


def _golden_samples(
    model: Model,
    spec: PolicySpec,
    settings: RunSettings,
    seed: int,
    samples: SpikeTrains,
    duration_us: int | None,
) -> tuple[GoldenSample, ...]:
    """Return the samples with their decisions and spike digests."""
    recorder = EventRecordRunner(model, threads=1)
    seeds = [sample_seed(seed, i) for i in range(len(samples))]
    batch = make_batch(model, samples, range(len(samples)), seeds, duration_us)
    record = recorder.run(recorder.packed.arrays.weights, batch, settings, keep=False)
    return tuple(
        GoldenSample(
            samples[i],
            spec,
            seeds[i],
            None if (label := int(record.labels[i])) < 0 else label,
            rows_digest(rows),
        )
        for i, rows in enumerate(record.rows())
    )
