"""The commands that read recordings and golden samples: verify, replay and explain."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

import neuroasync as na
from neuroasync import read_bundle, write_bundle
from neuroasync.core.engine.policies import LayerSync
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.recording.file import read_recording, write_recording
from neuroasync.core.recording.recorder import Recorder
from neuroasync.explain import deciding_spike
from tests.helpers.cli_files import SAMPLES, golden_bundle


@pytest.fixture
def recorded(cli, files):
    """Path of a recording that the command ``run`` has written."""
    out = files.folder / "run.npz"
    result = cli(
        "run", files.net, files.events, "--policy", "random", "--group-size", 2, "--input",
        "queued", "--until", "margin(3)", "--record", out,
    )  # fmt: skip
    assert result.exit_code == 0
    return out


def test_verify_accepts_a_bundle_that_fires_as_recorded(cli, files):
    result = cli("verify", files.net)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "all 1 hold" in result.stdout
    assert golden_bundle().digest.hex() in result.stdout


def test_verify_shows_a_failed_golden_sample_and_exits_with_1(cli, files, monkeypatch):
    bundle = golden_bundle()
    good, bad = bundle.golden[0], replace(bundle.golden[0], spikes_sha256=bytes(32))
    write_bundle(replace(bundle, golden=(good, bad)), files.net)
    monkeypatch.setenv("COLUMNS", "100")
    result = cli("verify", files.net)
    assert (result.exit_code, result.stderr) == (1, "")
    assert "1 of 2 fail" in result.stdout
    assert "not 000000000000" in result.stdout


def test_verify_fails_if_the_label_differs(cli, files):
    bundle = golden_bundle()
    right = bundle.golden[0].label
    bad = replace(bundle.golden[0], label=None if right is not None else 0)
    write_bundle(replace(bundle, golden=(bad,)), files.net)
    assert cli("verify", files.net).exit_code == 1


def test_recording_replays_with_the_same_spikes(cli, files, recorded):
    result = cli("replay", recorded, "--bundle", files.net)
    assert (result.exit_code, result.stderr) == (0, "")
    recording = read_recording(recorded)
    assert f"{SAMPLES} samples under random, F = 2, queued input, until margin(3)" in result.stdout
    assert f"the same {recording.neuron.size:,} spikes" in result.stdout
    assert recording.digest.hex() in result.stdout


def test_changed_recording_does_not_replay(cli, files, recorded):
    recording = read_recording(recorded)
    last = recording.number.size - 1
    rows = recording.rows_of(last)
    neuron = recording.neuron.copy()
    at = rows.stop - 1
    output = sum(size for _, size in recording.info.populations) - 1
    neuron[at] = output if neuron[at] != output else output - 1
    write_recording(replace(recording, neuron=neuron), recorded)
    result = cli("replay", recorded, "--bundle", files.net)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert re.fullmatch(r"error: [^\n]+\n", result.stderr)


def test_replay_reports_an_order_that_the_policy_does_not_give(cli, files, recorded):
    recording = read_recording(recorded)
    other = replace(recording, seed=recording.seed + np.uint64(1))
    write_recording(other, recorded)
    result = cli("replay", recorded, "--bundle", files.net)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: the policy and the seed give a different order: ")
    assert result.stderr.count("\n") == 1


def test_spike_is_explained_back_to_the_input(cli, files, recorded):
    recording = read_recording(recorded)
    starts = np.cumsum([0, *(size for _, size in recording.info.populations)])
    row = int(np.argmax(recording.neuron >= starts[-2]))
    result = cli("explain", recorded, "--bundle", files.net, "--spike", row)
    assert (result.exit_code, result.stderr) == (0, "")
    sample = recording.number[recording.sample[row]]
    assert result.stdout.startswith(f"row {row}, sample {sample}\noutput[")
    assert result.stdout.splitlines()[-1].startswith("because of input[")


def running_leaders(recording, k):
    """Return (leader, rows that fired) after each step with output spikes, by brute force."""
    sizes = [size for _, size in recording.info.populations]
    start, classes = sum(sizes[:-1]), sizes[-1]
    reached, votes, leaders = {}, [0] * classes, []
    rows = range(*recording.rows_of(k).indices(recording.neuron.size))
    moments = sorted({(int(recording.pass_[r]), int(recording.step[r])) for r in rows})
    for at, moment in enumerate(moments):
        fired = [
            r for r in rows
            if (recording.pass_[r], recording.step[r]) == moment and recording.neuron[r] >= start
        ]  # fmt: skip
        for r in fired:
            neuron = int(recording.neuron[r]) - start
            votes[neuron] += 1
            reached[neuron] = at
        if fired:
            leaders.append((min(reached, key=lambda n: (-votes[n], reached[n], n)), fired))
    return leaders


@pytest.mark.parametrize("until", ["quiet", "margin(2)", "first-spike"])
@pytest.mark.parametrize("seed", range(3))
def test_deciding_spike_is_where_the_label_took_the_lead_for_the_last_time(cli, files, until, seed):
    out = files.folder / "run.npz"
    cli("run", files.net, files.events, "--until", until, "--seed", seed, "--record", out)
    recording = read_recording(out)
    start = sum(size for _, size in recording.info.populations[:-1])
    for k in range(len(recording)):
        leaders = running_leaders(recording, k)
        label = int(recording.label[k])
        if not leaders:
            assert label == -1
            continue
        assert leaders[-1][0] == label
        last = max((i for i, (leader, _) in enumerate(leaders) if leader != label), default=-1)
        fired = leaders[last + 1][1]
        (expected,) = (r for r in fired if recording.neuron[r] == start + label)
        assert deciding_spike(recording, k) == expected


def test_explain_defaults_to_the_spike_that_decided(cli, files, recorded):
    recording = read_recording(recorded)
    first = cli("explain", recorded, "--bundle", files.net)
    decided = [k for k in range(len(recording)) if recording.label[k] >= 0]
    assert first.stdout.startswith(f"row {deciding_spike(recording, decided[0])}, sample ")
    number = int(recording.number[decided[-1]])
    last = cli("explain", recorded, "--bundle", files.net, "--sample", number, "--json")
    found = json.loads(last.stdout)
    assert (found["row"], found["sample"]) == (deciding_spike(recording, decided[-1]), number)
    assert found["chain"][0]["place"] == {
        "population": "output", "position": int(recording.label[decided[-1]])
    }  # fmt: skip
    missing = cli("explain", recorded, "--bundle", files.net, "--sample", 99)
    assert "--sample must be the number of a recorded sample, 0 to 5, got 99" in missing.stderr


def test_json_of_verify_and_replay_says_whether_the_spikes_are_the_same(cli, files, recorded):
    assert json.loads(cli("verify", files.net, "--json").stdout)["holds"] is True
    replayed = cli("replay", recorded, "--bundle", files.net, "--json")
    assert json.loads(replayed.stdout)["same"] is True
    recording = read_recording(recorded)
    write_recording(replace(recording, seed=recording.seed + np.uint64(1)), recorded)
    changed = cli("replay", recorded, "--bundle", files.net, "--json")
    assert changed.exit_code == 1
    assert json.loads(changed.stdout)["difference"] in changed.stderr


def test_json_of_inspect_describes_the_network(cli, files):
    found = json.loads(cli("inspect", files.net, "--json").stdout)
    assert found["sha256"] == golden_bundle().digest.hex()
    names = [p.name for p in golden_bundle().model.populations]
    assert [p["name"] for p in found["populations"]] == names
    assert found["input"] == [12]


def test_json_of_encode_names_the_file(cli, files):
    found = json.loads(cli("encode", "digits", "-o", "x.npz", "--json").stdout)
    assert (found["written"], found["samples"]) == ("x.npz", 360)


def test_explain_rejects_a_row_outside_the_recording(cli, files, recorded):
    result = cli("explain", recorded, "--bundle", files.net, "--spike", 10**9)
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.search(r"--spike must be a row of the recording, which has \d+ spikes", result.stderr)


@pytest.mark.parametrize("options", [(), ("--sample", 0)])
def test_explain_rejects_a_recording_without_samples(cli, files, options):
    recorder = Recorder(read_bundle(files.net), RunSettings(LayerSync(), 8, "prioritised"))
    write_recording(recorder.finish(), "empty.npz")
    result = cli("explain", "empty.npz", "--bundle", files.net, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "the recording has no samples, and so no spike to explain" in result.stderr
    result = cli("explain", "empty.npz", "--bundle", files.net, "--spike", 0)
    assert "--spike must be a row of the recording, which has 0 spikes" in result.stderr


@pytest.mark.parametrize("name", ["net.nab", "events.npz", "./net.nab"])
def test_recording_never_overwrites_its_inputs(cli, files, name):
    before = (files.folder / name).read_bytes()
    result = cli("run", files.net, files.events, "--record", name)
    assert result.exit_code == 2
    assert "must not overwrite an input" in result.stderr
    assert (files.folder / name).read_bytes() == before


def test_inspect_shows_only_the_neuron_features_that_a_network_has(cli, tmp_path):
    plain = na.parse_topology("timestep_us=1000; input 4; a d3; out d2")
    text = "timestep_us=1000; input 4; a d3 reset=subtract reset_amount=0.5 reset_delayed=true"
    rich = na.parse_topology(f"{text} tau_syn_us=500; out d2 neuron=li tau_mem_us=20000")
    for name, model in (("plain", plain), ("rich", rich)):
        na.write_bundle(na.Bundle(model), tmp_path / f"{name}.nab")
    assert "tau_syn" not in cli("inspect", tmp_path / "plain.nab").stdout
    table = " ".join(cli("inspect", tmp_path / "rich.nab").stdout.split())
    for word in ("tau_syn", "subtract 0.5", "next pass", "never fires"):
        assert word in table
    found = json.loads(cli("inspect", tmp_path / "rich.nab", "--json").stdout)["populations"]
    assert (found[0]["reset_delayed"], found[0]["tau_syn_us"]) == (True, 500.0)
    assert found[1]["model"] == "li"
