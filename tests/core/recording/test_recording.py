"""Recordings: content, digests, files, and differences."""

import hashlib
import random
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import Fifo, LayerSync, Random
from neuroasync.core.engine.run_sample import run_sample
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.recording.file import read_recording, write_recording
from neuroasync.core.recording.recorder import Recorder
from neuroasync.errors import LimitError, RecordingError
from neuroasync.replay.comparison import compare
from tests.core.formats.test_mutated_files import damaged
from tests.helpers.malformed_files import archive, npy
from tests.helpers.recordings import moderate, record, recordings, relay, relay_recording


def test_a_recording_holds_each_spike_in_firing_order():
    r = relay_recording()
    # Pass 0: both inputs are one group (step 0): hidden[0] and hidden[1] fire, neurons 0 and 1.
    # Step 1 delivers neuron 0: out[0] stands at 0.75. Step 2 delivers neuron 1: out[0] at 1.25
    # and out[1] at 1.5 both fire, neurons 2 and 3. Pass 1: neuron 1 fires, then 3 (out[0]: 0.5).
    assert r.sample.tolist() == [0] * 6
    assert r.pass_.tolist() == [0, 0, 0, 0, 1, 1]
    assert r.step.tolist() == [0, 0, 2, 2, 0, 1]
    assert r.time_us.tolist() == [0, 0, 0, 0, 1000, 1000]
    assert r.neuron.tolist() == [0, 1, 2, 3, 1, 3]


def test_a_recording_holds_each_delivery_in_slot_order():
    r = relay_recording()
    # Inputs are 4 and 5 here: N is 4. Output spikes also take slots.
    assert r.delivered_pass.tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 1]
    assert r.delivered_step.tolist() == [0, 0, 1, 2, 3, 4, 0, 1, 2]
    assert r.delivered_neuron.tolist() == [4, 5, 0, 1, 2, 3, 5, 1, 3]
    assert r.delivered_origin.tolist() == [4, 5, 0, 1, 2, 3, 5, 1, 3]
    assert r.delivered_count.tolist() == [1] * 9
    assert r.delivered_connection.tolist() == [-1] * 9


def test_a_recording_holds_the_result_of_each_sample():
    r = relay_recording()
    assert len(r) == 1
    assert r.votes.tolist() == [[1, 2]]
    numbers = (r.number, r.label, r.target, r.passes, r.steps, r.rounds, r.spikes, r.duration_us)
    assert [int(array[0]) for array in numbers] == [0, 1, 1, 2, 6, 6, 6, -1]
    assert r.synops.tolist() == [12]  # 3 input events and 3 hidden spikes, 2 targets each
    assert not r.stopped[0]
    assert r.events(0) == SpikeTrain([0, 0, 1000], [0, 1, 1])
    assert r.info.bundle == relay().digest.hex()
    assert r.spikes_by_population() == {"hidden": 3, "out": 3}


def test_the_digest_covers_pass_step_and_neuron_of_each_row():
    rows = [(0, 0, 0), (0, 0, 1), (0, 2, 2), (0, 2, 3), (1, 0, 1), (1, 1, 3)]
    expected = hashlib.sha256(b"".join(struct.pack("<3q", *row) for row in rows)).digest()
    assert relay_recording().digest == expected
    assert relay_recording().sample_digest(0) == expected


def test_samples_are_ordered_by_number_not_by_end():
    run = RunSettings(Fifo(), 1)
    recorder, simulator = (
        Recorder(relay(), run),
        Simulator(ExecutionPlan(PackedNetwork(relay().model), run)),
    )
    recorder = Recorder(relay(), run)
    for number in (2, 0, 1):
        events = SpikeTrain([0] * number, [1] * number)
        simulator.state.keep = True
        decision = run_sample(simulator, events, seed=number)
        recorder.for_sample(number).add(simulator, events, decision, number=0, seed=number)
    r = recorder.finish()
    assert r.number.tolist() == [0, 1, 2]
    assert r.seed.tolist() == [0, 1, 2]
    assert [len(r.events(k)) for k in range(3)] == [0, 1, 2]
    assert r.target.tolist() == [-1, -1, -1]


def test_sample_with_other_settings_is_rejected():
    simulator = Simulator(ExecutionPlan(PackedNetwork(relay().model), RunSettings(Fifo(), 2)))
    simulator.state.keep = True
    events = SpikeTrain([], [])
    decision = run_sample(simulator, events)
    with pytest.raises(ValueError, match="made for other options: policy='fifo', group_size=1"):
        Recorder(relay(), RunSettings(Fifo(), 1)).add(simulator, events, decision, number=0, seed=0)


