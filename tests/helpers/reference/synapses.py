"""The synapses of one source neuron, read from a connection target by target."""

from collections.abc import Iterator

import numpy as np

from neuroasync.core.model.connections import Connection, Conv1d, Conv2d, Dense, Pool


def synapses(c: Connection, shapes: dict[str, tuple[int, ...]], i: int) -> Iterator[tuple]:
    """Yield (target, weight) of each synapse of source neuron ``i``."""
    if isinstance(c, Dense):
        yield from enumerate(c.weight[:, i])
    elif isinstance(c, Conv1d):
        channel, x = np.unravel_index(i, shapes[c.source])
        for o, tx in np.ndindex(*shapes[c.target]):
            k = x + c.padding - tx * c.stride
            if 0 <= k < c.weight.shape[2]:
                yield int(np.ravel_multi_index((o, tx), shapes[c.target])), c.weight[o, channel, k]
    elif isinstance(c, Pool):
        at = np.unravel_index(i, shapes[c.source])
        weight = np.float32(1 if c.mode == "sum" else 1 / np.prod(c.size))
        for to in np.ndindex(*shapes[c.target]):
            taps = np.add(at[1:], c.padding) - np.multiply(to[1:], c.stride)
            if to[0] == at[0] and np.all((taps >= 0) & (taps < c.size)):
                yield int(np.ravel_multi_index(to, shapes[c.target])), weight
    elif isinstance(c, Conv2d):
        channel, y, x = np.unravel_index(i, shapes[c.source])
        for o, ty, tx in np.ndindex(*shapes[c.target]):
            ky = y + c.padding[0] - ty * c.stride[0]
            kx = x + c.padding[1] - tx * c.stride[1]
            if 0 <= ky < c.weight.shape[2] and 0 <= kx < c.weight.shape[3]:
                target = np.ravel_multi_index((o, ty, tx), shapes[c.target])
                yield int(target), c.weight[o, channel, ky, kx]
    else:
        for k in range(c.indptr[i], c.indptr[i + 1]):
            yield int(c.indices[k]), c.weight[k]
