"""``neuroasync demo``: rows, table and figures."""

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
    """Check that the command succeeded, and return its JSON lines."""
    assert result.exit_code == 0
    assert result.stderr == ""
    return [json.loads(line) for line in result.stdout.splitlines()]


def options_of(row):
    """Return the run options of a row."""
    return row["policy"], row["group_size"], row["input"], row["until"]


@pytest.mark.usefixtures("shipped")
def test_each_network_has_all_documented_rows(cli, files):
    rows = rows_of(cli("demo", "--json", "--samples", "0:2"))
    eight = [(p, 8, mode, "quiet") for mode in ("prioritised", "queued") for p in POLICIES]
    layered = [
        *eight,
        ("layer-sync", 1, "prioritised", "quiet"),
        ("layer-sync", 2, "prioritised", "margin(2)"),
        ("random", 8, "prioritised", "margin(2)"),
    ]
    unlayered = [
        *eight,
        ("random", 1, "prioritised", "quiet"),
        ("random", 2, "prioritised", "margin(2)"),
    ]
    expected = {
        "layered-paper": layered,
        "layered": layered,
        "unlayered": unlayered,
        "queued": unlayered,
    }
    ran = {name: [options_of(row) for row in rows if row["bundle"] == name] for name in NETWORKS}
    assert ran == expected
    assert list(dict.fromkeys(row["bundle"] for row in rows)) == list(NETWORKS)
    assert not (files.folder / "neuroasync-demo").exists()


@pytest.mark.usefixtures("shipped")
def test_rows_have_the_numbers_of_the_run_command(cli, files, shipped):
    rows = rows_of(cli("demo", "--json", "--samples", "1:4", "--seed", 3))
    row = next(r for r in rows if options_of(r) == ("momentum", 8, "queued", "quiet"))
    run = cli(
        "run", shipped / f"digits-{row['bundle']}.nab", shipped / "digits-test-rate.npz",
        "--json", "--samples", "1:4", "--seed", 3, "--policy", "momentum", "--group-size", 8,
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
def test_table_fits_100_columns_and_names_the_saved_figures(cli, files):
    pytest.importorskip("matplotlib")
    result = cli("demo", "--samples", "0:3")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert max(map(len, result.stdout.splitlines())) <= 100
    for name in NETWORKS:
        assert f"\n{name}: " in f"\n{result.stdout}"
    for word in ("spikes", "steps", "rounds", "ms", "prioritised input"):
        assert word in result.stdout
    for name in ("raster.png", "decision-latency.png"):
        figure = files.folder / "neuroasync-demo" / name
        assert figure.read_bytes().startswith(PNG)
        assert f"neuroasync-demo/{name}" in result.stdout


@pytest.mark.usefixtures("shipped")
def test_json_draws_figures_only_into_a_given_folder(cli, files):
    pytest.importorskip("matplotlib")
    rows_of(cli("demo", "--json", "--samples", "0:1", "--out", files.folder / "here"))
    assert {path.name for path in (files.folder / "here").iterdir()} == {
        "raster.png",
        "decision-latency.png",
    }


@pytest.mark.usefixtures("shipped")
def test_missing_matplotlib_is_explained(cli, files, monkeypatch):
    monkeypatch.setitem(sys.modules, "neuroasync.plot", None)
    monkeypatch.delattr("neuroasync.plot", raising=False)
    result = cli("demo", "--samples", "0:1")
    assert result.exit_code == 0
    assert (
        result.stdout.splitlines()[-1] == "To get figures, install neuroasync with its extra 'viz'."
    )
    assert not (files.folder / "neuroasync-demo").exists()


def test_missing_shipped_network_is_an_error(cli, shipped):
    (shipped / "digits-queued.nab").unlink()
    result = cli("demo", "--samples", "0:1")
    assert result.exit_code == 2
    assert "digits-queued.nab': cannot be read: No such file" in result.stderr
