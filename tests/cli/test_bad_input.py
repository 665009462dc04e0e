"""Bad input gives one line on stderr and exit code 2, and nothing is written."""

import os

import pytest

from neuroasync import write_bundle, write_spikes
from tests.helpers.cli_files import golden_bundle, some_trains
from tests.helpers.small_networks import chain, loop

STUDY = ("study", "--train", "events.npz")
NETWORK = "timestep_us=1000; input 12; output d4"


def error_line(result, files, before):
    """Check the exit code and the outputs of a failed command, and return its error message."""
    assert result.exit_code == 2
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    assert lines[0].isprintable()
    assert files.listing() == before
    return lines[0]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("walk",), "no such command 'walk'"),
        (("run",), "missing argument"),
        (("run", "net.nab"), "missing argument"),
        (("run", "no.nab", "events.npz"), "'no.nab': cannot be read: No such file"),
        (("run", "net.nab", "no.npz"), "'no.npz': cannot be read: No such file"),
        (
            ("run", "events.npz", "net.nab"),
            "'events.npz' is a spike file, not a network (.nab); the arguments are NETWORK SAMPLES",
        ),
        (
            ("run", "digits", "unlayered"),
            "'digits' is the name of shipped samples, not of a shipped network; the arguments are",
        ),
        (("run", "net.nab", "net.nab"), "'net.nab' is a network (.nab), not a spike file"),
        (("run", "unlayerd", "digits"), "did you mean 'unlayered'? shipped networks: "),
        (("run", "net.nab", "digit"), "did you mean 'digits'? shipped samples: "),
        (("run", ".", "events.npz"), "must be a regular file"),
        (("run", "a\0b", "events.npz"), "null"),
        (("run", "net.nab", "events.npz", "--policy", "best"), "'--policy': 'best' is not one of"),
        (
            ("run", "net.nab", "events.npz", "--policy", "momentm"),
            "'fifo'; did you mean 'momentum'?",
        ),
        (("run", "net.nab", "events.npz", "--until", "margn(3)"), "did you mean 'margin'?"),
        (("encode", "spoken-digit"), "did you mean 'spoken-digits'?"),
        (("train", "digits", "--recipe", "layred"), "did you mean 'layered'?"),
        (("help", "rnu"), "Did you mean 'run'?"),
        (("run", "net.nab", "events.npz", "--seed", "9" * 5000), "'--seed': "),
        (("calibrate", "net.nab", "events.npz", "-o", "net.nab"), "must not overwrite an input"),
        (
            ("explain", "r.npz", "--bundle", "net.nab", "--sample", "0", "--spike", "0"),
            "--sample cannot be combined with --spike",
        ),
        (
            ("run", "net.nab", "events.npz", "--group-size", "0"),
            "'--group-size': must be at least 1",
        ),
        (
            ("run", "net.nab", "events.npz", "--group-size", "x"),
            "'--group-size': must be an integer",
        ),
        (("run", "net.nab", "events.npz", "--seed", "1.5"), "'--seed': must be an integer"),
        (("run", "net.nab", "events.npz", "--input", "last"), "--input"),
        (("run", "net.nab", "events.npz", "--seed", "-1"), "--seed"),
        (("run", "net.nab", "events.npz", "--seed", str(2**64)), "--seed"),
        (
            ("run", "net.nab", "events.npz", "--until", "margin(0)"),
            "confidence(p) and trained, got 'margin(0)'",
        ),
        (
            ("run", "net.nab", "events.npz", "--until", "soon"),
            "--until must be quiet, first-spike, votes(k)",
        ),
        (("compare", "net.nab", "events.npz", "--modes", "lifo"), "error: --modes has 'lifo'"),
        (("stress", "net.nab", "events.npz", "--stresses", "a"), "error: --stresses has 'a'"),
        (("run", "net.nab", "events.npz", "--samples", "3"), "--samples must be A:B"),
        (("run", "net.nab", "events.npz", "--samples", "a:b"), "--samples must be A:B"),
        (("run", "net.nab", "events.npz", "--samples", "-1:2"), "--samples"),
        (("run", "net.nab", "events.npz", "--samples", "0:7"), "the file has 6 samples"),
        (("run", "net.nab", "events.npz", "--samples", "3:3"), "A < B <= 6"),
        (("run", "net.nab", "events.npz", "--samples", "4:2"), "A < B <= 6"),
        (("run", "net.nab", "events.npz", "--max-forward-steps", "0"), "--max-forward-steps"),
        (("run", "net.nab", "events.npz", "--record", "no/where.npz"), "there is no folder 'no'"),
        (("run", "net.nab", "events.npz", "--record", "."), "is not a regular file"),
        (("run", "net.nab", "events.npz", "--loud"), "--loud"),
        (("inspect", "no.nab"), "No such file"),
        (("inspect", "events.npz"), "'events.npz' is a spike file, not a network (.nab)"),
        (("verify", "no.nab"), "No such file"),
        (("serve", "no.nab"), "'no.nab': cannot be read: No such file"),
        (("serve", "net.nab", "--port", "70000"), "--port"),
        (("serve", "net.nab", "--when-full", "wait"), "--when-full"),
        (("serve", "net.nab", "--workers", "0"), "--workers"),
        (("serve", "net.nab", "--token", ""), "--token must not be empty"),
        (("serve", "net.nab", "--host", "192.0.2.1"), "192.0.2.1:8000: Cannot assign"),
        (("replay", "no.npz", "--bundle", "net.nab"), "No such file"),
        (
            ("replay", "events.npz", "--bundle", "net.nab"),
            "'events.npz' is a spike file, not a recording of a run",
        ),
        (("replay", "events.npz"), "--bundle"),
        (("explain", "no.npz", "--bundle", "net.nab", "--spike", "0"), "No such file"),
        (("train", "cifar", "--recipe", "layered"), "'cifar' is not one of 'digits', 'mnist', "),
        (("train", "--recipe", "layered"), "requires a DATASET, or --train FILE"),
        (
            ("train", "mnist", "--recipe", "layered", "--data", "no"),
            "'no': no such folder of data sets",
        ),
        (
            ("train", "digits", "--recipe", "layered", "--input", "queued"),
            "--input queued requires an unlayered recipe",
        ),
        (("train", "digits", "--recipe", "layered", "--input", "last"), "--input"),
        (
            ("train", "digits", "--train", "events.npz", "--topology", "t", "--recipe", "layered"),
            "--train cannot be combined with a DATASET",
        ),
        (("study", "cifar"), "'cifar' is not one of 'digits', 'mnist', "),
        (("study", "--seeds", "0"), "--seeds"),
        (
            ("study", "braille", "--seeds", "6"),
            "--seeds must have at most 5 entries, one for each fold",
        ),
        (
            ("study", "--data", "no"),
            "'no': no such folder of data sets",
        ),
        (("study", "-o", "net.nab"), "must be a folder"),
        (("study", "-o", "no/where"), "there is no folder 'no'"),
        (("study", "-o", "."), "is not empty and has no study.json"),
        (
            ("study", "--regimes", "digits"),
            "--regimes cannot be combined with a DATASET or --quick",
        ),
        (
            ("study", "--regimes", "--quick"),
            "--regimes cannot be combined with a DATASET or --quick",
        ),
        (("study", "--topology", "input 3"), "--topology also requires --train FILE"),
        (("study", "--train", "events.npz"), "--train also requires --topology TEXT"),
        (("study", "--test", "events.npz"), "--validation and --test also require --train FILE"),
        (
            ("study", "--validation", "events.npz"),
            "--validation and --test also require --train FILE",
        ),
        ((*STUDY, "--topology", "input 3"), "--train also requires --test FILE"),
        (
            (*STUDY, "--test", "./events.npz", "--topology", NETWORK),
            "--test must be another file than train, 'events.npz', got 'events.npz'",
        ),
        (
            (*STUDY, "--validation", "events.npz", "--test", "other.npz", "--topology", NETWORK),
            "--validation must be another file than train, 'events.npz'",
        ),
        ((*STUDY, "--test", "a\0b", "--topology", NETWORK), "null"),
        ((*STUDY, "--test", "no.npz", "--topology", NETWORK), "cannot be read: No such file"),
        ((*STUDY, "--test", "other.npz", "--topology", "input 3"), "does not set `timestep_us`"),
        (
            (*STUDY, "--test", "other.npz", "--topology", f"decay=0.5; decay=0.6; {NETWORK}"),
            "`decay` is set twice",
        ),
        (
            (*STUDY, "--test", "other.npz", "--topology", NETWORK, "--data", "."),
            "--data cannot be combined with --train",
        ),
        (
            (*STUDY, "--test", "other.npz", "--topology", NETWORK, "digits"),
            "--train cannot be combined with a DATASET",
        ),
        (("train", "digits", "--recipe", "magic"), "--recipe"),
        (("train", "digits", "--recipe", "layered", "--epochs", "0"), "--epochs"),
        (("train", "digits", "--recipe", "layered", "-o", "no/net.nab"), "there is no folder"),
        (("train", "digits", "--recipe", "layered", "--resume"), "--checkpoint"),
        (("encode", "digits", "--part", "all"), "--part"),
        (("encode", "digits", "-o", "no/x.npz"), "there is no folder"),
        (("demo", "--samples", "0:100000"), "--samples"),
        (("demo", "--out", "net.nab"), "must be a folder"),
    ],
)
def test_bad_input_gives_one_line_and_exit_code_2(cli, files, shipped, args, message):
    before = files.listing()
    line = error_line(cli(*args), files, before)
    assert message in line
    for word in ("Input should", "unable to parse", "Value error", "validation error"):
        assert word not in line


