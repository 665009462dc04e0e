"""Small NIR graphs, and a plain loop that runs a graph as layered frameworks do."""

from graphlib import TopologicalSorter
from itertools import pairwise

import nir
import numpy as np

__all__ = ["chain", "lif", "run_graph"]


def chain(*nodes, shape, names=None):
    """Return the graph in which each node leads to the next one; names are ``n0``, ``n1``, .."""
    given = names or [f"n{k}" for k in range(len(nodes))]
    named = dict(zip(given, nodes, strict=True))
    names = ["input", *named, "output"]
    ends = {
        "input": nir.Input(input_type=np.array(shape)),
        "output": nir.Output(output_type=np.array(shape)),
    }
    return nir.NIRGraph({**ends, **named}, list(pairwise(names)), {}, type_check=False)


def lif(shape, tau=0.01, r=1.0, v_leak=0.0, v_threshold=1.0, v_reset=0.0):
    """Return a LIF node with the same parameters for all neurons."""
    full = [np.full(shape, value) for value in (tau, r, v_leak, v_threshold, v_reset)]
    return nir.LIF(*full)


def run_graph(graph, inputs, outputs, *, step_s, jump, decay, reset, delayed=False):
    """Run a graph without subgraphs, and return what the nodes ``outputs`` send in each step.

    Linear nodes are computed by naive loops. An edge that leads back sends what was sent in the
    step before.

    Args:
        graph: the graph.
        inputs: array of shape [steps, *shape of the input].
        outputs: names of nodes.
        step_s: step in seconds.
        jump, decay, reset: as of ``import_nir``.
        delayed: whether a reset takes effect in the next step.
    """
    back = _edges_back(graph)
    forward = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        if (source, target) not in back:
            forward[target].append(source)
    order = list(TopologicalSorter(forward).static_order())
    state = {name: {} for name in graph.nodes}
    sent = {source: _at_rest(graph.nodes[source]) for source, _ in back}
    records = {name: [] for name in outputs}
    for x in inputs:
        before, sent = sent, {}
        for name in order:
            node = graph.nodes[name]
            if isinstance(node, nir.Input):
                sent[name] = x
                continue
            received = [sent[source] for source in sorted(forward[name])]
            received += [before[source] for source, target in sorted(back) if target == name]
            total = sum(received)
            sent[name] = _step(node, total, state[name], step_s, jump, decay, reset, delayed)
        for name in outputs:
            records[name].append(sent[name])
    return {name: np.array(rows) for name, rows in records.items()}


def _at_rest(node):
    """Return what a linear node sends while no neuron fires."""
    return node.bias if isinstance(node, nir.Affine) else np.zeros(len(node.weight))


def _edges_back(graph):
    targets = {}
    for source, target in sorted(graph.edges):
        targets.setdefault(source, []).append(target)
    back, done = set(), set()

    def visit(name, above):
        for target in targets.get(name, []):
            if target in above:
                back.add((name, target))
            elif target not in done:
                visit(target, {*above, target})
        done.add(name)

    visit("input", {"input"})
    return back


def _step(node, x, state, step_s, jump, decay, reset, delayed):
    match node:
        case nir.Affine():
            return node.weight @ x + node.bias
        case nir.Linear():
            return node.weight @ x
        case nir.Scale():
            return node.scale * x
        case nir.Flatten():
            return np.reshape(x, node.output_type["output"])
        case nir.Conv2d():
            return _convolved(
                x, node.weight, node.stride, node.padding, node.dilation, node.groups
            ) + np.reshape(node.bias, (-1, 1, 1))
        case nir.Conv1d():
            padding = (node.weight.shape[-1] - 1) // 2 if node.padding == "same" else node.padding
            pictures = _convolved(
                x[:, None], node.weight[:, :, None], (1, node.stride), (0, padding),
                (1, node.dilation), node.groups,
            )  # fmt: skip
            return pictures[:, 0] + np.reshape(node.bias, (-1, 1))
        case nir.SumPool2d() | nir.AvgPool2d():
            kernel = np.ones((len(x), 1, *node.kernel_size))
            kernel /= kernel[0].size if isinstance(node, nir.AvgPool2d) else 1
            return _convolved(x, kernel, node.stride, node.padding, (1, 1), len(x))
        case nir.Output():
            return x
        case nir.Delay():
            state.setdefault("past", []).append(x)
            steps = np.broadcast_to(np.round(node.delay / step_s).astype(int), np.shape(x))
            past = state["past"]
            rows = [np.zeros(np.shape(x)) if s >= len(past) else past[-1 - s] for s in steps.flat]
            return np.array([r.flat[k] for k, r in enumerate(rows)]).reshape(np.shape(x))
        case nir.Threshold():
            return (x > node.threshold) * 1.0
    return _neuron(node, x, state, step_s, jump, decay, reset, delayed)


def _neuron(node, x, state, step_s, jump, decay, reset, delayed):
    def factors(tau):
        ratio = step_s / tau
        gains = {"euler": ratio, "exact": 1 - np.exp(-ratio), "unit": 1.0}
        return (1 - ratio if decay == "euler" else np.exp(-ratio)), gains[jump]

    if isinstance(node, nir.IF | nir.I):
        beta, current, settled = 1.0, node.r * x, 0.0
    else:
        tau = node.tau if hasattr(node, "tau") else node.tau_mem
        beta, gain = factors(tau)
        settled = (1 - beta) * node.v_leak
        if hasattr(node, "tau_syn"):
            alpha, rise = factors(node.tau_syn)
            state["i"] = alpha * state.get("i", 0.0) + rise * node.w_in * x
            x = state["i"]
        current = gain * node.r * x
    start = node.v_reset if hasattr(node, "v_reset") else 0.0
    v = beta * state.get("v", start)
    if delayed:
        v = _after_reset(node, v, state.get("fired", 0 * current), reset)
    v = v + settled + current
    if not hasattr(node, "v_threshold"):
        state["v"] = v
        return v
    fired = (v > node.v_threshold) * 1.0
    state["fired"] = fired
    state["v"] = v if delayed else _after_reset(node, v, fired, reset)
    return fired


def _after_reset(node, v, fired, reset):
    if reset == "subtract":
        return v - fired * node.v_threshold
    return np.where(fired > 0, node.v_reset, v)


def _convolved(x, weight, stride, padding, dilation, groups):
    """Return a convolution by its definition."""
    (sy, sx), (dy, dx) = np.broadcast_to(stride, 2), np.broadcast_to(dilation, 2)
    if isinstance(padding, str):
        same = [d * (k - 1) // 2 for d, k in zip((dy, dx), weight.shape[2:], strict=True)]
        padding = same if padding == "same" else 0
    py, px = np.broadcast_to(padding, 2)
    padded = np.pad(x, ((0, 0), (py, py), (px, px)))
    out, each, kh, kw = weight.shape
    height = (padded.shape[1] - dy * (kh - 1) - 1) // sy + 1
    width = (padded.shape[2] - dx * (kw - 1) - 1) // sx + 1
    result = np.zeros((out, height, width))
    for o in range(out):
        first = o // (out // groups) * each
        for row in range(height):
            for column in range(width):
                patch = padded[
                    first : first + each,
                    row * sy : row * sy + dy * (kh - 1) + 1 : dy,
                    column * sx : column * sx + dx * (kw - 1) + 1 : dx,
                ]
                result[o, row, column] = np.sum(weight[o] * patch)
    return result
