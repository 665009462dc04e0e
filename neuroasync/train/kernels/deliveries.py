"""Adjoints of spikes from the deliveries that they cause, for the backward pass of policies."""

from neuroasync.core.kernels.jit import inlined
from neuroasync.core.kernels.layout import Connections, Populations
from neuroasync.train.kernels.accumulate import add_outer, add_weighted

__all__ = ["silent_spike_grads", "undo_delivery"]


@inlined
def silent_spike_grads(
    p, sites, now, ring, populations, connections, links, weights, lags, grad_votes, grad_spikes,
    output, site_grad, has_site, spike_grad,
):  # fmt: skip
    """Write dL/ds of silent sites of one population: from the loss and from later sites."""
    first = populations[p, Populations.START]
    for i in sites:
        spike_grad[i] = grad_spikes[p]
        if p == output:
            spike_grad[i] += grad_votes[i - first]
    for j in range(populations[p, Populations.OUT_START], populations[p, Populations.OUT_STOP]):
        c = links[j]
        target, there = connections[c, Connections.TARGET], (now + lags[c]) % ring
        if has_site[there, target]:
            start, stop = (
                populations[target, Populations.START],
                populations[target, Populations.STOP],
            )
            add_weighted(
                connections[c], sites, first, links, weights, site_grad[there, start:stop],
                spike_grad,
            )  # fmt: skip


@inlined
def undo_delivery(
    now, ring, p, via, origins, factors, populations, connections, links, weights, lags, grad,
    v_active, pending, delayed,
):  # fmt: skip
    """Add the gradients of one delivery to the weights and to the delivered spikes.

    Args:
        p: Population of the spikes, or -1 for input events.
        via: Delayed connection that delivered them, or -1 for all connections without delay.
        origins: i32[K], neurons whose spikes were delivered.
        factors: f32[K], what the weights of each were multiplied by.
    """
    first = populations[p, Populations.START]
    if p >= 0 and via < 0:
        for origin in origins:
            pending[origin] = 0
    for j in range(populations[p, Populations.OUT_START], populations[p, Populations.OUT_STOP]):
        c = links[j]
        if (c != via) if via >= 0 else (lags[c] > 0):
            continue
        target = connections[c, Connections.TARGET]
        g = v_active[populations[target, Populations.START] : populations[target, Populations.STOP]]
        add_outer(connections[c], origins, factors, first, links, g, grad)
        if p >= 0 and via < 0:
            add_weighted(connections[c], origins, first, links, weights, g, pending)
        elif p >= 0:
            there = delayed[(now - lags[c]) % ring]
            for k in range(origins.size):
                # Spikes of one neuron that were delivered separately but arrive together have
                # one slot each, but they share one adjoint.
                if k == 0 or origins[k] != origins[k - 1]:
                    one = origins[k : k + 1]
                    add_weighted(connections[c], one, first, links, weights, g, there)
