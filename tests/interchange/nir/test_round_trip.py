"""Export and import give the same bundle, byte for byte; what NIR cannot express is refused."""

from dataclasses import replace

import nir
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync import (
    LIF,
    Bundle,
    Conv1d,
    Conv2d,
    Dense,
    InterchangeError,
    Model,
    Pool,
    Population,
    Sparse,
    dump_bundle,
)
from neuroasync.core.model.connections import INPUT
from neuroasync.core.model.neurons import LI, Adaptation
from neuroasync.interchange import export_nir, import_nir
from neuroasync.shipped import NETWORKS, load_bundle
from tests.helpers.paths import DATA
from tests.helpers.strategies import any_weight, models


def after_round_trip(bundle, path, **options):
    export_nir(bundle, path, **options)
    return import_nir(path)


def refusals(model):
    """Return whether NIR cannot express a model, by the rules that the guide lists."""
    order = {INPUT: -1} | {p.name: k for k, p in enumerate(model.populations)}
    for p in model.populations:
        n = p.neuron
        taus = np.ravel(np.asarray(n.tau_mem_us, float))
        synaptic = np.ravel(np.asarray(1.0 if n.tau_syn_us is None else n.tau_syn_us, float))
        incoming = [c for c in model.connections if c.target == p.name]
        conv = [
            c
            for c in model.connections
            if isinstance(c, Conv1d | Conv2d | Pool) and p.name in (c.source, c.target)
        ]
        yield n.sync_threshold or n.adaptation is not None or n.reset_amount is not None
        yield isinstance(n, LIF) and n.reset == "none"
        yield n.tau_syn_us is not None and not model.timestep_us
        yield np.isinf(synaptic).any() or (n.tau_syn_us is not None and np.isinf(taus).any())
        yield np.isinf(taus).any() and not np.isinf(taus).all()
        yield conv and any(not isinstance(c, Conv1d | Conv2d | Pool) for c in incoming)
    for c in model.connections:
        yield order[c.source] >= order[c.target] and c.delay_us == 0
        yield c.bias is not None and c.bias.any() and not model.timestep_us


@given(model=models(any_weight(), sync_threshold=False), decay=st.sampled_from(["exact", "euler"]))
def test_bundles_come_back_as_the_same_bytes(tmp_path_factory, model, decay):
    check(tmp_path_factory, model, decay)


@given(model=models(extended=True, timestep_us=1000), decay=st.sampled_from(["exact", "euler"]))
def test_bundles_with_neurons_of_other_frameworks_come_back(tmp_path_factory, model, decay):
    check(tmp_path_factory, model, decay)


def check(tmp_path_factory, model, decay):
    path = tmp_path_factory.getbasetemp() / "network.nir"
    bundle = Bundle(model)
    if any(refusals(model)):
        with pytest.raises(InterchangeError, match=r"^(population '|`connections\[)"):
            export_nir(bundle, path, decay=decay)
        return
    assert dump_bundle(after_round_trip(bundle, path, decay=decay)) == dump_bundle(bundle)


@pytest.mark.parametrize("name", NETWORKS)
def test_shipped_networks_come_back_with_golden_samples_and_calibration(name, tmp_path):
    bundle = load_bundle(name)
    assert dump_bundle(after_round_trip(bundle, tmp_path / "a.nir")) == dump_bundle(bundle)


def small(neuron=None, **fields):
    connection = Dense("input", "out", np.ones((2, 3), np.float32), **fields)
    return Bundle(
        Model(1000, (3,), (Population("out", (2,), neuron or LIF()),), (connection,), "out")
    )


