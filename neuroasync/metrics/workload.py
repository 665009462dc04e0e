"""What running a model takes: NeuroBench's activation sparsity and synaptic operations.

NeuroBench counts what a synchronous framework does: each connection is applied once in a timestep
(here: a forward pass), to the vector of what its source sends in that pass. So a neuron that fires
twice in a pass, and an input index with two events in one bin, is *one* non-zero input of value 2.
The runtime counts what it delivers: each of the two is a synaptic operation per target. Both
numbers are reported, under names of their own.

Counts are those of what ran. NeuroBench's are of whole samples: where a stop rule ended some
(``Workload.stopped``), report those of a run ``until="quiet"`` beside them.

Source:
    Yik et al., The NeuroBench framework for benchmarking neuromorphic computing algorithms and
    systems, Nature Communications 16, 1545 (2025), arXiv 2304.04640; where the text leaves a
    choice, NeuroBench's code at commit e521c28.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.decision import Decision
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.model.connections import INPUT, Connection
from neuroasync.core.model.model import Model
from neuroasync.core.recording.recording import Recording
from neuroasync.errors import RecordingError
from neuroasync.metrics.fan_out import fan_out

__all__ = ["Workload", "counted_workload", "workload"]


@dataclass(frozen=True, slots=True)
class Workload:
    """What running some samples took. None is what cannot be known from what was given.

    Attributes:
        samples: how many.
        stopped: of them, ended by a stop rule; their counts end there, too.
        passes: forward passes, mean per sample.
        activation_sparsity: share of (neuron, pass) cells without a spike, of all populations
            and samples, pooled; the input is none of them.
        synops: synaptic operations as the runtime counts them, mean per sample: one per target
            of each delivered spike, zero weights included.
        effective_acs: non-zero weights met by non-zero inputs, mean per sample, in applications
            of a connection whose inputs are all -1, 0 or 1: accumulates.
        effective_macs: the same, of all other applications: multiply-accumulates.
        dense: all weights met by all inputs, mean per sample, absent synapses included.
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
        """As one map of the attributes."""
        return asdict(self)


def workload(recording: Recording, bundle: Bundle) -> Workload:
    """What the samples of a recording took, exactly.

    A connection is applied once in a pass of a sample, as with a batch size of 1: whether that is
    accumulates or multiply-accumulates does not depend on other samples.

    Args:
        recording: of any run.
        bundle: its network.

    Raises:
        RecordingError: the recording is of another bundle.
    """
    if recording.info.bundle != bundle.digest.hex():
        raise RecordingError(
            f"the recording is of the network with digest {recording.info.bundle}, "
            f"the bundle has {bundle.digest.hex()}"
        )
    model, samples = bundle.model, len(recording)
    acs = macs = 0
    for number, connection in enumerate(model.connections):
        plain, graded = _operations(recording, model, number, connection)
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
    """What some samples took, from their decisions alone: without a recording.

    Activation sparsity follows from counts where neurons fire at most once in a pass, which
    refractory ones do. Effective operations do where, besides, no weight is 0 and no input index
    has two events in a bin: then they are what the runtime counts. Otherwise they are None;
    :func:`workload` has them.

    Args:
        decisions: one per sample.
        model: the network, without populations of the user's.
        events: input of each sample.

    Raises:
        ValueError: there are more or fewer inputs than decisions.
    """
    samples, passes = len(decisions), sum(d.passes for d in decisions)
    once = all(p.neuron.refractory for p in model.populations)
    trains = list(events)
    if len(trains) != samples:
        raise ValueError(f"events: {len(trains)} samples, expected {samples}, one per decision")
    no_zeros = all(np.all(c.weight) for c in model.connections)
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


def _operations(
    recording: Recording, model: Model, number: int, connection: Connection
) -> tuple[int, int]:
    """Effective ACs and MACs of one connection, in all samples."""
    name = connection.source
    start = model.size if name == INPUT else model.starts[model.index(name)]
    effective = fan_out(model, connection).effective
    via = number if connection.delay_us else -1
    source = recording.delivered_origin - start
    carried = (source >= 0) & (source < effective.size) & (recording.delivered_connection == via)
    # An input of this connection: what one source sends in one pass, in however many steps.
    call = _runs(recording.delivered_sample[carried], recording.delivered_pass[carried])
    cell, at = np.unique(call * effective.size + source[carried], return_inverse=True)
    value = np.bincount(at, recording.delivered_count[carried], cell.size)
    call, source = cell // effective.size, cell % effective.size
    is_graded = np.zeros(int(call.max(initial=-1)) + 1, np.bool_)
    is_graded[call[value > 1]] = True
    graded = int(effective[source[is_graded[call]]].sum())
    return int(effective[source].sum()) - graded, graded


def _runs(sample: NDArray[np.int64], pass_: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of each row's (sample, pass) among those that occur; rows ascend by them."""
    changes = (np.diff(sample) != 0) | (np.diff(pass_) != 0)
    return np.concatenate((np.zeros(min(sample.size, 1), np.int64), np.cumsum(changes)))


def _is_binary(train: SpikeTrain, timestep_us: int) -> bool:
    """Whether no index has two events in one bin."""
    bins = train.t_us // max(timestep_us, 1)
    order = np.lexsort((train.index, bins))
    same = (np.diff(bins[order]) == 0) & (np.diff(train.index[order]) == 0)
    return not same.any()


def _dense(model: Model) -> int:
    return sum(fan_out(model, c).dense for c in model.connections)


def _sparsity(active: int, cells: int) -> float | None:
    return (cells - active) / cells if cells else None


def _mean(total: int, samples: int) -> float | None:
    return total / samples if samples else None