def test_recording_rejects_a_sample_beyond_its_limit_and_is_unchanged():
    run = RunSettings(Fifo(), 1)
    recorder, simulator = (
        Recorder(relay(), run, 300),
        Simulator(ExecutionPlan(PackedNetwork(relay().model), run)),
    )
    simulator.state.keep = True
    decision = run_sample(simulator, SpikeTrain([0], [1]))
    recorder.add(simulator, SpikeTrain([0], [1]), decision, number=0, seed=0)
    before = recorder.finish()
    # 2 spikes of 32 bytes, 3 deliveries of 48, an event of 16, votes of 16: 240 (no sample column)
    with pytest.raises(LimitError, match="max_bytes = 300"):
        recorder.add(simulator, SpikeTrain([0], [1]), decision, number=1, seed=0)
    assert recorder.finish() == before


@given(made=recordings())
@moderate(60)
def test_recording_is_read_as_written(made, tmp_path_factory):
    path = tmp_path_factory.mktemp("recording") / "a.npz"
    _, recording = made
    write_recording(recording, path)
    first = path.read_bytes()
    found = read_recording(first)
    assert found == recording
    assert found.digest == recording.digest
    write_recording(found, path)
    assert path.read_bytes() == first


def test_numpy_reads_recordings(tmp_path):
    write_recording(relay_recording(), tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert file["pass"].tolist() == [0, 0, 0, 0, 1, 1]
        assert b'"policy":"fifo"' in file["info"].tobytes()


def test_damaged_recordings_are_equal_or_rejected(tmp_path):
    write_recording(relay_recording(), tmp_path / "a.npz")
    data = (tmp_path / "a.npz").read_bytes()
    for number in range(300):
        assert _read(damaged(data, random.Random(number))) in (None, relay_recording()), number


def test_recordings_of_damaged_arrays_are_valid_or_rejected(tmp_path):
    write_recording(relay_recording(), tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as file:
        members = {name: npy(file[name]) for name in file.files}
    refused = 0
    for number in range(300):
        rng = random.Random(number)
        name = rng.choice(list(members))
        other = members[rng.choice(list(members))]
        change = rng.choice((None, other, damaged(members[name], rng), npy([-(2**63)])))
        changed = {k: v for k, v in (members | {name: change}).items() if v is not None}
        found = _read(archive(changed))
        refused += found is None
        if found is not None:
            write_recording(found, tmp_path / "b.npz")
            assert read_recording(tmp_path / "b.npz") == found
    assert 150 < refused < 300


@pytest.mark.parametrize(
    ("field", "values", "message"),
    [
        ("neuron", [0, 1, 2, 4, 1, 3], "`neuron` must be at most 3, got 4"),
        (
            "neuron",
            [1, 0, 2, 3, 1, 3],
            r"`sample\[1\]` is out of order; rows must ascend by sample, pass_, step, neuron",
        ),
        ("pass_", [0, 0, 0, 0, 1, 2], r"`pass_\[5\]` must be a pass of its sample, got 2"),
        ("step", [0, 0, 2, 1, 0, 1], r"`sample\[3\]` is out of order"),
        (
            "time_us",
            [0, 0, 0, 1, 1000, 1000],
            r"`time_us\[3\]` must be equal within a pass and ascending from pass",
        ),
        (
            "time_us",
            [5, 5, 5, 5, 5, 5],
            r"`time_us\[4\]` must be equal within a pass and ascending",
        ),
        ("sample", [0, 0, 0, 0, 0, 1], "`sample` must be at most 0, got 1"),
        ("sample", [0] * 5, r"`pass_` must be of the same length as `sample` \(5\), got length 6"),
        ("spikes", [7], r"`spikes\[0\]` must be the number of its sample's spikes, got 7"),
        (
            "votes",
            [[1, 2, 0]],
            "`votes` must be an array of 2 columns, one per output neuron, got 3",
        ),
        ("votes", [1, 2], r"`votes` must be 2-dimensional integers, got int64 of shape \(2,\)"),
        ("label", [2], "`label` must be at most 1, got 2"),
        ("label", [-2], "`label` must be at least -1, got -2"),
        (
            "delivered_count",
            [1.5] * 9,
            "`delivered_count` must be 1-dimensional integers, got float64",
        ),
        (
            "delivered_origin",
            [4, 6, 0, 1, 2, 3, 5, 1, 3],
            "`delivered_origin` must be at most 5, got 6",
        ),
        ("seed", [-1], "`seed` must be integers from 0 to 18446744073709551615"),
        ("input_offsets", [0, 2], r"`input_offsets\[1\]` must be 3, the number of events, got 2"),
        ("input_index", [0, 1, 2], r"`input_index\[2\]` must be at most 1"),
        (
            "input_t_us",
            [0, 7, 3],
            r"`input_t_us\[2\]` must be at least 7, the time of the event before",
        ),
        (
            "after_silent_turn",
            [0] * 6,
            "`after_silent_turn` is for recordings under layer-sync only",
        ),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_rejected(field, values, message):
    with pytest.raises(RecordingError, match=f"^{message}"):
        replace(relay_recording(), **{field: np.array(values)})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, 1, 0, 0, 0, 0], r"`after_silent_turn\[1\]` must be equal for all spikes of a step"),
        ([0], r"`after_silent_turn` must be of the same length as `sample` \(6\), got length 1"),
    ],
)
def test_silent_turns_that_do_not_fit_the_spikes_are_rejected(values, message):
    with pytest.raises(RecordingError, match=f"^{message}"):
        replace(relay_recording(LayerSync()), after_silent_turn=np.array(values))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bundle", "ab"),
        ("policy", "newest"),
        ("noise", -1.0),
        ("noise", float("nan")),
        ("group_size", 0),
        ("group_size", True),
        ("input", "sideways"),
        ("populations", (("hidden", 2), ("hidden", 2))),
        ("populations", (("hidden", 0),)),
        ("output", "hidden9"),
        ("custom_populations", ("hidden9",)),
    ],
)
def test_invalid_info_is_rejected(field, value):
    key = {"custom_populations": "own_populations"}.get(field, field)
    with pytest.raises(RecordingError, match=rf"^`info\.{key}` is invalid"):
        replace(relay_recording().info, **{field: value})


