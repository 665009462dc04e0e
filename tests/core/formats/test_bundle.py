"""Bundles: written one way, read back the same, refused with path and reason."""

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
@given(model=models(any_weight()))
def test_any_model_survives_a_bundle(model):
    data = dump_bundle(Bundle(model))
    bundle = read_bundle(data)
    assert bundle.model == model
    assert dump_bundle(bundle) == data


def test_everything_in_a_bundle_survives():
    written, read = rich_bundle(), read_bundle(dump_bundle(rich_bundle()))
    assert read == written
    for name in ("model", "classes", "policy", "golden", "meta", "calibration"):
        assert getattr(read, name) == getattr(written, name)
    assert [type(v) for v in read.meta.values()] == [float, str, bool, type(None), int]


def test_the_same_network_twice_is_the_same_file(tmp_path):
    write_bundle(rich_bundle(), tmp_path / "a.nab")
    write_bundle(read_bundle(tmp_path / "a.nab"), tmp_path / "b.nab")
    assert (tmp_path / "a.nab").read_bytes() == (tmp_path / "b.nab").read_bytes()
    assert (tmp_path / "a.nab").read_bytes() == dump_bundle(rich_bundle())


def test_the_order_of_meta_does_not_matter():
    bundle = rich_bundle()
    turned = dict(reversed(bundle.meta.items()))
    again = replace(bundle, meta=turned)
    assert dump_bundle(again) == dump_bundle(bundle)


def test_the_digest_is_that_of_the_body_as_written():
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


def test_what_is_optional_may_be_missing_or_at_its_default():
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


def test_a_whole_number_will_do_for_a_float():
    body = body_of(rich_bundle())
    body["populations"][2]["neuron"]["v_threshold"] = 1
    body["calibration"][1]["error"], body["calibration"][1]["measured"] = 0, 1
    assert read_bundle(seal(pack(body))) == rich_bundle()


def test_bundles_can_be_pickled_copied_and_hashed():
    bundle = rich_bundle()
    assert pickle.loads(pickle.dumps(bundle)) == copy.deepcopy(bundle) == bundle
    assert len({bundle, rich_bundle()}) == 1
    assert bundle != Bundle(bundle.model)
    assert bundle != "bundle"


def test_the_size_is_checked_before_anything_is_read(tmp_path):
    path = tmp_path / "a.nab"
    write_bundle(rich_bundle(), path)
    size = path.stat().st_size
    assert read_bundle(path, max_bytes=size) == rich_bundle()
    for source in (path, path.read_bytes()):
        with pytest.raises(
            BundleError, match=rf": {size} bytes, the limit is {size - 1}; pass a l"
        ):
            read_bundle(source, max_bytes=size - 1)


def test_a_missing_file_is_one_line_with_its_path(tmp_path):
    with pytest.raises(BundleError, match=r"^'.*none.nab': No such file or directory; cannot") as e:
        read_bundle(tmp_path / "none.nab")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "replay"}, r"^name: 'replay', expected one of"),
        ({"group_size": True}, r"^group_size: True, expected an integer from 1 to 2147483647$"),
        ({"input": None}, r"^input: None, expected one of \['prioritised', 'queued'\]$"),
        ({"name": "momentum", "noise": -1.0}, r"^noise: -1.0, expected a number from 0 to 2\*\*53"),
        ({"name": "momentum", "noise": 10**400}, r"^noise: 1000+, expected a number from 0 to"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(fields, message):
    with pytest.raises(BundleError, match=message):
        PolicySpec(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"seed": 2**64}, r"^seed: 18446744073709551616, expected an integer from 0 to"),
        ({"label": -1}, r"^label: -1, expected an integer from 0"),
        ({"spikes_sha256": bytes(31)}, r"^spikes_sha256: b'.*, expected 32 bytes$"),
    ],
)
def test_a_golden_sample_that_cannot_be_is_refused(fields, message):
    with pytest.raises(BundleError, match=message):
        GoldenSample(NO_EVENTS, **fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"golden": (GoldenSample(NO_EVENTS),) * 257}, r"^golden: 257, expected at most 256$"),
        ({"meta": {str(k): k for k in range(1025)}}, r"^meta: 1025 entries, expected at most 1024"),
        ({"meta": {"a": 2**64}}, r"^meta\['a'\]: 18446744073709551616, expected an integer from"),
        ({"meta": {"a": np.float64(1)}}, r"^meta\['a'\]: .*1.0.*, expected text, a number, a bool"),
        ({"meta": {1: 1}}, r"^meta: a key: 1, expected text"),
        ({"meta": {"a": "\ud800"}}, r"^meta\['a'\]: '\\ud800', expected text that UTF-8 can"),
        ({"classes": ("a", "b", "\ud800")}, r"^classes\[2\]: '\\ud800', expected text that UTF-8"),
    ],
)
def test_parts_that_do_not_fit_are_refused_before_anything_is_written(fields, message):
    with pytest.raises(BundleError, match=message):
        Bundle(rich_bundle().model, **fields)


def test_a_bundle_error_is_a_model_error():
    with pytest.raises(ModelError):
        read_bundle(b"")
