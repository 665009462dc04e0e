"""A checkpoint continues its own training, to the bit, and refuses everything else."""

import hashlib
import math
import os
import random
import subprocess
import sys
from dataclasses import replace

import msgpack
import numpy as np
import pytest
import torch

from neuroasync.train import CheckpointError, TrainConfig, fit
from neuroasync.train.checkpoint import fingerprint, load_checkpoint, save_checkpoint
from tests.helpers.paths import ROOT
from tests.helpers.small_trainings import SHORT, TINY, outcome, tiny_samples

TRAIN, VALIDATION = tiny_samples(), tiny_samples(10, seed=1)
START = fingerprint(TINY, TRAIN, VALIDATION)
PARAMETERS = 6 * 5 + 5 * 3 + 1
"""Weights of the network, and the 0 at the end."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A checkpoint of a finished training."""
    path = tmp_path_factory.mktemp("checkpoint") / "training"
    fit(TINY, TRAIN, SHORT, validation=VALIDATION, checkpoint=path)
    assert os.listdir(path.parent) == ["training"]
    return path.read_bytes()


@pytest.fixture
def load(tmp_path):
    """Write a checkpoint, and load it for the same training."""

    def loaded(content, config=SHORT, start=START, parameters=PARAMETERS):
        (tmp_path / "file").write_bytes(content)
        return load_checkpoint(tmp_path / "file", config, start, parameters)

    return loaded


def changed(data, *path, to):
    """Return a checkpoint in which one field has another value, with the right digest."""
    outer = msgpack.unpackb(data)
    body = msgpack.unpackb(outer["training"])
    place = body
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return resealed(outer, body)


def resealed(outer, body):
    """Return a checkpoint with this body and its digest."""
    outer = outer | {"training": msgpack.packb(body)}
    outer["sha256"] = hashlib.sha256(outer["training"]).digest()
    return msgpack.packb(outer)


def array(values, dtype="<f4", **fields):
    values = np.asarray(values, dtype)
    return {"dtype": dtype, "shape": list(values.shape), "data": values.tobytes()} | fields


def test_a_loaded_checkpoint_equals_what_was_saved(data, load, tmp_path):
    state = load(data)
    assert [result.epoch for result in state.history] == [0, 1, 2]
    assert [result.policy for result in state.history] == ["layer-sync", "random", "random"]
    assert state.parameters.dtype == np.float32
    assert state.parameters.size == PARAMETERS
    save_checkpoint(tmp_path / "again", SHORT, START, state)
    assert (tmp_path / "again").read_bytes() == data


def test_a_training_without_validation_has_none_in_its_history(tmp_path):
    path = tmp_path / "file"
    done = fit(TINY, TRAIN, SHORT, checkpoint=path)
    state = load_checkpoint(path, SHORT, fingerprint(TINY, TRAIN, None), PARAMETERS)
    assert state.history == done.history
    assert state.history[0].validation_accuracy is None


def test_every_flipped_bit_is_refused(data, load):
    rng = random.Random(5)
    for at in {*range(200), *rng.sample(range(len(data)), 800)}:
        content = bytearray(data)
        content[at] ^= 1 << rng.randrange(8)
        with pytest.raises(CheckpointError):
            load(bytes(content))


def test_every_cut_is_refused(data, load):
    for size in range(0, len(data), 37):
        with pytest.raises(CheckpointError):
            load(data[:size])
    with pytest.raises(CheckpointError, match="1 bytes follow"):
        load(data + b"\0")


