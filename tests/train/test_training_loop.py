"""The training loop learns, is reproducible to the bit, and reports its progress."""

import hashlib
import math

import numpy as np
import pytest

from neuroasync.core.engine.policies import make_policy
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.bundle import dump_bundle, read_bundle
from neuroasync.core.model.connections import Dense
from neuroasync.core.model.model import Model, Population
from neuroasync.core.model.neurons import LIF
from neuroasync.core.model.topology import parse_topology, same_topology
from neuroasync.train import CheckpointError, SpikingNetwork, TrainConfig, export_bundle, fit
from neuroasync.train.checkpoint import load_checkpoint
from tests.helpers.engine_runners import stepwise

CONFIG = TrainConfig(
    epochs=4, batch_size=16, lr=0.01, policy="random", group_size=2, seed=3, device="cpu"
)


class StopTrainingError(Exception):
    """Raised by a test to interrupt the training."""


@pytest.fixture(scope="module")
def model():
    """An untrained feed-forward network."""
    lif = LIF(tau_mem_us=9491.0)
    sizes = (12, 16, 16, 3)
    names = ("input", "first", "second", "output")
    populations = tuple(Population(n, (k,), lif) for n, k in zip(names[1:], sizes[1:], strict=True))
    connections = tuple(
        Dense(names[k], names[k + 1], np.zeros((sizes[k + 1], sizes[k]))) for k in range(3)
    )
    return Model(1000, (12,), populations, connections, "output")


