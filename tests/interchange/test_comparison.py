"""One network under every order: rows, agreement of labels, and errors."""

import pytest

import neuroasync as na
from neuroasync.interchange import compare
from neuroasync.metrics import summarise
from neuroasync.shipped import load_bundle, load_spikes


@pytest.fixture(scope="module")
def digits():
    return load_bundle("queued"), load_spikes("digits")[:40]


def test_there_is_a_run_for_every_combination_in_order(digits):
    runs = compare(*digits)
    assert len(runs) == len({(r.policy, r.input, r.group_size) for r in runs}) == 16
    assert [r.policy for r in runs[::4]] == ["layer-sync", "random", "momentum", "fifo"]
    assert [(r.input, r.group_size) for r in runs[:4]] == [
        ("prioritised", 1), ("prioritised", 8), ("queued", 1), ("queued", 8),
    ]  # fmt: skip


async def test_a_run_is_what_the_network_does_with_these_options(digits):
    bundle, samples = digits
    (run,) = compare(
        bundle, samples, policies=["random"], group_sizes=[4], inputs=["queued"], seed=3, first=5
    )
    async with na.Network(bundle, policy="random", group_size=4, input="queued") as network:
        decisions = await network.decide_all(samples, seed=3, first=5)
        layered = await network.decide_all(
            samples, seed=3, first=5, policy="layer-sync", input="prioritised"
        )
    expected = summarise(decisions, samples.labels.tolist(), neurons=bundle.model.size)
    assert run.summary.accuracy == expected.accuracy
    assert run.summary.rounds_per_sample == expected.rounds_per_sample
    assert run.summary.synops_per_sample == expected.synops_per_sample
    same = [a.label == b.label for a, b in zip(decisions, layered, strict=True)]
    assert run.same_labels == sum(same) / len(same)


def test_the_group_size_of_layer_sync_changes_rounds_only(digits):
    one, eight = compare(*digits, policies=["layer-sync"], inputs=["prioritised"])
    assert one.same_labels == eight.same_labels == 1
    assert one.summary.spikes_per_sample == eight.summary.spikes_per_sample
    assert one.summary.rounds_per_sample > eight.summary.rounds_per_sample


def test_progress_counts_runs(digits):
    done = []
    compare(
        *digits, policies=["fifo"], group_sizes=[1, 2, 3], inputs=["queued"], on_run=done.append
    )
    assert done == [1, 2, 3]


def test_no_samples_and_bad_options_are_refused(digits):
    bundle, samples = digits
    with pytest.raises(ValueError, match="`samples` must have at least one sample"):
        compare(bundle, samples[:0])
    with pytest.raises(na.StopRuleError):
        compare(bundle, samples, until="never")
    with pytest.raises(ValueError, match="group_size"):
        compare(bundle, samples, group_sizes=[0])
