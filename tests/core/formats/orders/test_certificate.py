"""Certificates: numbers that follow from counts, storage in a bundle, and strict checks."""

from dataclasses import replace

import numpy as np
import pytest

from neuroasync import BundleError, CertifiedMode, OrderCertificate, PolicySpec, read_bundle
from neuroasync.core.formats.bundle import dump_bundle
from neuroasync.core.formats.orders.certificate import network_digest
from tests.helpers.malformed_files import body_of, pack, seal
from tests.helpers.small_networks import chain

BUNDLE = chain()
FIFO, RANDOM = PolicySpec("fifo", 8), PolicySpec("random", 1, "queued")


def certificate(**changes):
    fields = {
        "network_sha256": network_digest(BUNDLE.model, None),
        "samples": 10,
        "samples_sha256": bytes(range(32)),
        "first": 5,
        "seed": 7,
        "until": "quiet",
        "modes": (CertifiedMode(FIFO, (9,)), CertifiedMode(RANDOM, (8, 6, 6), 3)),
        "always_correct": 4,
    }
    return OrderCertificate(**fields | changes)


def test_worst_mean_and_spread_follow_from_the_counts():
    one = certificate()
    assert one.orders == 4
    assert (one.worst, one.worst_order) == (0.6, (RANDOM, 8))  # 8: the second seed from 7
    # The mean of the random mode is 20/30, and its weight is 3: (0.9 + 3 * 2/3) / 4.
    assert one.mean == pytest.approx(0.725)
    assert one.spread == pytest.approx(0.3)
    assert one.always == 0.4


def test_a_certificate_survives_a_file_and_edits_of_the_bundle():
    certified = replace(BUNDLE, certificate=certificate())
    assert read_bundle(dump_bundle(certified)).certificate == certificate()
    edited = replace(certified, meta={"note": "new"}, policy=FIFO, golden=())
    assert edited.certificate == certificate()


def test_a_bundle_without_a_certificate_keeps_its_bytes():
    certified = replace(BUNDLE, certificate=certificate())
    assert "certificate" not in body_of(BUNDLE)
    assert dump_bundle(replace(certified, certificate=None)) == dump_bundle(BUNDLE)


def test_other_weights_or_another_length_of_samples_drop_the_certificate():
    certified = replace(BUNDLE, certificate=certificate())
    connection, *others = BUNDLE.model.connections
    weight = np.array(connection.weight)
    weight[0, 0] += 1
    model = replace(BUNDLE.model, connections=(replace(connection, weight=weight), *others))
    assert replace(certified, model=model).certificate is None
    assert replace(certified, duration_us=10**6).certificate is None


def test_a_file_whose_certificate_is_for_other_weights_is_refused():
    body = body_of(replace(BUNDLE, certificate=certificate()))
    body["certificate"]["network_sha256"] = bytes(32)
    with pytest.raises(BundleError, match=r"`certificate.network_sha256` must be [0-9a-f]{64}, "):
        read_bundle(seal(pack(body)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": 0}, "`certificate.samples` must be an integer of at least 1"),
        ({"samples": 8}, r"`certificate.modes\[0\].correct\[0\]` must be an integer from 0 to 8"),
        ({"samples_sha256": b"x"}, "`certificate.samples_sha256` must be 32 bytes"),
        ({"first": -1}, "`certificate.first` must be"),
        ({"seed": 2**64 - 2}, r"`certificate.modes\[1\].correct` must be a list of at most 2"),
        ({"until": 3}, "`certificate.until` must be text"),
        ({"always_correct": 7}, "`certificate.always_correct` must be an integer from 0 to 6"),
        ({"modes": []}, "`certificate.modes` must be a tuple of 1 to 256 run modes"),
        ({"other": 1}, "`certificate.other` is an unknown key"),
    ],
)
def test_a_file_with_a_wrong_certificate_is_refused(changes, message):
    body = body_of(replace(BUNDLE, certificate=certificate()))
    body["certificate"] |= changes
    with pytest.raises(BundleError, match=message):
        read_bundle(seal(pack(body)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"correct": []}, r"`certificate.modes\[1\].correct` must be a tuple of 1 to 4096"),
        ({"correct": [1.5]}, r"`certificate.modes\[1\].correct\[0\]` must be an integer"),
        ({"weight": 0}, r"`certificate.modes\[1\].weight` must be an integer from 1"),
        ({"policy": {"name": "fifo", "group_size": 8}}, r"modes\[1\].policy` must be different"),
        ({"policy": {"name": "none", "group_size": 8}}, r"modes\[1\].policy.name` must be one of"),
    ],
)
def test_a_file_with_a_wrong_mode_is_refused(changes, message):
    body = body_of(replace(BUNDLE, certificate=certificate()))
    body["certificate"]["modes"][1] |= changes
    with pytest.raises(BundleError, match=message):
        read_bundle(seal(pack(body)))