@pytest.mark.parametrize(
    "text", [b"", b"[" * 100_000, b"{}", b"null", b'{"bundle":1}', b"\xff", b"1" * 5000, b"NaN"]
)
def test_unreadable_info_is_rejected(text, tmp_path):
    write_recording(relay_recording(), tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as file:
        members = {name: npy(file[name]) for name in file.files}
    members["info"] = npy(np.frombuffer(text, np.uint8))
    with pytest.raises(
        RecordingError,
        match=r"^`info` (cannot be read: |must be a map of )",
    ):
        read_recording(archive(members))


def test_equal_recordings_have_no_difference():
    assert compare(relay_recording(), relay_recording()) is None


def test_first_spike_that_differs_is_reported():
    # As a layer, both hidden spikes are one group: out[0] fires in step 1, and not in step 2.
    difference = compare(relay_recording(), relay_recording(LayerSync()))
    assert (difference.sample, difference.row) == (0, 2)
    assert str(difference) == (
        "sample 0: the first has neuron 2 (out[0]) in pass 0, step 2 (t = 0 µs); "
        "the second has neuron 2 (out[0]) in pass 0, step 1 (t = 0 µs)"
    )


def test_a_recording_that_ends_early_differs_where_it_ends():
    whole, run = relay_recording(), RunSettings(Fifo(), 1)
    short = record(relay(), [SpikeTrain([0, 0], [0, 1])], run)
    assert str(compare(short, whole)) == (
        "sample 0: the first has no further spike; "
        "the second has neuron 1 (hidden[1]) in pass 1, step 0 (t = 1000 µs)"
    )
    assert str(compare(whole, record(relay(), [], run))) == (
        "the first has 1 sample; the second has 0"
    )


def test_arrays_of_a_recording_are_read_only_copies():
    neuron = relay_recording().neuron.copy()
    recording = replace(relay_recording(), neuron=neuron)
    neuron[0] = 3
    assert recording.neuron[0] == 0
    for _, array in recording.arrays():
        assert not array.flags.writeable


def test_repr_of_a_recording_counts_its_samples():
    assert repr(relay_recording(Random())).startswith("<Recording of 1 sample, ")


def _read(data):
    """Return the recording, or None if it is rejected with a short message of one line."""
    message = ""
    try:
        return read_recording(data)
    except RecordingError as error:
        message = str(error)
    assert "\n" not in message
    assert 0 < len(message) < 1000
    return None
