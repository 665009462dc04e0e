"""The synapses of one source neuron, read from a connection target by target."""

from collections.abc import Iterator

import numpy as np

from neuroasync.core.model.connections import Connection, Conv2d, Dense


def synapses(c: Connection, shapes: dict[str, tuple[int, ...]], i: int) -> Iterator[tuple]:
    """Yield (target, weight) of each synapse of source neuron ``i``."""
    if isinstance(c, Dense):
        yield from enumerate(c.weight[:, i])
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