@pytest.mark.parametrize("content", [b"", b"PK\3\4 and so on", bytes(1000), b"\x80"])
def test_what_is_no_checkpoint_is_refused(load, content):
    with pytest.raises(CheckpointError, match=r"file' is not a checkpoint, or it is|not a checkpo"):
        load(content)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("config",), 5, "`config` must be a map, got an integer"),
        (("config", "lr"), 0.5, "its lr is 0.5, this one has 0.01"),
        (("config", "seed"), 4, "its seed is 4, this one has 3"),
        (("config", "extra"), 4, r"`config\.extra` is an unknown key"),
        (("start",), b"0" * 32, "another network or other samples"),
        (("start",), "text", "another network or other samples"),
        (("start",), None, "another network or other samples"),
        (("parameters",), None, "`parameters` must be a map, got nil"),
        (("parameters",), array(np.zeros(9)), rf"`parameters\.shape` must be \[{PARAMETERS}\]"),
        (("parameters",), array(np.zeros((1, PARAMETERS))), r"`parameters\.shape` must be"),
        (("parameters",), array(np.zeros(PARAMETERS), "<f8"), r"`parameters\.dtype` must be '<f4'"),
        (("parameters",), array([math.nan] * PARAMETERS), r"`parameters\[0\]` must be finite"),
        (("mean",), array([math.inf] * PARAMETERS), r"`mean\[0\]` must be finite, got inf"),
        (("square",), array([-1.0] * PARAMETERS), r"`square\[0\]` must be a finite number of at l"),
        (("square",), array(np.zeros(PARAMETERS), data=b""), r"`square\.data` must be"),
        (("history",), [], "`history` must be a map, got a list"),
        (("history", "loss"), array([], "<f8"), r"`history\.loss` must be numbers of 1 to 3 "),
        (("history", "loss"), array([1.0] * 4, "<f8"), r"1 to 3 epochs, got 4 epochs"),
        (("history", "loss"), array([1.0, 1, math.nan], "<f8"), r"`history\.loss\[2\]` must be"),
        (("history", "accuracy"), array([0, 0, 1.5], "<f8"), r"accuracy\[2\]` must be a number"),
        (("history", "spikes"), array([1.0], "<f8"), r"`history\.spikes\.shape` must be \[3\]"),
        (("history", "seconds"), array([-1.0] * 3, "<f8"), r"`history\.seconds\[0\]` must be"),
        (
            ("history", "validation_accuracy"),
            array([0.5, math.nan, 0.5], "<f8"),
            r"`history\.validation_accuracy\[1\]` must be a number from 0 to 1, got nan",
        ),
        (("history", "other"), array([1.0] * 3, "<f8"), r"`history\.other` is an unknown key"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_refused_by_its_name(data, load, path, value, message):
    with pytest.raises(CheckpointError, match=message):
        load(changed(data, *path, to=value))


@pytest.mark.parametrize("key", ["config", "start", "parameters", "mean", "square", "history"])
def test_a_missing_field_is_refused_by_its_name(data, load, key):
    outer = msgpack.unpackb(data)
    body = msgpack.unpackb(outer["training"])
    del body[key]
    with pytest.raises(CheckpointError, match=f"`{key}` is missing"):
        load(resealed(outer, body))


def test_another_version_is_refused_by_its_number(data, load):
    outer = msgpack.unpackb(data)
    outer["version"] = 3
    with pytest.raises(CheckpointError, match="`version` must be 2, the version that this package"):
        load(msgpack.packb(outer))


@pytest.mark.parametrize(
    "other",
    [
        {"train": tiny_samples(24, seed=9)},
        {"validation": tiny_samples(10, seed=9)},
        {"validation": None},
        {"model": replace(TINY, timestep_us=2000)},
    ],
    ids=["train", "validation", "no validation", "model"],
)
def test_a_training_with_another_network_or_other_samples_does_not_resume(data, tmp_path, other):
    path = tmp_path / "file"
    path.write_bytes(data)
    arguments = {"model": TINY, "train": TRAIN, "validation": VALIDATION} | other
    with pytest.raises(CheckpointError, match="another network or other samples"):
        fit(config=SHORT, checkpoint=path, resume=True, **arguments)
    assert path.read_bytes() == data


def test_a_checkpoint_of_version_1_is_refused_with_a_reason(load, tmp_path):
    torch.save({"format": "neuroasync-checkpoint-1", "config": {}}, tmp_path / "old")
    with pytest.raises(CheckpointError, match="version 1 has no digest, so start its training aga"):
        load((tmp_path / "old").read_bytes())


def test_reading_a_checkpoint_executes_no_code(load, tmp_path):
    torch.save(os.system, tmp_path / "code")
    with pytest.raises(CheckpointError, match="is a file of torch, not a checkpoint"):
        load((tmp_path / "code").read_bytes())


@pytest.mark.parametrize("place", ["folder", "pipe", "none/file"])
def test_a_checkpoint_that_cannot_be_written_is_refused_before_the_training(tmp_path, place):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    batches = []
    with pytest.raises(CheckpointError, match=r"must be a regular file|cannot be written"):
        fit(TINY, TRAIN, SHORT, checkpoint=tmp_path / place, on_batch=batches.append)
    assert batches == []


def test_two_trainings_cannot_use_one_checkpoint(tmp_path):
    path = tmp_path / "file"
    refused = []

    def start_another(result):
        with pytest.raises(
            CheckpointError, match=r"another process \(\d+\) is training with th"
        ) as e:
            fit(TINY, TRAIN, SHORT, checkpoint=path, resume=True)
        refused.append(str(e.value))

    done = fit(TINY, TRAIN, SHORT, checkpoint=path, on_epoch=start_another)
    assert len(refused) == 3
    assert outcome(done) == outcome(fit(TINY, TRAIN, SHORT))
    assert os.listdir(tmp_path) == ["file"]


def test_a_killed_training_does_not_lock_its_checkpoint(tmp_path):
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from neuroasync.train import fit\n"
        "from tests.helpers.small_trainings import SHORT, TINY, tiny_samples\n"
        "fit(TINY, tiny_samples(), SHORT, checkpoint=sys.argv[2],\n"
        "    on_epoch=lambda result: os.kill(os.getpid(), 9))\n"
    )
    path = tmp_path / "file"
    args = [sys.executable, "-c", code, str(ROOT), str(path)]
    assert subprocess.run(args, check=False).returncode == -9
    resumed = fit(TINY, TRAIN, SHORT, checkpoint=path, resume=True)
    assert outcome(resumed) == outcome(fit(TINY, TRAIN, SHORT))
    assert os.listdir(tmp_path) == ["file"]