def task(samples, seed):
    """Return samples of three classes: the class is the busiest third of the inputs."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, samples)
    trains = []
    for label in labels:
        rate = np.full(12, 0.15)
        rate[4 * label : 4 * label + 4] = 0.7
        t, index = np.nonzero(rng.random((5, 12)) < rate)
        trains.append(SpikeTrain(t * 1000, index))
    return SpikeTrains.from_trains(trains, (12,), labels)


@pytest.fixture(scope="module")
def train():
    """The training samples of a small task."""
    return task(96, 0)


def weights(fitted):
    """Return all weights of a result as bytes."""
    return b"".join(c.weight.tobytes() for c in fitted.model.connections)


@pytest.fixture(scope="module")
def expected(model, train):
    """The result of an uninterrupted training."""
    return fit(model, train, CONFIG, validation=task(40, 1), threads=1)


def test_a_tiny_network_learns_a_tiny_task(model):
    config = TrainConfig(
        epochs=20, batch_size=32, lr=0.01, policy="random", group_size=2, device="cpu"
    )
    fitted = fit(model, task(400, 0), config, validation=task(200, 1))
    assert fitted.history[-1].policy == "random"
    assert fitted.history[-1].validation_accuracy > 0.95
    assert fitted.history[-1].loss < fitted.history[0].loss


def test_the_same_training_gives_the_same_weights(model, train, expected):
    again = fit(model, train, CONFIG, validation=task(40, 1), threads=1)
    assert weights(again) == weights(expected)
    assert again.history == expected.history


def test_threads_do_not_change_a_bit(model, train, expected):
    again = fit(model, train, CONFIG, validation=task(40, 1), threads=4)
    assert weights(again) == weights(expected)
    assert again.history == expected.history


def test_another_seed_gives_other_weights(model, train, expected):
    config = TrainConfig.from_dict(CONFIG.to_dict() | {"seed": 4})
    assert weights(fit(model, train, config)) != weights(expected)


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_resumed_training_ends_like_an_uninterrupted_one(
    model, train, expected, tmp_path, epochs
):
    def stop(result):
        if result.epoch == epochs - 1:
            raise StopTrainingError

    path = tmp_path / "training"
    with pytest.raises(StopTrainingError):
        fit(model, train, CONFIG, validation=task(40, 1), on_epoch=stop, checkpoint=path)
    resumed = fit(model, train, CONFIG, validation=task(40, 1), checkpoint=path, resume=True)
    assert weights(resumed) == weights(expected)
    assert resumed.history == expected.history


def test_a_checkpoint_of_another_training_is_rejected(model, train, tmp_path):
    path = tmp_path / "training"
    config = TrainConfig.from_dict(CONFIG.to_dict() | {"epochs": 1})
    fit(model, train, config, checkpoint=path)
    with pytest.raises(CheckpointError, match="its epochs is 1, this one has 4"):
        fit(model, train, CONFIG, checkpoint=path, resume=True)
    with pytest.raises(CheckpointError, match="another network or other samples"):
        fit(model, task(96, 5), config, checkpoint=path, resume=True)


def test_a_missing_checkpoint_is_an_error(model, train, tmp_path):
    with pytest.raises(CheckpointError, match="start the training without `resume`"):
        fit(model, train, CONFIG, checkpoint=tmp_path / "none", resume=True)


def test_a_checkpoint_that_cannot_be_read_is_not_called_missing(model, train, tmp_path):
    (tmp_path / "file").touch()
    for path, message in ((tmp_path / "file" / "in", "Not a directory"), ("a\0b", "null char")):
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(path, CONFIG, b"", 1)


def test_dropout_and_noise_are_reproducible(model, train):
    config = TrainConfig.from_dict(
        CONFIG.to_dict()
        | {
            "policy": "momentum",
            "input": "queued",
            "layered_epochs": 1,
            "refractory_dropout": 0.2,
            "input_dropout": 0.1,
            "momentum_noise": 0.5,
        }
    )
    one, two = fit(model, train, config, threads=1), fit(model, train, config, threads=3)
    assert weights(one) == weights(two)
    assert [r.policy for r in one.history] == ["layer-sync", "momentum", "momentum", "momentum"]


def test_callbacks_receive_each_batch_and_epoch(model, train):
    batches, epochs = [], []
    fit(model, train, CONFIG, on_batch=batches.append, on_epoch=epochs.append)
    assert [(b.epoch, b.batch) for b in batches] == [(e, b) for e in range(4) for b in range(6)]
    assert [e.epoch for e in epochs] == [0, 1, 2, 3]
    mean = np.mean([b.loss for b in batches if b.epoch == 2])
    assert epochs[2].loss == pytest.approx(mean)
    assert all(math.isfinite(b.loss) and 0 <= b.accuracy <= 1 for b in batches)


def test_without_an_initial_rate_training_starts_from_the_weights_of_the_model(
    model, train, expected
):
    config = TrainConfig.from_dict(CONFIG.to_dict() | {"init_rate": None, "epochs": 0})
    assert weights(fit(expected.model, train, config)) == weights(expected)


def test_an_exported_bundle_describes_its_training(expected, train):
    bundle = export_bundle(expected, train, golden=2, meta={"data": "thirds"})
    assert read_bundle(dump_bundle(bundle)) == bundle
    assert bundle.meta["data"] == "thirds"
    assert bundle.meta["train.seed"] == 3
    assert bundle.meta["validation_accuracy"] == expected.history[-1].validation_accuracy
    assert (bundle.policy.name, bundle.policy.group_size) == ("random", 2)
    for golden in bundle.golden:
        policy = make_policy(golden.policy.name)
        result = stepwise(bundle.model, golden.events, policy, 2, seed=golden.seed)
        rows = np.array([(p, s, n) for p, s, _, n in result.rows], "<i8")
        assert hashlib.sha256(rows.tobytes()).digest() == golden.spikes_sha256
        assert result.label == golden.label


def test_an_exported_bundle_keeps_its_topology_text(train):
    text = "timestep_us=1000 decay=0.9; input 1x3x4; a c3k3p1; b d3; a -> a delay_us=1000"
    config = TrainConfig.from_dict(CONFIG.to_dict() | {"epochs": 1})
    fitted = fit(parse_topology(text), train, config)
    bundle = read_bundle(dump_bundle(export_bundle(fitted, train, topology=text)))
    assert same_topology(parse_topology(bundle.meta["topology"]), bundle.model)
    with pytest.raises(ValueError, match=r"`topology` must describe the trained network"):
        export_bundle(fitted, train, topology=text.replace("delay_us=1000", "delay_us=2000"))
    with pytest.raises(ValueError, match="if these were learned, leave `topology` out"):
        export_bundle(fitted, train, topology=text.replace("decay=0.9", "decay=0.8"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", -1),
        ("batch_size", 0),
        ("lr", math.nan),
        ("warmup", 1.5),
        ("surrogate", "step"),
        ("loss", "mse"),
        ("policy", "sorted"),
        ("group_size", 0),
        ("input", "last"),
        ("momentum_noise", 0.5),
        ("refractory_dropout", -0.1),
        ("init_rate", math.inf),
        ("init_rate", 0.0),
        ("duration_us", 0),
        ("seed", -1),
        ("device", "tpu"),
    ],
)
def test_an_invalid_configuration_is_rejected(field, value):
    with pytest.raises(ValueError, match=field.split("_")[0]):
        TrainConfig(**{field: value})


def test_a_configuration_can_be_restored_from_its_dict():
    assert TrainConfig.from_dict(CONFIG.to_dict()) == CONFIG
    with pytest.raises(ValueError, match="unknown field"):
        TrainConfig.from_dict({"epoch": 1})


def test_labels_without_an_output_neuron_are_rejected(model):
    data = SpikeTrains.from_trains([SpikeTrain(np.array([0]), np.array([0]))], (12,), [3])
    with pytest.raises(ValueError, match=r"`train.labels\[0\]` must be from 0 to 2, .*, got 3"):
        fit(model, data, CONFIG)
    with pytest.raises(ValueError, match="must have at least one sample, and labels"):
        fit(model, SpikeTrains.from_trains(data, (12,)), CONFIG)


def test_delays_without_a_timestep_are_rejected():
    connection = Dense("input", "a", np.ones((1, 1)), delay_us=5)
    model = Model(0, (1,), (Population("a", (1,)),), (connection,), "a")
    with pytest.raises(ValueError, match="delays"):
        SpikingNetwork(model)


def test_progress_prints_a_line_for_each_epoch_and_changes_nothing(model, train, expected, capfd):
    seen = []
    shown = fit(
        model, train, CONFIG, validation=task(40, 1), threads=1, progress=True,
        on_epoch=seen.append,
    )  # fmt: skip
    assert weights(shown) == weights(expected)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == CONFIG.epochs
    assert seen == list(shown.history)
    last = shown.history[-1]
    assert lines[-1] == (
        f"epoch 4/4: loss {last.loss:.3f}, accuracy {last.accuracy:.1%}, "
        f"validation accuracy {last.validation_accuracy:.1%}"
    )
