"""Bundles: canonical writing, reading, and the rejection of invalid values."""

import copy
import hashlib
import pickle
from dataclasses import replace

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings

from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.formats.bundle import (
    Bundle,
    GoldenSample,
    PolicySpec,
    dump_bundle,
    read_bundle,
    write_bundle,
)
from neuroasync.errors import BundleError, ModelError
from tests.helpers.malformed_files import body_of, pack, rich_bundle, seal
from tests.helpers.strategies import any_weight, models

NO_EVENTS = SpikeTrain([], [])


@settings(deadline=None)
@given(model=models(any_weight(), extended=True))
def test_any_model_is_read_as_written(model):
    data = dump_bundle(Bundle(model))
    bundle = read_bundle(data)
    assert bundle.model == model
    assert dump_bundle(bundle) == data


def test_every_field_of_a_bundle_is_read_as_written():
    written, read = rich_bundle(), read_bundle(dump_bundle(rich_bundle()))
    assert read == written
    for name in ("model", "classes", "policy", "golden", "meta", "calibration", "duration_us"):
        assert getattr(read, name) == getattr(written, name)
    assert [type(v) for v in read.meta.values()] == [float, str, bool, type(None), int]


def test_equal_bundles_give_equal_files(tmp_path):
    write_bundle(rich_bundle(), tmp_path / "a.nab")
    write_bundle(read_bundle(tmp_path / "a.nab"), tmp_path / "b.nab")
    assert (tmp_path / "a.nab").read_bytes() == (tmp_path / "b.nab").read_bytes()
    assert (tmp_path / "a.nab").read_bytes() == dump_bundle(rich_bundle())


def test_order_of_meta_does_not_matter():
    bundle = rich_bundle()
    turned = dict(reversed(bundle.meta.items()))
    again = replace(bundle, meta=turned)
    assert dump_bundle(again) == dump_bundle(bundle)


def test_digest_is_that_of_the_written_body():
    outer = msgpack.unpackb(dump_bundle(rich_bundle()))
    assert rich_bundle().digest == outer["sha256"] == hashlib.sha256(outer["network"]).digest()
    assert read_bundle(dump_bundle(rich_bundle())).digest == outer["sha256"]


def test_keys_are_read_in_any_order():
    def turned(value):
        if isinstance(value, dict):
            return {k: turned(v) for k, v in reversed(value.items())}
        return [turned(v) for v in value] if isinstance(value, list) else value

    body = turned(body_of(rich_bundle()))
    assert body != list(body_of(rich_bundle()))
    assert read_bundle(seal(pack(body))) == rich_bundle()
    outer = msgpack.unpackb(dump_bundle(rich_bundle()))
    assert read_bundle(pack(turned(outer))) == rich_bundle()


def test_optional_fields_may_be_missing_or_have_their_default():
    body = body_of(rich_bundle())
    for key in ("classes", "policy", "golden", "meta", "calibration"):
        del body[key]
    del body["populations"][2]["neuron"]["sync_threshold"]
    del body["connections"][3]["delay_us"]
    bare = read_bundle(seal(pack(body)))
    assert (bare.classes, bare.policy, bare.golden, bare.meta) == (None, PolicySpec(), (), {})
    assert bare.calibration == ()
    body["golden"], body["meta"], body["calibration"] = [], {}, []
    body["policy"] = {"name": "layer-sync", "group_size": 1, "input": "prioritised", "noise": 0}
    body["populations"][2]["neuron"]["sync_threshold"] = 0
    body["connections"][3]["delay_us"] = 0
    assert read_bundle(seal(pack(body))) == bare


def test_integer_is_accepted_for_a_float():
    body = body_of(rich_bundle())
    body["populations"][2]["neuron"]["v_threshold"] = 1
    body["calibration"][1]["error"], body["calibration"][1]["measured"] = 0, 1
    assert read_bundle(seal(pack(body))) == rich_bundle()


def test_bundles_can_be_pickled_copied_and_hashed():
    bundle = rich_bundle()
    assert pickle.loads(pickle.dumps(bundle)) == copy.deepcopy(bundle) == bundle
    for duplicate in (pickle.loads(pickle.dumps(bundle)), copy.deepcopy(bundle)):
        weights = [connection.weight for connection in duplicate.model.connections]
        assert not any(weight.flags.writeable for weight in weights)
    assert len({bundle, rich_bundle()}) == 1
    assert bundle != Bundle(bundle.model)
    assert bundle != "bundle"


def test_size_is_checked_before_anything_is_read(tmp_path):
    path = tmp_path / "a.nab"
    write_bundle(rich_bundle(), path)
    size = path.stat().st_size
    assert read_bundle(path, max_bytes=size) == rich_bundle()
    for source in (path, path.read_bytes()):
        with pytest.raises(
            BundleError, match=rf"has {size} bytes, the limit is {size - 1}; pass a l"
        ):
            read_bundle(source, max_bytes=size - 1)


