"""Decay, bias, integrate and fire, late firing: what happens to membrane potentials.

Source: the forward step of Koopman et al., arXiv 2408.05098; the order of sums is ours.
"""

import numpy as np

from neuroasync.kernels import layout as lay
from neuroasync.kernels.jit import kernel
from neuroasync.kernels.order import neuron_key, step_prefix, uniform

__all__ = [
    "evaluate",
    "gather_current",
    "integrate",
    "late_population",
    "list_late",
    "start_pass",
]

DROPOUT_STREAM = np.uint64(0xD1B54A32D192ED03)


@kernel
def start_pass(
    decays, populations, connections, weights, decay, potential, marks, peaks, peak_steps, at
):
    """Apply decay and bias to every neuron, and note where potentials stand.

    Args:
        decays: whether time has passed since a pass before this one.
        populations, connections, weights, decay, potential, marks: see ``layout``.
        peaks, peak_steps: f32 and i32[passes, N], written for the trainer; [0, 0] otherwise.
        at: their row, the index of the pass.
    """
    v = potential[lay.V]
    if decays:
        for i in range(v.size):
            v[i] *= decay[i]
    for c in range(connections.shape[0]):
        bias = connections[c, lay.BIAS]
        if bias >= 0:
            target = connections[c, lay.TARGET]
            start = populations[target, lay.START]
            for i in range(populations[target, lay.STOP] - start):
                v[start + i] += weights[bias + i]
    for p in range(populations.shape[0] - 1):
        if populations[p, lay.SYNC] > 0:
            marks[lay.RECEIVED, populations[p, lay.START] : populations[p, lay.STOP]] = 0
    if peaks.shape[0]:
        peaks[at, :] = v
        peak_steps[at, :] = -1


@kernel
def _touch(target, count, marks, touched, n):
    marks[lay.RECEIVED, target] += count
    if marks[lay.TOUCHED, target] == 0:
        marks[lay.TOUCHED, target] = 1
        touched[n] = target
        return n + 1
    return n


@kernel
def _sparse(row, source, start, links, weights, count, current, marks, touched, n):
    """Deliver over one row of a CSR; return how many are touched."""
    indptr = row[lay.INDPTR] + source
    for k in range(links[indptr], links[indptr + 1]):
        target = start + links[row[lay.INDICES] + k]
        current[target] += weights[row[lay.WEIGHT] + k] * np.float32(count)
        n = _touch(target, count, marks, touched, n)
    return n