def test_the_same_network_is_written_as_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        export_nir(small(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_package_nir_reads_what_is_written(tmp_path):
    bundle = load_bundle("unlayered")
    export_nir(bundle, tmp_path / "a.nir")
    graph = nir.read(tmp_path / "a.nir")
    assert {type(node) for node in graph.nodes.values()} >= {nir.Linear, nir.LIF}
    assert import_nir(graph) == bundle


@pytest.mark.parametrize("name", ["input", "output", "a/b", ".", "connection_0", "ß", "n" * 128])
def test_names_that_nodes_cannot_have_come_back(name, tmp_path):
    if name == "input":
        name = "population_0"
    model = small().model
    renamed = Model(
        1000, (3,), (replace(model.populations[0], name=name),),
        (replace(model.connections[0], target=name),), name,
    )  # fmt: skip
    assert after_round_trip(Bundle(renamed), tmp_path / "a.nir").model.output == name


def test_synapses_of_weight_zero_come_back(tmp_path):
    weight = np.array([0.0, 2.0, -0.0], np.float32)
    sparse = Sparse("input", "out", np.array([0, 1, 3]), np.array([1, 0, 1]), weight)
    bundle = Bundle(Model(1, (2,), (Population("out", (2,)),), (sparse,), "out"))
    assert after_round_trip(bundle, tmp_path / "a.nir") == bundle


def test_a_changed_network_loses_what_was_about_the_old_one_only(tmp_path):
    bundle = load_bundle("unlayered")
    export_nir(bundle, tmp_path / "a.nir")
    graph = nir.read(tmp_path / "a.nir")
    graph.nodes["connection_0"].weight[0, 0] += 1
    changed = import_nir(graph)
    assert bundle.golden
    assert changed.golden == changed.calibration == ()
    assert (changed.classes, changed.policy, changed.meta) == (
        bundle.classes, bundle.policy, bundle.meta,
    )  # fmt: skip


def test_a_changed_parameter_counts_more_than_the_metadata(tmp_path):
    export_nir(small(LIF(20_000.0, 1.0)), tmp_path / "a.nir")
    graph = nir.read(tmp_path / "a.nir")
    graph.nodes["out"].tau[:] = 0.01
    graph.nodes["out"].r[:] = 10
    graph.nodes["out"].v_threshold[:] = 2
    neuron = import_nir(graph).model.populations[0].neuron
    assert (neuron.tau_mem_us, neuron.v_threshold) == (10_000.0, 2.0)


def test_arguments_count_more_than_the_metadata(tmp_path):
    export_nir(small(LIF(20_000.0)), tmp_path / "a.nir")
    bundle = import_nir(tmp_path / "a.nir", timestep_us=500, reset="subtract", reset_delay=True)
    neuron = bundle.model.populations[0].neuron
    assert (bundle.model.timestep_us, neuron.tau_mem_us) == (500, 10_000.0)
    assert (neuron.reset, neuron.reset_delayed) == ("subtract", True)


@pytest.mark.parametrize("name", ["lif_norse", "braille_noDelay_bias_zero"])
def test_importing_and_exporting_keeps_equations_and_weights(name, tmp_path):
    path, how = DATA / "nir" / f"{name}.nir", {"jump": "euler", "reset": "zero"}
    export_nir(import_nir(path, timestep_us=100, **how), tmp_path / "a.nir", decay="euler")
    before, after = nir.read(path), nir.read(tmp_path / "a.nir")
    for key, node in before.nodes.items():
        if isinstance(node, nir.CubaLIF | nir.LIF):
            other = after.nodes[key]
            gain = node.r / other.r
            assert type(other) is type(node)
            taus = [n.tau if isinstance(n, nir.LIF) else n.tau_mem for n in (node, other)]
            np.testing.assert_allclose(*taus, rtol=1e-7)
            weight = after.nodes["connection_0"].weight
            first = before.nodes["fc1" if "fc1" in before.nodes else "0"].weight
            np.testing.assert_allclose(weight, first * gain[0], rtol=1e-6)
            break


REFUSED = {
    r"^population 'out': NIR has no counterpart of its sync_threshold$": small(
        LIF(sync_threshold=2)
    ),
    r"^population 'out': NIR has no counterpart of its adaptation$": small(
        LIF(adaptation=Adaptation(1000.0, 0.5))
    ),
    r"^population 'out': NIR has no counterpart of its reset 'none'$": small(LIF(reset="none")),
    r"^population 'out': NIR has no counterpart of its reset_amount$": small(
        LIF(reset="subtract", reset_amount=0.5)
    ),
    r"^population 'out': NIR cannot express a `tau_mem_us` of inf together with finite": small(
        LIF(np.array([1000, np.inf], np.float32))
    ),
    r"^population 'out': NIR cannot express a `tau_syn_us` of inf": small(
        LI(1000.0, np.inf)
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_what_nir_cannot_express_is_refused_by_name(message, tmp_path):
    with pytest.raises(InterchangeError, match=message):
        export_nir(REFUSED[message], tmp_path / "a.nir")
    assert not (tmp_path / "a.nir").exists()


def test_a_population_that_receives_nothing_is_refused(tmp_path):
    model = small().model
    model = replace(model, populations=(*model.populations, Population("alone", (1,))))
    with pytest.raises(InterchangeError, match=r"^population 'alone': it receives nothing"):
        export_nir(Bundle(model), tmp_path / "a.nir")


def test_a_loop_within_a_pass_is_refused(tmp_path):
    model = small().model
    loop = Dense("out", "out", np.ones((2, 2), np.float32))
    model = replace(model, connections=(*model.connections, loop))
    with pytest.raises(InterchangeError, match=r"^`connections\[1\]` leads back from 'out' to"):
        export_nir(Bundle(model), tmp_path / "a.nir")


def test_a_huge_sparse_connection_is_refused(tmp_path):
    sparse = Sparse("input", "out", np.zeros(2**20 + 1, int), np.zeros(0, int), np.zeros(0, "f4"))
    model = Model(1, (2**20,), (Population("out", (128,)),), (sparse,), "out")
    with pytest.raises(InterchangeError, match=r"^`connections\[0\]` is sparse; as the full"):
        export_nir(Bundle(model), tmp_path / "a.nir")


def test_convolutions_of_signals_come_back(tmp_path):
    weight = np.array([[[1.0, -2.0]], [[0.0, 3.0]]], np.float32)
    first = Conv1d("input", "out", weight, 2, 1, np.array([0.0, 0.5], np.float32))
    bundle = Bundle(Model(1000, (1, 4), (Population("out", (2, 3)),), (first,), "out"))
    assert after_round_trip(bundle, tmp_path / "a.nir") == bundle


@pytest.mark.parametrize("mode", ["sum", "average"])
@pytest.mark.parametrize(("shape", "size", "stride", "padding"), [
    ((3, 9), (3,), None, None),
    ((3, 9), (1,), (2,), None),
    ((1, 9), (4,), (2,), (3,)),
    ((2, 6, 8), (2, 4), None, None),
    ((2, 6, 8), (1, 1), (2, 1), None),
    ((1, 6, 8), (3, 2), (1, 2), (1, 1)),
])  # fmt: skip
@pytest.mark.parametrize("neuron", [
    LIF(), LIF(tau_mem_us=3000.0), LIF(tau_mem_us=5000.0, tau_syn_us=2000.0),
])  # fmt: skip
def test_pools_come_back(mode, shape, size, stride, padding, neuron, tmp_path):
    pads, steps = padding or (0,) * len(size), stride or size
    extents = [
        (n + 2 * pad - k) // step + 1
        for n, k, step, pad in zip(shape[1:], size, steps, pads, strict=True)
    ]
    pooled = (shape[0], *extents)
    first = Pool("input", "pool", mode, size, stride, padding)
    readout = Dense("pool", "out", np.ones((2, int(np.prod(pooled))), np.float32))
    skip = Pool("input", "pool", mode, size, stride, padding, delay_us=2000)
    populations = (Population("pool", pooled, neuron), Population("out", (2,)))
    bundle = Bundle(Model(1000, shape, populations, (first, readout, skip), "out"))
    for decay in ("exact", "euler"):
        found = after_round_trip(bundle, tmp_path / "a.nir", decay=decay)
        assert dump_bundle(found) == dump_bundle(bundle)


def test_a_pool_of_signals_whose_weights_were_changed_becomes_a_matrix(tmp_path):
    pool = Pool("input", "out", "average", (2,))
    model = Model(1000, (1, 4), (Population("out", (1, 2)),), (pool,), "out")
    export_nir(Bundle(model), tmp_path / "a.nir")
    graph = nir.read(tmp_path / "a.nir")
    graph.nodes["connection_0"].weight[0, 0, 0] = 2
    (changed,) = import_nir(graph).model.connections
    assert isinstance(changed, Sparse | Conv1d)


def test_only_a_bundle_is_exported(tmp_path):
    with pytest.raises(TypeError, match=r"^`bundle` must be a Bundle, got str$"):
        export_nir("unlayered", tmp_path / "a.nir")
    assert not list(tmp_path.iterdir())
