"""Inhibitory and lost charge of runs that can be worked out by hand."""

import asyncio

import numpy as np
import pytest

from neuroasync import LIF, Bundle, Dense, Model, Network, Population, Sparse, SpikeTrain
from neuroasync.errors import RecordingError
from neuroasync.metrics import order_dependence

HIDDEN = Population("hidden", (1,), LIF(v_threshold=1.0))
OUTPUT = Population("output", (1,), LIF(v_threshold=1.0))
TO_OUTPUT = Dense("hidden", "output", [[-2.0]])


def bundle_of(to_hidden, *others, hidden=HIDDEN):
    connections = (to_hidden, *(others or (TO_OUTPUT,)))
    return Bundle(Model(1000, (2,), (hidden, OUTPUT), connections, "output"))


def recording_of(bundle, *trains, **options):
    async def record():
        async with Network(bundle, until="quiet", **options) as network:
            recorder = network.recorder()
            await network.decide_all(trains, recorder=recorder)
        return recorder.finish()

    return asyncio.run(record())


ONE_BY_ONE = {"policy": "fifo", "group_size": 1, "input": "queued"}
BOTH = SpikeTrain([0, 0], [0, 1])
WEIGHTS = Dense("input", "hidden", [[1.25, -0.5]])


def test_inhibition_and_lost_charge_of_a_run_by_hand():
    # Event 0 makes the hidden neuron fire, which loses event 1; its spike then inhibits the output.
    found = order_dependence(
        recording_of(bundle_of(WEIGHTS), BOTH, **ONE_BY_ONE), bundle_of(WEIGHTS)
    )
    assert found.charge == 1.25 + 0.5 + 2.0
    assert found.lost == pytest.approx(0.5 / 3.75)
    assert found.inhibitory == pytest.approx(2.0 / 3.75)
    assert found.share == pytest.approx(2.5 / 3.75)
    assert found.to_json()["share"] == found.share


def test_the_first_group_of_a_pass_counts_for_none_of_the_shares():
    # Together, both events bring 0.75, and nothing fires.
    found = order_dependence(recording_of(bundle_of(WEIGHTS), BOTH), bundle_of(WEIGHTS))
    assert (found.charge, found.inhibitory, found.lost) == (1.75, 0.0, 0.0)


def test_a_neuron_without_refractoriness_loses_nothing():
    eager = Population("hidden", (1,), LIF(v_threshold=1.0, refractory=False))
    bundle = bundle_of(WEIGHTS, hidden=eager)
    found = order_dependence(recording_of(bundle, BOTH, **ONE_BY_ONE), bundle)
    assert (found.charge, found.lost) == (3.75, 0.0)
    assert found.inhibitory == pytest.approx(2.5 / 3.75)


def test_charge_is_a_mean_over_samples_and_counts_values():
    bundle = bundle_of(Dense("input", "hidden", [[0.25, 0.25]]))
    trains = SpikeTrain([0], [0], [2.0]), SpikeTrain([0, 1000], [0, 1])
    assert order_dependence(recording_of(bundle, *trains), bundle).charge == 0.5


def test_sparse_and_delayed_connections_count_like_dense_ones():
    sparse = bundle_of(
        Sparse("input", "hidden", np.array([0, 1, 2]), np.array([0, 0]), np.array([1.25, -0.5])),
        Dense("hidden", "output", [[-2.0]], delay_us=1000),
    )
    long = SpikeTrain([0, 0, 1000], [0, 1, 1])
    found = order_dependence(recording_of(sparse, long, **ONE_BY_ONE), sparse)
    # The delayed spike arrives in the second pass, as its first group.
    assert found.charge == 1.25 + 0.5 + 0.5 + 2.0
    assert found.lost == pytest.approx(0.5 / 4.25)


def test_a_recording_of_another_network_is_refused():
    recording = recording_of(bundle_of(WEIGHTS), BOTH)
    with pytest.raises(RecordingError, match="made with the bundle with digest"):
        order_dependence(recording, bundle_of(Dense("input", "hidden", [[1.0, 1.0]])))