@kernel
def window(row, source):
    """Padded (y, x) of a convolution's source, and the first and last output (y, x) it reaches."""
    place = source % (row[lay.HEIGHT_IN] * row[lay.WIDTH_IN])
    y = place // row[lay.WIDTH_IN] + (row[lay.PADDING] >> 20)
    x = place % row[lay.WIDTH_IN] + (row[lay.PADDING] & 0xFFFFF)
    stride_y, stride_x = row[lay.STRIDE] >> 20, row[lay.STRIDE] & 0xFFFFF
    first_y = max(0, (y - row[lay.KERNEL_Y] + stride_y) // stride_y)
    first_x = max(0, (x - row[lay.KERNEL_X] + stride_x) // stride_x)
    last_y = min(row[lay.HEIGHT_OUT] - 1, y // stride_y)
    last_x = min(row[lay.WIDTH_OUT] - 1, x // stride_x)
    return y, x, first_y, last_y, first_x, last_x


@kernel
def _conv2d(row, source, start, weights, count, current, marks, touched, n):
    """Deliver to the receptive fields that hold the source; return how many are touched."""
    y, x, first_y, last_y, first_x, last_x = window(row, source)
    stride_y, stride_x = row[lay.STRIDE] >> 20, row[lay.STRIDE] & 0xFFFFF
    kernel_x = row[lay.KERNEL_X]
    plane_size = row[lay.KERNEL_Y] * kernel_x
    channel = source // (row[lay.HEIGHT_IN] * row[lay.WIDTH_IN])
    for out in range(row[lay.CHANNELS_OUT]):
        plane = row[lay.WEIGHT] + (out * row[lay.CHANNELS_IN] + channel) * plane_size
        for oy in range(first_y, last_y + 1):
            line = start + (out * row[lay.HEIGHT_OUT] + oy) * row[lay.WIDTH_OUT]
            taps = plane + (y - oy * stride_y) * kernel_x
            for ox in range(first_x, last_x + 1):
                current[line + ox] += weights[taps + x - ox * stride_x] * np.float32(count)
                n = _touch(line + ox, count, marks, touched, n)
    return n


@kernel
def gather_current(
    p, populations, connections, links, weights, potential, marks, group, control, touched
):
    """Sum what the group brings to population ``p``, in slot order, into its current.

    Returns:
        How many neurons are listed in ``touched``, or -1 where all of the population are
        reached (by a dense connection).
    """
    start, stop = populations[p, lay.START], populations[p, lay.STOP]
    size, sums = stop - start, potential[lay.CURRENT, start:stop]
    counts_received = populations[p, lay.SYNC] > 0
    n, full, synops = 0, False, 0
    for s in range(control[lay.GROUP]):
        owner, count, via = group[lay.OWNER, s], group[lay.COUNT, s], group[lay.VIA, s]
        source = group[lay.ORIGIN, s] - populations[owner, lay.START]
        for j in range(populations[owner, lay.OUT_START], populations[owner, lay.OUT_STOP]):
            c = links[j]
            if connections[c, lay.TARGET] != p or not _carries(connections, c, via):
                continue
            if connections[c, lay.KIND] == lay.DENSE:
                # Plain indices into slices: LLVM turns this loop into vector instructions.
                at, times = connections[c, lay.WEIGHT] + source * size, np.float32(count)
                row = weights[at : at + size]
                for i in range(size):
                    sums[i] += row[i] * times
                if counts_received:
                    marks[lay.RECEIVED, start:stop] += np.int32(count)
                full = True
                synops += size * count
                continue
            n, targets = _scatter(
                connections[c], source, start, links, weights, count, potential[lay.CURRENT],
                marks, touched, n,
            )  # fmt: skip
            synops += targets * count
    control[lay.SYNOPS] += synops
    for i in range(n):
        marks[lay.TOUCHED, touched[i]] = 0
    return -1 if full else n


@kernel
def _scatter(row, source, start, links, weights, count, current, marks, touched, n):
    """Deliver over a sparse or convolutional connection.

    Returns:
        How many are touched now, and how many targets the source has.
    """
    if row[lay.KIND] == lay.SPARSE:
        n = _sparse(row, source, start, links, weights, count, current, marks, touched, n)
    else:
        n = _conv2d(row, source, start, weights, count, current, marks, touched, n)
    return n, _fan_out(row, links, source)


@kernel
def _fan_out(row, links, source):
    """How many targets one source of a sparse or convolutional connection has."""
    if row[lay.KIND] == lay.SPARSE:
        at = row[lay.INDPTR] + source
        return links[at + 1] - links[at]
    _, _, first_y, last_y, first_x, last_x = window(row, source)
    return row[lay.CHANNELS_OUT] * max(0, last_y - first_y + 1) * max(0, last_x - first_x + 1)


@kernel
def _carries(connections, c, via):
    """Whether ``c`` takes part: it is the one the spike comes by, or any without delay."""
    return c == via if via >= 0 else connections[c, lay.DELAY] == 0


@kernel
def evaluate(
    p, n, populations, thresholds, potential, marks, touched, control, peaks, peak_steps, settings,
    dropout, fired, n_fired,
):  # fmt: skip
    """Let the neurons that the group reached integrate their current, and fire.

    Args:
        p: the population.
        n: what :func:`gather_current` returned.
        populations, thresholds, potential, marks, control, settings: see ``layout``.
        touched: i64[>= n], sorted here.
        peaks: f32[passes, N], highest potential that left a neuron silent, for the trainer.
        peak_steps: i32[passes, N], the step of that; -1 not reached, -2 fired.
        dropout: probability that a spike leaves its neuron non-refractory (training only).
        fired: i64[..], who fires is appended, ascending.
        n_fired: how many are there already.

    Returns:
        How many are there now.
    """
    start = populations[p, lay.START]
    if n < 0:
        n = populations[p, lay.STOP] - start
        for i in range(n):
            touched[i] = start + i
    elif n > 1:
        touched[:n].sort()
    v, momentum, current = potential[lay.V], potential[lay.MOMENTUM], potential[lay.CURRENT]
    refractory, subtract = populations[p, lay.REFRACTORY], populations[p, lay.SUBTRACT]
    sync, now = populations[p, lay.SYNC], np.int32(control[lay.PASS])
    for k in range(n):
        i = touched[k]
        charge = current[i]
        current[i] = np.float32(0.0)
        first = marks[lay.REACHED, i] != now
        marks[lay.REACHED, i] = now
        if marks[lay.FIRED, i] == now:
            continue
        charge += v[i]
        ready = sync == 0 or marks[lay.RECEIVED, i] >= sync
        threshold = thresholds[i]
        if ready and charge > threshold:
            momentum[i] = charge
            v[i] = charge - threshold if subtract else np.float32(0.0)
            if refractory and not _drops(dropout, settings, control, i):
                marks[lay.FIRED, i] = now
            fired[n_fired] = i
            n_fired += 1
            if peaks.shape[0]:
                peak_steps[now, i] = -2
        else:
            v[i] = charge
            # A site of the trainer: the highest potential that left the neuron silent.
            known = peaks.shape[0] and peak_steps[now, i] != -2
            if known and ready and (first or peak_steps[now, i] == -1 or charge > peaks[now, i]):
                peaks[now, i] = charge
                peak_steps[now, i] = control[lay.STEP]
    return n_fired


@kernel
def _drops(dropout, settings, control, neuron):
    """Whether this spike leaves its neuron non-refractory."""
    if dropout <= 0.0:
        return False
    seed = np.uint64(settings[lay.SEED]) ^ DROPOUT_STREAM
    prefix = step_prefix(seed, control[lay.PASS], control[lay.STEP])
    return uniform(neuron_key(prefix, neuron)) < dropout


@kernel
def integrate(
    p, populations, connections, links, weights, thresholds, potential, marks, group, touched,
    control, peaks, peak_steps, settings, fired,
):  # fmt: skip
    """Let population ``p`` integrate the group; write who fires to ``fired``, return how many."""
    n = gather_current(
        p, populations, connections, links, weights, potential, marks, group, control, touched
    )
    return evaluate(
        p, n, populations, thresholds, potential, marks, touched, control, peaks, peak_steps,
        settings, 0.0, fired, 0,
    )  # fmt: skip


@kernel
def late_population(populations, thresholds, potential, marks, control):
    """Lowest-ranked population with a neuron above threshold that nothing reached, or -1."""
    best, now = -1, control[lay.PASS]
    for p in range(populations.shape[0] - 1):
        if populations[p, lay.LATE] == 0:
            continue
        if best >= 0 and populations[p, lay.RANK] >= populations[best, lay.RANK]:
            continue
        for i in range(populations[p, lay.START], populations[p, lay.STOP]):
            above = potential[lay.V, i] > thresholds[i]
            if above and marks[lay.REACHED, i] != now:
                best = p
                break
    return best


@kernel
def list_late(p, populations, thresholds, potential, marks, control, touched):
    """List the neurons of ``p`` that fire late in ``touched``; return how many."""
    n, now = 0, control[lay.PASS]
    for i in range(populations[p, lay.START], populations[p, lay.STOP]):
        above = potential[lay.V, i] > thresholds[i]
        if above and marks[lay.REACHED, i] != now:
            touched[n] = i
            n += 1
    return n