def test_missing_file_is_reported_in_one_line_with_its_path(tmp_path):
    with pytest.raises(
        BundleError,
        match=r"^'.*/none\.nab': cannot",
    ) as e:
        read_bundle(tmp_path / "none.nab")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "replay"}, r"^`name` must be one of \['layer-sync', 'random', 'momentum', 'fifo"),
        ({"group_size": True}, r"^`group_size` must be an integer of at least 1, got True$"),
        ({"input": None}, r"^`input` must be one of \['prioritised', 'queued'\], got None$"),
        ({"name": "momentum", "noise": -1.0}, r"^`noise` must be a number of at least 0, got -1\."),
        ({"name": "momentum", "noise": 10**400}, r"^`noise` must be a number of at least 0, got 1"),
    ],
)
def test_invalid_policy_is_rejected(fields, message):
    with pytest.raises(BundleError, match=message):
        PolicySpec(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"seed": 2**64}, r"^`seed` must be an integer of at most 18446744073709551615, got 18446"),
        ({"label": -1}, r"^`label` must be an integer of at least 0, got -1$"),
        ({"spikes_sha256": bytes(31)}, r"^`spikes_sha256` must be 32 bytes, got b'\\x00\\x00\\x00"),
    ],
)
def test_invalid_golden_sample_is_rejected(fields, message):
    with pytest.raises(BundleError, match=message):
        GoldenSample(NO_EVENTS, **fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"golden": (GoldenSample(NO_EVENTS),) * 257},
            r"^`golden` must be a list of at most 256 samples, got 257$",
        ),
        ({"meta": {str(k): k for k in range(1025)}}, r"^`meta` must be a map of at most 1024 entr"),
        ({"meta": {"a": 2**64}}, r"^`meta\['a'\]` must be an integer of at most 18446744073709551"),
        ({"meta": {"a": np.bool_(1)}}, r"^`meta\['a'\]` must be text, a number, a bool or nil,"),
        ({"meta": {1: 1}}, r"^`key of meta` must be text of 1 to 128 characters, got 1$"),
        ({"meta": {"a": "\ud800"}}, r"^`meta\['a'\]` must be text that UTF-8 can encode, got '\\u"),
        ({"classes": ("a", "b", "\ud800")}, r"^`classes\[2\]` must be text that UTF-8 can encode,"),
    ],
)
def test_parts_that_do_not_fit_are_rejected_on_construction(fields, message):
    with pytest.raises(BundleError, match=message):
        Bundle(rich_bundle().model, **fields)


def test_numbers_of_numpy_are_written_as_plain_numbers():
    meta = {"epochs": np.int64(60), "accuracy": np.float32(0.5), "samples": np.uint8(7)}
    bundle = replace(rich_bundle(), meta=meta)
    assert bundle.meta == {"epochs": 60, "accuracy": 0.5, "samples": 7}
    assert [type(value) for value in bundle.meta.values()] == [int, float, int]
    assert read_bundle(dump_bundle(bundle)) == bundle


def test_a_bundle_error_is_a_model_error():
    with pytest.raises(ModelError):
        read_bundle(b"")


def test_a_bundle_without_a_duration_has_no_such_key():
    assert "duration_us" not in body_of(replace(rich_bundle(), duration_us=None))
    assert body_of(replace(rich_bundle(), duration_us=7000))["duration_us"] == 7000


@pytest.mark.parametrize("duration_us", [0, -1, 1.5, True, "20ms", 2**63])
def test_a_duration_is_a_positive_integer(duration_us):
    with pytest.raises(BundleError, match=r"^`duration_us` must be an integer of at "):
        replace(rich_bundle(), duration_us=duration_us)
    body = body_of(rich_bundle()) | {"duration_us": duration_us}
    with pytest.raises(BundleError, match=r"^`duration_us` must be an integer of at "):
        read_bundle(seal(pack(body)))


def test_nil_in_a_file_is_no_duration():
    with pytest.raises(BundleError, match=r"^`duration_us` must be an integer of at least 1"):
        read_bundle(seal(pack(body_of(rich_bundle()) | {"duration_us": None})))


def test_golden_samples_end_before_the_duration():
    golden = (GoldenSample(SpikeTrain([0, 5000], [0, 0])),)
    bundle = replace(rich_bundle(), golden=golden, duration_us=5001)
    with pytest.raises(BundleError, match=r"^`golden\[0\].events.t_us\[-1\]` must be below "):
        replace(bundle, duration_us=5000)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"model": None}, r"`model` must be of type Model, got NoneType"),
        ({"policy": "random"}, r"`policy` must be of type PolicySpec, got str"),
        ({"vote_window": 5}, r"`vote_window` must be of type VoteWindow, got int"),
        ({"certificate": 5}, r"`certificate` must be of type OrderCertificate, got int"),
        ({"classes": 5}, r"`classes` must be a tuple, got int"),
        ({"classes": "ab"}, r"`classes` must be a tuple, got str"),
        ({"golden": 5}, r"`golden` must be a tuple, got int"),
        ({"calibration": None}, r"`calibration` must be a tuple, got NoneType"),
        ({"golden": [5]}, r"`golden\[0\]` must be of type GoldenSample, got int"),
        ({"calibration": [5]}, r"`calibration\[0\]` must be of type Calibration, got int"),
        ({"meta": None}, r"`meta` must be a map from text to plain values, got NoneType"),
    ],
)
def test_part_of_another_type_is_refused_by_its_name(parts, message):
    with pytest.raises(BundleError, match=f"^{message}$"):
        replace(rich_bundle(), **parts)


def test_parts_may_be_any_iterable_and_are_kept_as_tuples():
    bundle = rich_bundle()
    again = replace(
        bundle,
        classes=iter(bundle.classes),
        golden=iter(bundle.golden),
        calibration=iter(bundle.calibration),
    )
    assert bundle.golden
    assert bundle.calibration
    assert again == bundle
    assert again.golden == bundle.golden
