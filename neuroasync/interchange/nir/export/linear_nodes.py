"""Connections as linear nodes of NIR."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.model.connections import Connection, Conv1d, Conv2d, Pool, Sparse
from neuroasync.errors import InterchangeError
from neuroasync.interchange.nir.bundle_metadata import as_text
from neuroasync.interchange.nir.nodes import Shape

if TYPE_CHECKING:
    import nir

__all__ = ["linear_node"]

_MAX_WEIGHTS: Final = 2**26
"""Weights of a sparse connection as a full matrix, which NIR needs; 4 bytes each, 256 MiB."""


def linear_node(
    where: str, number: int, c: Connection, source: Shape, targets: int
) -> "nir.NIRNode":
    """Return the node of a connection.

    Args:
        where: path of the connection, for the error.
        number: position of the connection in its model.
        c: the connection.
        source: shape of its source.
        targets: number of its targets.

    Raises:
        InterchangeError: a sparse connection is too large for the full matrix that NIR needs.
    """
    import nir

    content: dict[str, Any] = {"index": number}
    if isinstance(c, Pool):
        return _pool(c, source, content)
    if c.bias is not None and not c.bias.any():
        content["zero_bias"] = True
    if isinstance(c, Conv1d | Conv2d):
        bias = np.zeros(len(c.weight), np.float32) if c.bias is None else np.array(c.bias)
        metadata = as_text(content)
        if isinstance(c, Conv1d):
            return nir.Conv1d(
                source[1], np.array(c.weight), c.stride, c.padding, 1, 1, bias, metadata=metadata
            )
        return nir.Conv2d(
            source[1:], np.array(c.weight), c.stride, c.padding, (1, 1), 1, bias, metadata=metadata
        )
    if isinstance(c, Sparse):
        weight, zeros = _full(where, c, targets)
        content |= {"kind": c.kind, "zeros": zeros}
    else:
        weight = np.array(c.weight)
    if c.bias is None:
        return nir.Linear(weight, metadata=as_text(content))
    return nir.Affine(weight, np.array(c.bias), metadata=as_text(content))


def _pool(c: Pool, source: Shape, content: dict[str, Any]) -> "nir.NIRNode":
    """Return a pooling; one of signals, which NIR lacks, becomes a convolution of each channel."""
    import nir

    stride, padding = c.stride or c.size, c.padding or (0,) * len(c.size)
    if len(c.size) == 2:
        kind = nir.SumPool2d if c.mode == "sum" else nir.AvgPool2d
        arrays = (np.array(values) for values in (c.size, stride, padding))
        return kind(*arrays, metadata=as_text(content))
    entry = 1.0 if c.mode == "sum" else 1.0 / c.size[0]
    weight = np.full((source[0], 1, c.size[0]), entry, np.float32)
    return nir.Conv1d(
        source[1], weight, stride[0], padding[0], 1, source[0], np.zeros(source[0], np.float32),
        metadata=as_text({**content, "kind": c.kind, "mode": c.mode}),
    )  # fmt: skip


def _full(where: str, c: Sparse, targets: int) -> tuple[NDArray[np.float32], list[int]]:
    """Return a sparse connection as a full matrix, and where in it a synapse has the weight 0."""
    sources = c.indptr.size - 1
    if targets * sources > _MAX_WEIGHTS:
        raise InterchangeError(
            f"`{where}` is sparse; as the full matrix that NIR needs, it would have "
            f"{targets * sources} weights, the limit is {_MAX_WEIGHTS}"
        )
    weight = np.zeros((targets, sources), np.float32)
    place = c.indices.astype(np.int64) * sources + np.repeat(np.arange(sources), np.diff(c.indptr))
    weight.ravel()[place] = c.weight
    return weight, place[c.weight == 0].tolist()
