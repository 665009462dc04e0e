"""The inputs of a connection in each forward pass, from a recording."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.model.connections import INPUT
from neuroasync.core.model.model import Model
from neuroasync.core.recording.recording import Recording
from neuroasync.metrics.fan_out import shape_of

__all__ = ["ConnectionInputs", "connection_inputs"]


class ConnectionInputs(NamedTuple):
    """What a connection receives: one entry per sample, pass and source that sends something.

    The entries ascend by sample, pass and source.

    Attributes:
        sample: i64[entries], position of the sample in the recording.
        pass_: i64[entries], forward pass.
        source: i64[entries], neuron of the source population, or flattened input index.
        value: f64[entries], number of spikes that are delivered, or the sum of the values of input
            events.
    """

    sample: NDArray[np.int64]
    pass_: NDArray[np.int64]
    source: NDArray[np.int64]
    value: NDArray[np.float64]


def connection_inputs(recording: Recording, model: Model, number: int) -> ConnectionInputs:
    """Return what a connection receives in each pass, which a delay may have put off.

    Args:
        recording: Recording of any run.
        model: The network that ran.
        number: Position of the connection in ``model.connections``.
    """
    connection = model.connections[number]
    name = connection.source
    start = model.size if name == INPUT else model.starts[model.index(name)]
    size = int(np.prod(shape_of(model, name)))
    # Delayed deliveries name their connection; all connections without delay share the value -1.
    via = number if connection.delay_us else -1
    source = recording.delivered_origin - start
    carried = (source >= 0) & (source < size) & (recording.delivered_connection == via)
    passes = int(recording.passes.max(initial=1))
    call = recording.delivered_sample[carried] * passes + recording.delivered_pass[carried]
    cell, at = np.unique(call * size + source[carried], return_inverse=True)
    given = recording.delivered_value
    factor = recording.delivered_count if given is None else given
    value = np.bincount(at, factor[carried], cell.size).astype(np.float64)
    call = cell // size
    return ConnectionInputs(call // passes, call % passes, cell % size, value)