def test_a_failed_write_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    path, saved = tmp_path / "file", []

    def keep(result):
        saved.append(path.read_bytes())
        monkeypatch.setattr(os, "fsync", fail)

    def fail(handle):
        raise OSError(28, "No space left on device")

    with pytest.raises(CheckpointError, match="No space left on device"):
        fit(TINY, TRAIN, SHORT, checkpoint=path, on_epoch=keep)
    assert saved == [path.read_bytes()]
    assert (
        len(load_checkpoint(path, SHORT, fingerprint(TINY, TRAIN, None), PARAMETERS).history) == 1
    )


def test_resume_needs_a_checkpoint():
    with pytest.raises(ValueError, match="`resume=True` needs a `checkpoint`"):
        fit(TINY, TRAIN, TrainConfig(), resume=True)


STRANGE = [None, True, -1, 2**64 - 1, 0.5, math.nan, "", "x" * 300, b"", b"\0" * 64, [], [[]], {}]


def places(tree):
    """Yield every (map or list, key) of a tree."""
    for key, value in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
        yield tree, key
        if isinstance(value, dict | list):
            yield from places(value)


def test_a_rebuilt_checkpoint_is_read_or_refused(data, load):
    rng, outer = random.Random(7), msgpack.unpackb(data)
    refused = 0
    for _ in range(1000):
        body = msgpack.unpackb(outer["training"])
        place, key = rng.choice(list(places(body)))
        match rng.randrange(4):
            case 0:
                place[key] = rng.choice(STRANGE)
            case 1:
                del place[key]
            case 2 if isinstance(place, dict):
                place[f"{key}x"] = place.pop(key)
            case _ if isinstance(place[key], bytes):
                place[key] = rng.randbytes(len(place[key]))
            case _:
                place[key] = [place[key]]
        try:
            state = load(resealed(outer, body))
        except CheckpointError:
            refused += 1
        else:
            assert np.isfinite(state.parameters).all()
            assert all(0 <= result.accuracy <= 1 for result in state.history)
    assert refused > 700
