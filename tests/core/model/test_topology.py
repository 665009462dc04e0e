"""The topology language: the network that a text describes, and errors that name the item."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import neuroasync as na
from neuroasync import ModelError, parse_topology
from neuroasync.core.model.topology import same_topology
from neuroasync.shipped import NETWORKS, shipped_bundle

STACK = """
timestep_us=1000 decay=0.5 v_threshold=2
input  2x34x34
conv1  c8k5s2p1             # floor((34 + 2 - 5) / 2) + 1 = 16
conv2  c16k3x2s3x1          # floor((16 - 3) / 3) + 1 = 5 by 16 - 2 + 1 = 15
hidden d64 v_threshold=0.5 reset=subtract refractory=false sync_threshold=2 tau_mem_us=7e3
output d10
conv1 -> output
hidden -> hidden delay_us=2000
hidden -> conv2
conv1->conv1 k3p1 delay_us=1000
"""


def test_topology_defines_shapes_neurons_and_connections():
    model = parse_topology(STACK)
    assert (model.timestep_us, model.input_shape, model.output) == (1000, (2, 34, 34), "output")
    shapes = {p.name: p.shape for p in model.populations}
    expected = {"conv1": (8, 16, 16), "conv2": (16, 5, 15), "hidden": (64,), "output": (10,)}
    assert list(shapes.items()) == list(expected.items())
    default = na.LIF(tau_mem_us=1000 / math.log(2), v_threshold=2.0)
    own = na.LIF(7000.0, 0.5, "subtract", False, 2)
    assert [p.neuron for p in model.populations] == [default, default, own, default]
    found = [(c.kind, c.source, c.target, c.weight.shape, c.delay_us) for c in model.connections]
    assert found == [
        ("conv2d", "input", "conv1", (8, 2, 5, 5), 0),
        ("conv2d", "conv1", "conv2", (16, 8, 3, 2), 0),
        ("dense", "conv2", "hidden", (64, 1200), 0),
        ("dense", "hidden", "output", (10, 64), 0),
        ("dense", "conv1", "output", (10, 2048), 0),
        ("dense", "hidden", "hidden", (64, 64), 2000),
        ("dense", "hidden", "conv2", (1200, 64), 0),
        ("conv2d", "conv1", "conv1", (8, 8, 3, 3), 1000),
    ]
    assert (model.connections[1].stride, model.connections[1].padding) == ((3, 1), (0, 0))
    assert model.ranks == (0, 1, 2, 3)
    assert not any(c.weight.any() for c in model.connections)


def test_semicolons_separate_items_like_line_breaks():
    lines = [line.split("#")[0] for line in STACK.splitlines()]
    assert parse_topology(";".join(lines)) == parse_topology(STACK)


def test_decay_is_the_factor_of_the_potential_per_timestep():
    def factor(decay):
        model = parse_topology(f"timestep_us=1000 decay={decay}; input 1; a d1")
        return np.float32(math.exp(-1000 / model.populations[0].neuron.tau_mem_us))

    assert [factor(d) for d in ("0", "0.25", "0.9", "1")] == [
        0, np.float32(0.25), np.float32(0.9), 1,
    ]  # fmt: skip


def test_leak_of_a_population_replaces_the_default_leak():
    text = "timestep_us=10 {}; input 1; a d1 {}; b d1"
    for common, own, expected in (
        ("tau_mem_us=5", "decay=1", [math.inf, 5.0]),
        ("decay=1", "tau_mem_us=5", [5.0, math.inf]),
    ):
        model = parse_topology(text.format(common, own))
        assert [p.neuron.tau_mem_us for p in model.populations] == expected


def test_neurons_of_other_frameworks_are_written_as_settings():
    model = parse_topology("""
        timestep_us=1000 v_threshold=0.5 reset=subtract reset_delayed=true tau_syn_us=5000
        input 4
        a d3 reset_amount=0.25
        b d3 reset=none reset_delayed=false adapt_tau_us=inf adapt_increment=0.125
        out d2 neuron=li tau_mem_us=20000
    """)
    assert [p.neuron for p in model.populations] == [
        na.LIF(
            v_threshold=0.5, reset="subtract", reset_delayed=True, reset_amount=0.25,
            tau_syn_us=5000.0,
        ),
        na.LIF(
            v_threshold=0.5, reset="none", tau_syn_us=5000.0,
            adaptation=na.Adaptation(math.inf, 0.125),
        ),
        na.LI(20_000.0, 5000.0),
    ]  # fmt: skip


def test_shipped_networks_have_the_topology_of_their_recipes():
    recipes = pytest.importorskip("neuroasync.train.recipes").RECIPES["digits"]
    for bundle in map(shipped_bundle, NETWORKS):
        assert same_topology(parse_topology(recipes[bundle.meta["recipe"]].topology), bundle.model)


def test_same_topology_ignores_weights_but_not_delays():
    def model(delay_us, weight, bias=None):
        loop = na.Dense("a", "a", np.full((2, 2), weight), bias, delay_us)
        forward = na.Dense("input", "a", np.full((2, 1), weight))
        return na.Model(1000, (1,), (na.Population("a", (2,)),), (forward, loop), "a")

    described = parse_topology("timestep_us=1000; input 1; a d2; a -> a delay_us=1000")
    assert same_topology(described, model(1000, 3.0))
    assert not same_topology(described, model(0, 3.0))
    assert not same_topology(described, model(1000, 3.0, np.zeros(2)))


@st.composite
def texts(draw):
    """Draw a text with all features of the language; return it with its number of connections."""
    step = draw(st.sampled_from([0, 1, 1000]))
    lines = [f"timestep_us={step}", f"input {draw(st.sampled_from(['1x8x8', '2x9x7']))}"]
    size = st.integers(1, 9)
    kernel = st.sampled_from(["k1", "k2s2", "k3s1x2p1", "k3s2p1"])
    convolutions = draw(st.lists(st.tuples(size, kernel), max_size=2))
    dense = draw(st.lists(size, min_size=1, max_size=3))
    forms = [f"c{channels}{window}" for channels, window in convolutions]
    forms += [f"d{neurons}" for neurons in dense]
    names = [f"p{k}" for k in range(len(forms))]
    lines += [f"{name} {form}" for name, form in zip(names, forms, strict=True)]
    ends = st.tuples(st.sampled_from(["input", *names]), st.sampled_from(names))
    arrows = draw(st.lists(ends, max_size=4))
    lines += [f"{a} -> {b} delay_us={draw(st.integers(0, 3)) * step}" for a, b in arrows]
    return "\n".join(lines), len(names) + len(arrows)


@given(texts())
def test_any_valid_text_gives_a_network_that_a_bundle_can_store(case):
    text, connections = case
    model = parse_topology(text)
    assert len(model.connections) == connections
    kept = na.read_bundle(na.dump_bundle(na.Bundle(model, meta={"topology": text})))
    assert parse_topology(kept.meta["topology"]) == kept.model


@given(st.text("abc0159dkspx=->#;. \n", max_size=60))
def test_any_text_is_parsed_or_rejected_with_a_model_error(text):
    try:
        model = parse_topology("timestep_us=10\ninput 1x3x3\n" + text)
    except ModelError:
        return
    assert model.populations


START = "timestep_us=1000\ninput 2x8x8\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the topology does not set `timestep_us`; start with settings"),
        ("decay=0.5; input 1; a d1", "the topology does not set `timestep_us`"),
        ("timestep_us=1000", "no populations; add at least one, such as 'output d10'"),
        ("timestep_us=1; a d5", "line 1, 'a d5': the input must come first"),
        ("timestep_us=1.5; input 1; a d1", "`timestep_us` must be an integer of at least 0, got 1"),
        ("timestep_us=1 timestep_us=2", "`timestep_us` is set twice"),
        ("timestep_us=1; timestep_us=2", "`timestep_us` is set twice"),
        ("timestep_us=1 decay=0.5 tau_mem_us=3", "`decay` and `tau_mem_us` are both set"),
        ("timestep_us=1 decay=0.5; tau_mem_us=3", "`decay` and `tau_mem_us` are both set"),
        ("timestep_us=0 decay=0.5", "`decay` needs a timestep, but `timestep_us` is 0"),
        ("timestep_us=1 decay=1.5", "`decay` must be a number from 0 to 1, got 1.5"),
        ("timestep_us=1 decay=nan", "`decay` must be a number from 0 to 1, got nan"),
        ("timestep_us=1; input 8by8", "write a size or a shape after it, as in"),
        ("timestep_us=1; input 0x3", "line 1, 'input 0x3': `shape[0]` must be an integer from 1"),
        ("timestep_us=1; input 9 delay_us=1", "setting `delay_us` is not allowed here; none is"),
        (START + "input 3", "line 3, 'input 3': this is a second input"),
        (START + "d64", "line 3, 'd64': a population must be a name, then d64 (64 neurons), c"),
        (START + "a 64", "line 3, 'a 64': the form of a population must be d64 (64 neurons)"),
        (START + "a c8", "sumk2 or avgk2 (a pool), got 'c8'"),
        (START + "a d0", "line 3, 'a d0': `shape[0]` must be an integer from 1"),
        (START + "a d5; a d6", "line 3, 'a d6': the name 'a' is used twice"),
        (START + "a d5 rate=3", "setting `rate` is not allowed here; allowed here are decay, tau"),
        (START + "a d5 v_threshold=0", "`v_threshold` must be a number from 1e-37 to 3e38, got 0"),
        (START + "a d5 reset=no", "`reset` must be zero or subtract or none, got no"),
        (START + "a d5 refractory=1", "`refractory` must be true or false, got 1"),
        (START + "a d5 tau_mem_us=-3", "`tau_mem_us` must be a number above 0, or inf for no leak"),
        (START + "a d5 tau_syn_us=0", "`tau_syn_us` must be a number above 0, or inf for no decay"),
        (START + "a d5 reset_amount=inf", "`reset_amount` must be a number from 1e-37 to 3e38"),
        (START + "a d5 reset_delayed=1", "`reset_delayed` must be true or false, got 1"),
        (START + "a d5 adapt_tau_us=9", "`adapt_tau_us` and `adapt_increment` belong together; s"),
        (START + "a d5 neuron=if", "`neuron` must be lif or li, got if"),
        (START + "a d5 neuron=li reset=none", "setting `reset` is not allowed here; allowed here"),
        (START + "a d5 neuron=li; b d5", "no connection may leave 'a', because its neurons (li)"),
        (START + "a d5; b c3k3", "or channels x length, but 'a' has shape 5"),
        (START + "a c3k11p1", "kernel size must be at most 10x10, the size of 'input' with its"),
        (START + "a c3k3s0", "kernel size and stride must be at least 1"),
        (START + "a d5; a -> b", "the target of an arrow must be one of ['a'], got 'b'"),
        (START + "a d5; a -> input", "must be one of ['a'], got 'input'"),
        (START + "a d5; a -> a 3", "a kernel (k3s2p1) or a pool (sumk2, avgk2), got '3'"),
        (START + "a d5; a -> a -> a", "an arrow must stand between two names"),
        (START + "a d5; a ->", "an arrow must stand between two names"),
        (START + "a d5; a -> a delay_us=1500", "`delay_us` must be a multiple of `timestep_us` (1"),
        (START + "a d5; a -> a; b d5", "'b d5': out of order; write settings first, then"),
        (START + "a d5; decay=0.5", "'decay=0.5': out of order"),
        (START + "a d5; input -> a k3", "gives planes of 6x6, which do not fit 'a' (5)"),
        (START + "a c3k3; b c2k3p1; input -> b k3s2", "planes of 3x3, which do not fit 'b' (2x6x6"),
        (START + "a d999999999", "must be an integer from 1 to 16777216"),
        (START + "a d9999999", "at most 67108864 weights, the limit of a bundle, but has 12799998"),
        (START + "a d5 v_threshold = 2", "'=' has no name before it; write settings"),
        (START + "a d5 v_threshold= 2", "`v_threshold` has no value; write settings"),
        (START + "a d5 reset_amount=2", "reset_amount=2': `reset_amount` must be left out"),
        (START + "a d5 reset=none reset_delayed=true", "=true': `reset_delayed` must be false"),
        (START + "a d5 sync_threshold=2147483649", "9': `sync_threshold` must be an integer"),
        (START + "a d5 neuron=li; b d3", "'b d3': no connection may leave 'a', because"),
        (START + "a d5; b d3 neuron=li; b -> a", "'b -> a': no connection may leave 'b'"),
        (START + "a" * 129 + " d5", "a': `name` must be text of 1 to 128 characters, got 'aaa"),
        ("#" * 70_000, "a topology must be text of at most 65536 characters"),
        (7, "a topology must be text"),
    ],
)  # fmt: skip
def test_error_names_the_wrong_item_and_the_allowed_values(text, message):
    with pytest.raises(ModelError) as caught:
        parse_topology(text)
    assert message in str(caught.value)


def test_bias_is_set_for_all_populations_one_of_them_or_an_arrow():
    text = (
        "timestep_us=1000 bias=true; input 1x4x4; a c2k3; b d5 bias=false; output d3; a -> output;"
        " input -> output bias=true; output -> a delay_us=1000 bias=true"
    )
    sizes = [None if c.bias is None else c.bias.shape for c in parse_topology(text).connections]
    assert sizes == [(2,), None, (3,), None, (3,), (8,)]
    without = parse_topology(text.replace("bias=true", "bias=false"))
    assert all(c.bias is None for c in without.connections)
    assert not same_topology(parse_topology(text), without)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("timestep_us=1000 bias=1; input 4; output d3", "`bias` must be true or false, got"),
        ("timestep_us=1000; input 4; output d3 bias=yes", "`bias` must be true or false, got"),
        ("timestep_us=1000; input 4; output d3; input -> output bias=", "`bias` has no value"),
    ],
)
def test_a_bias_that_is_neither_true_nor_false_is_refused(text, message):
    with pytest.raises(ModelError, match=message):
        parse_topology(text)


def test_neurons_without_spikes_may_have_a_bias():
    model = parse_topology("timestep_us=1000; input 4; output d3 neuron=li bias=true")
    assert model.connections[0].bias.shape == (3,)
