"""``neuroasync demo``: rows, tables, verdict and picture."""

import json
import sys
from dataclasses import replace

import pytest

from neuroasync import write_bundle
from neuroasync.shipped import NETWORKS
from tests.helpers.cli_files import golden_bundle

POLICIES = ["layer-sync", "random", "momentum", "fifo"]
PNG = b"\x89PNG\r\n\x1a\n"


def rows_of(result):
    """Check that the command succeeded, and return the runs in its JSON."""
    assert result.exit_code == 0
    assert result.stderr == ""
    return json.loads(result.stdout)["runs"]


def options_of(row):
    """Return the run options of a row."""
    return row["policy"], row["group_size"], row["input"], row["until"]


@pytest.mark.usefixtures("shipped")
def test_every_network_runs_with_and_without_layers_under_the_same_stop_rule(cli, files):
    rows = rows_of(cli("demo", "--json", "--samples", "0:2"))
    same_rule = [
        (policy, 2, mode, "margin(2)")
        for mode in ("prioritised", "queued")
        for policy in ("layer-sync", "random")
    ]
    ran = {name: [options_of(row) for row in rows if row["bundle"] == name] for name in NETWORKS}
    assert ran == dict.fromkeys(NETWORKS, same_rule)
    assert list(dict.fromkeys(row["bundle"] for row in rows)) == list(NETWORKS)
    assert not (files.folder / "neuroasync-demo").exists()


@pytest.mark.usefixtures("shipped")
def test_all_adds_every_policy_and_single_spikes(cli):
    rows = rows_of(cli("demo", "--all", "--json", "--samples", "0:1"))
    expected = {
        (policy, 2, mode, rule)
        for policy in POLICIES
        for mode in ("prioritised", "queued")
        for rule in ("quiet", "margin(2)")
    }
    for name in NETWORKS:
        ran = [options_of(row) for row in rows if row["bundle"] == name]
        trained = "layer-sync" if name.startswith("layered") else "random"
        assert len(ran) == len(set(ran))
        assert set(ran) == expected | {(trained, 1, "prioritised", "quiet")}


@pytest.mark.usefixtures("shipped")
def test_rows_have_the_numbers_of_the_run_command(cli, files, shipped):
    rows = rows_of(cli("demo", "--all", "--json", "--samples", "1:4", "--seed", 3))
    row = next(r for r in rows if options_of(r) == ("momentum", 2, "queued", "quiet"))
    run = cli(
        "run", shipped / f"digits-{row['bundle']}.nab", shipped / "digits-test-rate.npz",
        "--json", "--samples", "1:4", "--seed", 3, "--policy", "momentum", "--group-size", 2,
        "--input", "queued",
    )  # fmt: skip
    alone = json.loads(run.stdout)
    same = alone.keys() - {
        "latency_ms",
        "stopped",
        "neurobench",
    }  # wall time, and values that only `run` prints
    assert {k: row[k] for k in same} == {k: alone[k] for k in same}


@pytest.mark.usefixtures("shipped")
def test_network_without_a_stop_rule_has_no_row_for_one(cli, shipped):
    bundle = replace(golden_bundle(policy="fifo"), meta={})
    write_bundle(bundle, shipped / "digits-queued.nab")
    rows = rows_of(cli("demo", "--json", "--samples", "0:1"))
    assert {row["until"] for row in rows if row["bundle"] == "queued"} == {"quiet"}


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("options", [(), ("--all",)])
def test_output_fits_the_page_and_folds_no_number(cli, files, monkeypatch, width, options):
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("COLUMNS", str(width))
    result = cli("demo", "--samples", "0:3", *options)
    assert result.exit_code == 0
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= width
    table = lines[next(k for k, line in enumerate(lines) if line.startswith("network")) + 2 :]
    # A folded cell would continue on a line that does not begin with the name of a network.
    names = [line.split()[0] for line in table[: 2 * len(NETWORKS)]]
    assert names == [name for name in NETWORKS for _ in range(2)]
    assert len({len(line.split()) for line in table[: 2 * len(NETWORKS)]}) == 1
    assert table[2 * len(NETWORKS)] == ""
    figure = files.folder / "neuroasync-demo" / "digit.png"
    assert figure.read_bytes().startswith(PNG)
    assert "neuroasync-demo/digit.png" in result.stdout


@pytest.mark.usefixtures("shipped")
def test_wide_pages_have_more_columns(cli, monkeypatch):
    titles = []
    for width in (60, 80, 100):
        monkeypatch.setenv("COLUMNS", str(width))
        lines = cli("demo", "--samples", "0:1").stdout.splitlines()
        at = next(k for k, line in enumerate(lines) if line.startswith("network"))
        titles.append(lines[at - 1].split())
    narrow = ["right", "%", "rounds"]
    assert titles == [narrow, [*narrow, "spikes"], [*narrow, "spikes", "time"]]


@pytest.mark.usefixtures("shipped")
def test_verdict_has_three_lines_with_the_figures_of_the_rows(cli):
    rows = rows_of(cli("demo", "--json"))
    lines = cli("demo").stdout.splitlines()
    at = lines.index("Verdict: without waiting for layers")
    robust, fragile, both = lines[at + 1 : at + 4]
    assert robust.startswith("- layered to unlayered: ")
    assert fragile.startswith("- layered-paper: ")

    def row(name, policy):
        options = name, policy, "prioritised"
        return next(r for r in rows if (r["bundle"], r["policy"], r["input"]) == options)

    before, after = row("layered", "layer-sync"), row("unlayered", "random")
    paper = row("layered-paper", "layer-sync")

    def change(one, other, key):
        return f" {abs(100 * (other[key] / one[key] - 1)):.0f} % "

    assert change(before, after, "rounds_per_sample") in robust
    assert f"{100 * after['accuracy']:.0f} % right" in robust
    assert change(paper, after, "rounds_per_sample") in both
    assert change(paper, after, "spikes_per_sample") in both
    assert lines[at + 4] == ""


@pytest.mark.usefixtures("shipped")
def test_json_draws_the_picture_only_into_a_given_folder(cli, files):
    pytest.importorskip("matplotlib")
    rows_of(cli("demo", "--json", "--samples", "0:1", "--out", files.folder / "here"))
    assert {path.name for path in (files.folder / "here").iterdir()} == {"digit.png"}


@pytest.mark.usefixtures("shipped")
def test_missing_matplotlib_is_explained(cli, files, monkeypatch):
    monkeypatch.setitem(sys.modules, "neuroasync.plot", None)
    monkeypatch.delattr("neuroasync.plot", raising=False)
    result = cli("demo", "--samples", "0:1")
    assert result.exit_code == 0
    assert "picture  needs the extra 'viz' of neuroasync\n" in result.stdout
    assert not (files.folder / "neuroasync-demo").exists()


def test_missing_shipped_network_is_an_error(cli, shipped):
    (shipped / "digits-queued.nab").unlink()
    result = cli("demo", "--samples", "0:1")
    assert result.exit_code == 2
    assert "digits-queued.nab': cannot be read: No such file" in result.stderr