def test_damaged_bundle_is_rejected(cli, files):
    data = bytearray(files.net.read_bytes())
    data[-40] ^= 1
    files.net.write_bytes(data)
    error_line(cli("run", files.net, files.events), files, files.listing())


def test_events_of_another_input_shape_are_rejected(cli, files):
    write_bundle(chain(sizes=(11, 8, 4)), files.net)
    line = error_line(cli("run", files.net, files.events), files, files.listing())
    assert "input of shape (12,), but the network expects (11,)" in line


def test_labels_beyond_the_classes_of_the_network_are_rejected(cli, files):
    write_spikes(some_trains(labels=(0, 1, 2, 3, 4, 0)), files.events)
    line = error_line(cli("run", files.net, files.events), files, files.listing())
    assert "labels up to 4, but the network has classes 0 to 3" in line


def test_file_without_samples_is_rejected(cli, files):
    write_spikes(some_trains()[0:0], files.events)
    line = error_line(cli("run", files.net, files.events, "--json"), files, files.listing())
    assert "no samples" in line


def test_forward_pass_without_end_is_an_error_and_nothing_is_recorded(cli, files):
    write_bundle(loop(), files.net)
    write_spikes(type(some_trains())([0], [0], [0, 1], None, (2,)), files.events)
    result = cli("run", files.net, files.events, "--max-forward-steps", 50, "--record", "out.npz")
    line = error_line(result, files, files.listing())
    assert "max_forward_steps = 50" in line
    assert "'pair'" in line


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_folder_without_permission_is_rejected_before_the_run(cli, files):
    closed = files.folder / "closed"
    closed.mkdir(mode=0o500)
    result = cli("run", files.net, files.events, "--record", closed / "out.npz")
    assert "not writable" in error_line(result, files, files.listing())


def test_failed_write_keeps_the_existing_file(cli, files, monkeypatch):
    out = files.folder / "out.npz"
    out.write_bytes(b"before")

    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fails)
    before = files.listing()
    result = cli("run", files.net, files.events, "--record", out)
    assert result.exit_code == 2
    assert "out.npz': cannot be written: No space left on device" in result.stderr
    assert (out.read_bytes(), files.listing()) == (b"before", before)


def test_bundle_without_golden_samples_cannot_be_verified(cli, files):
    write_bundle(chain(), files.net)
    line = error_line(cli("verify", files.net), files, files.listing())
    assert "no golden samples" in line


def test_recording_of_another_network_is_rejected(cli, files):
    out = files.folder / "run.npz"
    assert cli("run", files.net, files.events, "--record", out).exit_code == 0
    write_bundle(golden_bundle(seed=5), files.net)
    before = files.listing()
    error_line(cli("replay", out, "--bundle", files.net), files, before)
    error_line(cli("explain", out, "--bundle", files.net, "--spike", 0), files, before)
