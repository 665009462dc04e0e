"""1-d convolutions and pools: every engine delivers exactly the synapses of their definition."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroasync as na
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import Fifo, LayerSync, Random
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.formats.bundle import dump_bundle, read_bundle
from neuroasync.core.model.kernel_forms import kernel_form
from neuroasync.core.model.topology import parse_topology, same_topology
from neuroasync.explain.synapses import weights_to
from neuroasync.metrics import connection_sparsity, workload
from neuroasync.metrics.fan_out import fan_out
from neuroasync.replay import replay
from neuroasync.train import SpikingNetwork
from tests.helpers.engine_runners import compiled, stepwise
from tests.helpers.reference.simulator import run as run_reference
from tests.helpers.strategies import spike_trains


@st.composite
def networks(draw):
    """Draw a network: the input, a 1-d convolution or a pool, and a dense output."""
    axes = draw(st.integers(1, 2))
    channels = draw(st.integers(1, 3))
    shape = (channels, *(draw(st.integers(1, 5)) for _ in range(axes)))
    padding = tuple(draw(st.integers(0, 1)) for _ in range(axes))
    size = tuple(
        draw(st.integers(1, n + 2 * pad)) for n, pad in zip(shape[1:], padding, strict=True)
    )
    stride = tuple(draw(st.integers(1, 3)) for _ in range(axes))
    extents = tuple(
        (n + 2 * pad - k) // s + 1
        for n, pad, k, s in zip(shape[1:], padding, size, stride, strict=True)
    )
    seed = draw(st.integers(0, 99))
    random = np.random.default_rng(seed)
    dyadic = lambda *shape: (random.integers(-16, 48, shape) / 64).astype(np.float32)  # noqa: E731
    if axes == 1 and draw(st.booleans()):
        out = draw(st.integers(1, 3))
        bias = dyadic(out) if draw(st.booleans()) else None
        weight = dyadic(out, channels, *size)
        first = na.Conv1d("input", "a", weight, stride[0], padding[0], bias)
    else:
        out, mode = channels, draw(st.sampled_from(["sum", "average"]))
        size = tuple(2 ** int(np.log2(k)) for k in size)  # so that averages are exact
        padding = tuple(min(pad, k - 1) for pad, k in zip(padding, size, strict=True))
        extents = tuple(
            (n + 2 * pad - k) // s + 1
            for n, pad, k, s in zip(shape[1:], padding, size, stride, strict=True)
        )
        first = na.Pool("input", "a", mode, size, stride, padding)
    populations = (
        na.Population("a", (out, *extents), na.LIF(v_threshold=0.5)),
        na.Population("b", (3,), na.LIF(v_threshold=0.5)),
    )
    dense = na.Dense("a", "b", dyadic(3, populations[0].size))
    return na.Model(1000, shape, populations, (first, dense), "b")


def as_torch(connection, spikes):
    """Return what torch gives for [samples, channels, ..] spikes."""
    functional, c = torch.nn.functional, connection
    if isinstance(c, na.Conv1d):
        weight = torch.from_numpy(c.weight.copy())
        return functional.conv1d(spikes, weight, None, c.stride, c.padding)
    axes = len(c.size)
    pad = [n for pad in reversed(c.padding) for n in (pad, pad)]
    padded = functional.pad(spikes, pad)
    pool = functional.avg_pool1d if axes == 1 else functional.avg_pool2d
    mean = pool(padded, c.size, c.stride)
    return mean * float(np.prod(c.size)) if c.mode == "sum" else mean


@settings(deadline=None, max_examples=60)
@given(model=networks())
def test_weights_are_those_of_torch(model):
    connection, size = model.connections[0], model.input_size
    one_spike_each = torch.eye(size).reshape(size, *model.input_shape)
    expected = as_torch(connection, one_spike_each).reshape(size, -1).numpy()
    every = np.arange(size)
    weights = [weights_to(model, connection, every, j) for j in range(expected.shape[1])]
    np.testing.assert_array_equal(np.stack(weights, 1), expected)
    np.testing.assert_array_equal(
        fan_out(model, connection).effective, np.count_nonzero(expected, axis=1)
    )


@settings(deadline=None, max_examples=60)
@given(
    data=st.data(),
    model=networks(),
    policy=st.sampled_from([LayerSync(), Random(), Fifo()]),
    mode=st.sampled_from(["prioritised", "queued"]),
)
def test_all_engines_agree_on_them(data, model, policy, mode):
    train = data.draw(spike_trains(model))
    expected = run_reference(model, train, policy, 2, mode, 5)
    assert compiled(model, train, policy, 2, mode, 5) == expected
    assert stepwise(model, train, policy, 2, mode, 5) == expected


@settings(deadline=None, max_examples=40)
@given(model=networks())
def test_files_keep_them(model):
    data = dump_bundle(na.Bundle(model))
    assert read_bundle(data).model == model
    assert dump_bundle(read_bundle(data)) == data


@settings(deadline=None, max_examples=25)
@given(data=st.data(), model=networks(), by_connection=st.booleans())
def test_the_trainer_packs_the_weights_of_the_runtime(data, model, by_connection):
    network = SpikingNetwork(model, device="cpu", by_connection=by_connection)
    packed = network.packed().detach().numpy()
    np.testing.assert_array_equal(packed, PackedNetwork(model, contiguous=True).arrays.weights)
    assert network.to_model() == model
    network.reset_parameters(3)
    assert same_topology(network.to_model(), model)


def pooled(mode="average", bias=None):
    """Return a network whose input is pooled, and then convolved."""
    populations = (
        na.Population("pool", (2, 4), na.LIF(v_threshold=0.25)),
        na.Population("conv", (3, 4), na.LIF(v_threshold=0.25)),
        na.Population("out", (2,), na.LIF(v_threshold=0.25)),
    )
    weight = (np.arange(18).reshape(3, 2, 3) / 64).astype(np.float32)
    connections = (
        na.Pool("input", "pool", mode, (2,)),
        na.Conv1d("pool", "conv", weight, 1, 1, bias),
        na.Dense("conv", "out", np.full((2, 12), 0.25, np.float32)),
    )
    return na.Model(1000, (2, 8), populations, connections, "out")


TRAINS = na.SpikeTrains.from_trains(
    [na.SpikeTrain(np.arange(24) // 6 * 1000, np.arange(24) * 5 % 16)], (2, 8), [1]
)


def test_training_changes_weights_but_no_pool():
    model = pooled(bias=np.zeros(3, np.float32))
    network = SpikingNetwork(model, device="cpu")
    assert network.values.numel() == model.parameters + 1 == 18 + 3 + 24 + 1
    optimiser = torch.optim.SGD(network.parameters(), 0.1)
    result = network(network.batch(TRAINS, [0], [0]), RunSettings())
    result.votes.sum().backward()
    optimiser.step()
    trained = network.to_model()
    assert trained.connections[0] == model.connections[0]
    for before, after in zip(model.connections[1:], trained.connections[1:], strict=True):
        assert not np.array_equal(before.weight, after.weight)


def test_both_engines_of_the_trainer_give_the_same_gradient():
    from bench.torch_engine.forward import run_torch_engine

    network = SpikingNetwork(pooled("sum", np.full(3, 0.125, np.float32)), device="cpu")
    batch, run_settings = network.batch(TRAINS, [0], [0]), RunSettings(Random(), 4)
    gradients = []
    for run in (
        lambda: network(batch, run_settings),
        lambda: run_torch_engine(
            network.packed(),
            PackedNetwork(network.model, contiguous=True),
            batch,
            run_settings,
            network.surrogate,
            0.0,
        ),
    ):
        network.zero_grad()
        result = run()
        (result.votes.sum() + result.spikes.sum()).backward()
        gradients.append(network.values.grad.clone())
    assert gradients[0].abs().sum() > 0
    torch.testing.assert_close(gradients[0], gradients[1])


def test_recordings_are_replayed_and_pooling_is_no_operation_of_neurobench():
    bundle = na.Bundle(pooled())

    async def record():
        async with na.Network(bundle) as network:
            recorder = network.recorder()
            await network.decide_all(TRAINS, recorder=recorder)
            return recorder.finish()

    recording = asyncio.run(record())
    assert replay(recording, bundle) == recording.neuron.size > 0
    work, fired = workload(recording, bundle), recording.neuron
    conv = fan_out(bundle.model, bundle.model.connections[1]).effective
    of_conv = sum(int(conv[n]) for n in fired if n < 8) + 2 * int(
        ((fired >= 8) & (fired < 20)).sum()
    )
    assert work.effective_acs + work.effective_macs == of_conv < work.synops
    assert connection_sparsity(bundle.model) == 1 / 42


def test_topology_text_describes_them():
    text = """timestep_us=1000 v_threshold=0.5
    input 2x16
    pool1 avgk2
    conv1 c3k3p1
    pool2 sumk3s2p1
    output d4
    pool1 -> conv1 k1"""
    model = parse_topology(text)
    assert [p.shape for p in model.populations] == [(2, 8), (3, 8), (3, 4), (4,)]
    kinds = [c.kind for c in model.connections]
    assert kinds == ["pool", "conv1d", "pool", "dense", "conv1d"]
    pool = model.connections[2]
    assert (pool.mode, pool.size, pool.stride, pool.padding) == ("sum", (3,), (2,), (1,))
    assert model.connections[0].stride == (2,)
    assert all(c.bias is None for c in model.connections)
    biased = parse_topology(text.replace("v_threshold=0.5", "v_threshold=0.5 bias=true"))
    assert [c.bias is not None for c in biased.connections] == [False, True, False, True, False]
    planes = parse_topology("timestep_us=1; input 2x4x6; a avgk2x3; o d1; input -> a sumk1s2x3")
    assert planes.populations[0].shape == (2, 2, 2)
    assert [c.size for c in (planes.connections[0], planes.connections[2])] == [(2, 3), (1, 1)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "input 8; a sumk2",
            "must have shape channels x height x width, as in 'input 2x34x34', or",
        ),
        (
            "input 2x8; a c2k3x1",
            "'input' has channels x length, so size, stride and padding are one",
        ),
        (
            "input 2x8; a avgk9",
            "the kernel size must be at most 8, the size of 'input' with its pad",
        ),
        ("input 2x8; a k3", "the form of a population must be d64 "),
        ("input 2x8; a c4sumk3", "the form of a population must be d64 "),
        ("input 2x8; a c3k3p1; input -> a sumk3s1p1", "a pool keeps the number of channels, but "),
        (
            "input 2x8; a c3k3p1; input -> a sumk2",
            "the pool gives planes of 4, which do not fit 'a'",
        ),
        (
            "input 2x8; a d3; input -> a maxk2",
            r"a kernel \(k3s2p1\) or a pool \(sumk2, avgk2\), got",
        ),
    ],
)
def test_invalid_forms_are_named(text, message):
    with pytest.raises(na.ModelError, match=message):
        parse_topology(f"timestep_us=1000; {text}")


def with_first(**changes):
    """Return the pooled network with another pool."""
    model = pooled()
    return replace(
        model, connections=(replace(model.connections[0], **changes), *model.connections[1:])
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "max"}, r"^`connections\[0\]\.mode` must be 'sum' or 'average', got 'max'"),
        ({"size": (2, 2)}, r"^`connections\[0\]\.size` must be an integer from 1 to"),
        ({"size": 2}, r"^`connections\[0\]\.size` must be an integer from 1 to"),
        ({"size": (9,), "stride": (1,)}, r"\.size` must be a window of at most \(8,\), the padded"),
        ({"stride": (0,)}, r"^`connections\[0\]\.stride` must be an integer from 1 to"),
        (
            {"padding": (2,)},
            r"^`connections\[0\]\.padding` must be below `size` \(2,\), got \(2,\)",
        ),
        ({"padding": (-1,)}, r"^`connections\[0\]\.padding` must be an integer from 0 to"),
        (
            {"stride": (3,)},
            r"^`connections\[0\]\.target` must be a population of shape \(2, 3\), wh",
        ),
        ({"target": "conv"}, r"^`connections\[0\]\.target` must be a population of 2 channels, as"),
        (
            {"target": "out"},
            r"^`connections\[0\]\.target` must be a population of shape \[channels",
        ),
    ],
)
def test_an_invalid_pool_is_refused_by_path(changes, message):
    with pytest.raises(na.ModelError, match=message):
        with_first(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": np.ones((3, 2))}, r"\.weight` must be an array of 3 dimensions \[out, in, k\]"),
        ({"weight": np.ones((3, 1, 3))}, r"\.weight` must be of shape \(3, 2, 3\) \(out, in, k\)"),
        ({"weight": np.ones((3, 2, 9))}, r"\.weight` must be a kernel of at most \(6,\)"),
        ({"stride": 0}, r"\.stride` must be an integer from 1 to"),
        ({"padding": 1.5}, r"\.padding` must be an integer from 0 to"),
        ({"bias": np.ones(12)}, r"\.bias` must be of shape \(3,\)"),
    ],
)
def test_an_invalid_1d_convolution_is_refused_by_path(changes, message):
    model = pooled()
    connections = list(model.connections)
    connections[1] = replace(connections[1], **changes)
    with pytest.raises(na.ModelError, match=r"^`connections\[1\]" + message):
        replace(model, connections=tuple(connections))


def test_a_small_file_cannot_ask_for_a_huge_pool():
    size = 2**13
    pool = na.Pool("input", "a", "sum", (size,), (1,), (size // 2,))
    populations = (na.Population("a", (1, size + 1)),)
    with pytest.raises(
        na.ModelError, match=r"^`connections` must be connections whose pools have a"
    ):
        na.Model(1000, (1, size), populations, (pool,), "a")


def test_other_kinds_are_their_own_kernel_form():
    model = pooled()
    assert kernel_form(model, model.connections[2]) is model.connections[2]
