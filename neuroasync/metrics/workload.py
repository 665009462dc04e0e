"""Workload of a run after NeuroBench: activation sparsity and synaptic operations.

NeuroBench counts the work of a synchronous framework: each connection is applied once per timestep
(here: per forward pass) to the vector that its source sends in that pass. So a neuron that fires
twice in a pass, or an input index with two events in one bin, is *one* non-zero input of value 2.
The runtime counts its deliveries instead: each of the two spikes is one synaptic operation per
target. Both numbers are reported, under different names.

The counts cover the passes that actually ran. NeuroBench counts samples that run to
their end. If a stop rule ended some samples (``Workload.stopped``), also report the counts of a run
with ``until="quiet"``.

Source:
    Yik et al., The NeuroBench framework for benchmarking neuromorphic computing algorithms and
    systems, Nature Communications 16, 1545 (2025), arXiv 2304.04640. Where the text leaves a choice
    open, this module follows NeuroBench's code at commit e521c28.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.decision import Decision
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.model.connections import Pool
from neuroasync.core.model.model import Model
from neuroasync.core.recording.recording import Recording, check_made_with
from neuroasync.metrics.connection_inputs import connection_inputs
from neuroasync.metrics.fan_out import fan_out

__all__ = ["Workload", "counted_workload", "workload"]


@dataclass(frozen=True, slots=True)
class Workload:
    """Work that running some samples took.

    A value is None if it cannot be computed from the given data.

    Attributes:
        samples: Number of samples.
        stopped: Number of samples that a stop rule ended; their counts end there.
        passes: Mean number of forward passes per sample.
        activation_sparsity: Share of (neuron, pass) pairs without a spike, pooled over all
            populations and samples. Input indices are not neurons.
        synops: Mean number of synaptic operations per sample as the runtime counts them: one per
            target of each delivered spike, zero weights included.
        effective_acs: Accumulates: mean number per sample of non-zero weights that meet a non-zero
            input, over applications of a connection whose inputs are all -1, 0 or 1.
        effective_macs: Multiply-accumulates: the same over all other applications.
        dense: Mean number per sample of all weights times all inputs, absent synapses included.
    """

    samples: int
    stopped: int
    passes: float | None
    activation_sparsity: float | None
    synops: float | None
    effective_acs: float | None
    effective_macs: float | None
    dense: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as a mapping."""
        return asdict(self)


def workload(recording: Recording, bundle: Bundle) -> Workload:
    """Compute the exact workload of the samples of a recording.

    A connection is applied once per pass of a sample, as with a batch size of 1. So whether an
    application counts as accumulates or multiply-accumulates does not depend on other samples.

    Args:
        recording: Recording of any run.
        bundle: Bundle of the network that ran.

    Raises:
        RecordingError: The recording was made with another bundle.
    """
    check_made_with(recording, bundle)
    model, samples = bundle.model, len(recording)
    acs = macs = 0
    for number, connection in enumerate(model.connections):
        if isinstance(connection, Pool):
            continue  # NeuroBench does not count pooling
        plain, graded = _operations(recording, model, number)
        acs, macs = acs + plain, macs + graded
    passes = int(recording.passes.sum())
    call = _runs(recording.sample, recording.pass_)
    active = np.unique(call * model.size + recording.neuron).size
    return Workload(
        samples=samples,
        stopped=int(recording.stopped.sum()),
        passes=_mean(passes, samples),
        activation_sparsity=_sparsity(active, passes * model.size),
        synops=_mean(int(recording.synops.sum()), samples),
        effective_acs=_mean(acs, samples),
        effective_macs=_mean(macs, samples),
        dense=_mean(passes * _dense(model), samples),
    )


def counted_workload(
    decisions: Sequence[Decision], model: Model, events: Iterable[SpikeTrain]
) -> Workload:
    """Compute the workload of samples from their decisions alone, without a recording.

    Activation sparsity follows from the counts if neurons fire at most once per pass, as refractory
    neurons do. Effective operations equal the runtime's counts if, in addition, no weight is 0 and
    no input index has two events in one bin. Otherwise, and for networks with pools, these
    values are None; use :func:`workload`.

    Args:
        decisions: One decision per sample.
        model: The network; it must not use custom populations.
        events: Input events of each sample.

    Raises:
        ValueError: The numbers of inputs and decisions differ.
    """
    samples, passes = len(decisions), sum(d.passes for d in decisions)
    once = all(p.neuron.refractory for p in model.populations)
    trains = list(events)
    if len(trains) != samples:
        raise ValueError(
            f"`events` must have one sample per decision, {samples}, got {len(trains)}"
        )
    has_pools = any(isinstance(c, Pool) for c in model.connections)
    no_zeros = all(np.all(c.weight) for c in model.connections) and not has_pools
    plain = once and no_zeros and all(_is_binary(train, model.timestep_us) for train in trains)
    synops = _mean(sum(d.synops for d in decisions), samples)
    spikes = sum(d.total_spikes for d in decisions)
    return Workload(
        samples=samples,
        stopped=sum(d.stopped for d in decisions),
        passes=_mean(passes, samples),
        activation_sparsity=_sparsity(spikes, passes * model.size) if once else None,
        synops=synops,
        effective_acs=synops if plain else None,
        effective_macs=_mean(0, samples) if plain else None,
        dense=_mean(passes * _dense(model), samples),
    )


def _operations(recording: Recording, model: Model, number: int) -> tuple[int, int]:
    """Return the effective ACs and MACs of one connection over all samples."""
    effective = fan_out(model, model.connections[number]).effective
    inputs = connection_inputs(recording, model, number)
    # One input of a connection is everything that its source sends in one pass.
    call = _runs(inputs.sample, inputs.pass_)
    is_graded = np.zeros(int(call.max(initial=-1)) + 1, np.bool_)
    is_graded[call[~np.isin(inputs.value, (-1, 0, 1))]] = True
    # Values of input events may be 0, or add up to it.
    operations = np.where(inputs.value != 0, effective[inputs.source], 0)
    graded = int(operations[is_graded[call]].sum())
    return int(operations.sum()) - graded, graded


def _runs(sample: NDArray[np.int64], pass_: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers of the distinct (sample, pass) pairs of rows sorted by them."""
    changes = (np.diff(sample) != 0) | (np.diff(pass_) != 0)
    return np.concatenate((np.zeros(min(sample.size, 1), np.int64), np.cumsum(changes)))


def _is_binary(train: SpikeTrain, timestep_us: int) -> bool:
    """Return whether every input is 0, 1 or -1 in every bin."""
    if train.value is not None and not np.isin(train.value, (-1, 1)).all():
        return False
    bins = train.t_us // max(timestep_us, 1)
    order = np.lexsort((train.index, bins))
    same = (np.diff(bins[order]) == 0) & (np.diff(train.index[order]) == 0)
    return not same.any()


def _dense(model: Model) -> int:
    return sum(fan_out(model, c).dense for c in model.connections if not isinstance(c, Pool))


def _sparsity(active: int, cells: int) -> float | None:
    return (cells - active) / cells if cells else None


def _mean(total: int, samples: int) -> float | None:
    return total / samples if samples else None
