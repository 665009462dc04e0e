"""One network in many orders: runs, agreement of labels, the certificate, and errors."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

import neuroasync as na
from neuroasync.metrics import compare_modes, summarise
from neuroasync.shipped import load_bundle, load_spikes


@pytest.fixture(scope="module")
def digits():
    return load_bundle("queued"), load_spikes("digits")[:40]


def test_there_is_a_run_for_every_mode_in_order(digits):
    runs = compare_modes(*digits).runs
    assert len(runs) == len({run.mode for run in runs}) == 14
    assert [r.mode.name for r in runs[:2]] == ["layer-sync"] * 2
    assert [r.mode.name for r in runs[2::4]] == ["random", "momentum", "fifo"]
    assert [(r.mode.input, r.mode.group_size) for r in runs[2:6]] == [
        ("prioritised", 1), ("prioritised", 8), ("queued", 1), ("queued", 8),
    ]  # fmt: skip


async def test_a_run_is_what_the_network_does_with_these_options(digits):
    bundle, samples = digits
    first, run = compare_modes(bundle, samples, "random F=4 queued", orders=2, seed=3, first=5).runs
    assert (first.seed, run.seed) == (3, 4)
    async with na.Network(bundle, policy="random", group_size=4, input="queued") as network:
        decisions = await network.decide_all(samples, seed=4, first=5)
        layered = await network.decide_all(
            samples, seed=3, first=5, policy="layer-sync", input="prioritised"
        )
    expected = summarise(decisions, samples.labels.tolist(), neurons=bundle.model.size)
    assert run.summary.accuracy == expected.accuracy
    assert run.summary.rounds_per_sample == expected.rounds_per_sample
    assert run.summary.synops_per_sample == expected.synops_per_sample
    same = [a.label == b.label for a, b in zip(decisions, layered, strict=True)]
    assert run.same_labels == sum(same) / len(same)


async def test_the_certificate_counts_what_each_order_decides(digits):
    bundle, samples = digits
    compared = compare_modes(bundle, samples, "random F=1 x3; fifo F=8", orders=3, seed=7, first=2)
    certificate = compared.certificate
    right = []
    async with na.Network(bundle, input="prioritised") as network:
        for policy, size, seed in [("random", 1, 7), ("random", 1, 8), ("random", 1, 9),
                                   ("fifo", 8, 7)]:  # fmt: skip
            decisions = await network.decide_all(
                samples, seed=seed, first=2, policy=policy, group_size=size
            )
            labels = np.array([-1 if d.label is None else d.label for d in decisions])
            right.append(labels == samples.labels)
    counts = [int(hits.sum()) for hits in right]
    assert [entry.correct for entry in certificate.modes] == [tuple(counts[:3]), (counts[3],)]
    assert [entry.weight for entry in certificate.modes] == [3, 1]
    assert certificate.always_correct == int(np.logical_and.reduce(right).sum())
    assert (certificate.orders, certificate.samples, certificate.first) == (4, 40, 2)
    assert (certificate.seed, certificate.until) == (7, "quiet")
    assert certificate.worst == min(counts) / 40
    assert certificate.spread == pytest.approx((max(counts) - min(counts)) / 40)
    assert certificate.mean == pytest.approx((sum(counts[:3]) + counts[3]) / 160)
    data = b"".join(
        np.asarray(values, "<i8").tobytes()
        for values in (samples.t_us, samples.index, samples.offsets, samples.labels)
    )
    assert certificate.samples_sha256 == hashlib.sha256(data).digest()


def test_a_bundle_keeps_its_certificate_in_a_file(digits):
    bundle, samples = digits
    certificate = compare_modes(bundle, samples[:5], "fifo; random F=2 x2", orders=2).certificate
    certified = replace(bundle, certificate=certificate)
    assert certified.certificate is certificate
    assert na.read_bundle(na.dump_bundle(certified)).certificate == certificate


def test_a_certificate_for_another_length_of_samples_does_not_belong_to_the_bundle(digits):
    bundle, samples = digits
    compared = compare_modes(bundle, samples[:5], "fifo", duration_us="1s")
    assert replace(bundle, certificate=compared.certificate).certificate is None


def test_the_group_size_of_layer_sync_changes_rounds_only(digits):
    one, eight = compare_modes(*digits, "layer-sync F=1,8").runs
    assert one.same_labels == eight.same_labels == 1
    assert one.summary.spikes_per_sample == eight.summary.spikes_per_sample
    assert one.summary.rounds_per_sample > eight.summary.rounds_per_sample


def test_only_modes_with_chance_run_under_several_seeds(digits):
    bundle, samples = digits
    modes = "layer-sync; fifo; momentum; momentum noise=0.5; random"
    runs = compare_modes(bundle, samples[:3], modes, orders=2).runs
    assert [(run.mode.name, run.mode.noise, run.seed) for run in runs] == [
        ("layer-sync", 0, 0), ("fifo", 0, 0), ("momentum", 0, 0), ("momentum", 0.5, 0),
        ("momentum", 0.5, 1), ("random", 0, 0), ("random", 0, 1),
    ]  # fmt: skip


def test_progress_counts_runs(digits):
    done = []
    compare_modes(*digits, "fifo F=1,2,3 queued", on_run=lambda *numbers: done.append(numbers))
    assert done == [(1, 3), (2, 3), (3, 3)]


def test_samples_without_labels_have_no_certificate(digits):
    bundle, samples = digits
    compared = compare_modes(bundle, replace(samples[:5], labels=None), "fifo")
    assert compared.certificate is None
    assert compared.runs[0].summary.accuracy is None


def test_the_certificate_tells_samples_with_other_values_apart(digits):
    bundle, samples = digits
    ones = np.ones(samples[:5].t_us.size, np.float32)
    digests = {
        compare_modes(bundle, replace(samples[:5], value=value), "fifo").certificate.samples_sha256
        for value in (None, ones, ones / 2)
    }
    assert len(digests) == 3


def test_labels_over_time_are_refused(digits):
    bundle, samples = digits
    over = na.LabelsOverTime.from_samples([[0]], 1_000_000)
    with pytest.raises(ValueError, match=r"^`samples` must be samples with one label each, or wit"):
        compare_modes(bundle, replace(samples[:1], labels=None, labels_over_time=over))


def test_no_samples_and_bad_options_are_refused(digits):
    bundle, samples = digits
    with pytest.raises(ValueError, match="`samples` must have at least one sample"):
        compare_modes(bundle, samples[:0])
    with pytest.raises(na.StopRuleError):
        compare_modes(bundle, samples, until="never")
    with pytest.raises(na.PolicyError, match="group_size"):
        compare_modes(bundle, samples, "random F=0")
    with pytest.raises(ValueError, match="`orders` must be an integer from 1 to 4096, got 0"):
        compare_modes(bundle, samples, orders=0)
    with pytest.raises(ValueError, match="`seed` must be an integer of at most"):
        compare_modes(bundle, samples, orders=2, seed=2**64 - 1)
    for options, message in (
        ({"modes": [bundle.policy]}, r"`modes` must be RunModes or their text form, got \[Policy"),
        ({"until": lambda *_: True}, "`until` must be the text of a stop rule, got <function"),
        ({"on_run": 3}, "`on_run` must be a function, got 3"),
        ({"first": -1}, "`first` must be an integer of at least 0, got -1"),
        ({"first": 2**53 + 1}, "`first` must be an integer"),
        ({"first": 1.5}, "`first` must be an integer"),
    ):
        with pytest.raises(ValueError, match=message):
            compare_modes(bundle, samples, **options)
    for other, name in ((samples[0], "SpikeTrain"), (None, "NoneType"), ([samples[0]], "list")):
        with pytest.raises(ValueError, match=f"`samples` must be SpikeTrains, .*, got {name}$"):
            compare_modes(bundle, other)
    with pytest.raises(TypeError, match=r"^`bundle` must be a Bundle, got Model$"):
        compare_modes(bundle.model, samples)
