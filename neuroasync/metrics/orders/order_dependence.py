"""Charge that can make the order matter: inhibition, and what refractory neurons lose.

A pass whose neurons have a subtracting reset and no refractoriness is an *abelian network* if
nothing is inhibited: neither the number of spikes of any neuron nor its final potential depends on
the order. What breaks this within a pass is inhibition, which may arrive before or after a neuron
crosses its threshold, and charge that arrives while a neuron is refractory, which is lost. The
metric is the share of the delivered charge that does one of the two. It does not count what a reset
to zero discards, or what a delayed reset changes.

The first group of a pass is no such charge: it arrives before any neuron is evaluated.

Source:
    Bond and Levine, Abelian networks I. Foundations and examples, SIAM Journal on Discrete
    Mathematics 30 (2016), arXiv 1309.3445, for the property. The share is defined here.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.model.connections import INPUT, Dense, Sparse
from neuroasync.core.model.model import Model
from neuroasync.core.recording.recording import Recording, check_made_with
from neuroasync.errors import RecordingError
from neuroasync.metrics.fan_out import shape_of
from neuroasync.metrics.synapse_lists import check_synapses, synapse_list

__all__ = ["OrderDependence", "order_dependence"]

_DELIVERIES_AT_ONCE: Final = 1024
"""Deliveries whose synapses are listed at once, so that memory stays bounded."""


@dataclass(frozen=True, slots=True)
class OrderDependence:
    """The charge of a run that can depend on the order.

    Charge is the sum of the absolute weights of all deliveries, each times the number of spikes or
    the value that was delivered.

    Attributes:
        charge: Mean charge per sample.
        inhibitory: Share of the charge that is negative and reaches a neuron that integrates it,
            after the first group of a pass.
        lost: Share of the charge that refractory neurons lose.
    """

    charge: float
    inhibitory: float
    lost: float

    @property
    def share(self) -> float:
        """Share of the charge that is inhibitory or lost, from 0 to 1."""
        return self.inhibitory + self.lost

    def to_json(self) -> dict[str, Any]:
        """Return the attributes and the share as a mapping."""
        return {
            "charge": self.charge,
            "inhibitory": self.inhibitory,
            "lost": self.lost,
            "share": self.share,
        }


def order_dependence(recording: Recording, bundle: Bundle) -> OrderDependence:
    """Compute which share of the charge of a run can depend on the order.

    Args:
        recording: Recording of any run, of at least one sample.
        bundle: Bundle of the network that ran.

    Raises:
        RecordingError: The recording was made with another bundle, or has no sample.
        ValueError: A convolution has too many synapses to list them.
    """
    check_made_with(recording, bundle)
    if not len(recording):
        raise RecordingError("the recording must have at least one sample, but has none")
    for connection in bundle.model.connections:
        check_synapses(bundle.model, connection)
    lists = [synapse_list(bundle.model, c) for c in bundle.model.connections]
    totals = np.zeros(3)
    for k in range(len(recording)):
        totals += _charges(recording, k, bundle.model, lists)
    charge, inhibitory, lost = totals.tolist()
    whole = charge or 1.0
    return OrderDependence(charge / len(recording), inhibitory / whole, lost / whole)


def _charges(
    recording: Recording, k: int, model: Model, lists: list[Dense | Sparse]
) -> NDArray[np.float64]:
    """Return all charge of a sample, the inhibitory part and the lost part."""
    deliveries = recording.deliveries_of(k)
    pass_, step = recording.delivered_pass[deliveries], recording.delivered_step[deliveries]
    given = recording.delivered_value
    factor = (recording.delivered_count if given is None else given)[deliveries]
    via = recording.delivered_connection[deliveries]
    fired, fired_step = _first_spikes(recording, k, model)
    totals = np.zeros(3)
    for number, c in enumerate(lists):
        start = model.size if c.source == INPUT else model.starts[model.index(c.source)]
        source = recording.delivered_origin[deliveries] - start
        # Delayed deliveries name their connection; all connections without delay share -1.
        is_carried = via == (number if c.delay_us else -1)
        carried = np.flatnonzero(
            is_carried & (source >= 0) & (source < math.prod(shape_of(model, c.source)))
        )
        for first in range(0, carried.size, _DELIVERIES_AT_ONCE):
            some = carried[first : first + _DELIVERIES_AT_ONCE]
            at, target, weight = _synapses(c, source[some])
            event = some[at]
            charge = weight.astype(np.float64) * factor[event]
            cell = pass_[event] * model.size + model.starts[model.index(c.target)] + target
            place = np.searchsorted(fired, cell).clip(max=max(fired.size - 1, 0))
            is_lost = np.zeros(cell.size, np.bool_)
            if fired.size:
                is_lost = (fired[place] == cell) & (fired_step[place] < step[event])
            is_inhibitory = (charge < 0) & (step[event] > 0) & ~is_lost
            size = np.abs(charge)
            totals += size.sum(), size[is_inhibitory].sum(), size[is_lost].sum()
    return totals


def _first_spikes(
    recording: Recording, k: int, model: Model
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where neurons become refractory in a sample.

    Returns:
        i64[spikes], pass x N + neuron, ascending; i64[spikes], the step of the spike.
    """
    rows = recording.rows_of(k)
    is_refractory = np.concatenate([
        np.full(p.size, p.neuron.refractory) for p in model.populations
    ])  # fmt: skip
    neuron = recording.neuron[rows]
    kept = is_refractory[neuron]
    cell = recording.pass_[rows][kept] * model.size + neuron[kept]
    cells, first = np.unique(cell, return_index=True)
    return cells, recording.step[rows][kept][first]


def _synapses(
    c: Dense | Sparse, source: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return the synapses of some sources: position in ``source``, target and weight of each."""
    if isinstance(c, Dense):
        targets = c.weight.shape[0]
        at = np.repeat(np.arange(source.size), targets)
        return at, np.tile(np.arange(targets), source.size), c.weight[:, source].T.ravel()
    counts = np.diff(c.indptr)[source]
    at = np.repeat(np.arange(source.size), counts)
    within = np.arange(at.size) - np.repeat(np.cumsum(counts) - counts, counts)
    synapse = c.indptr[source][at] + within
    return at, c.indices[synapse], c.weight[synapse]
