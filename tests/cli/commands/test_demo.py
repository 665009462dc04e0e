"""``demo``: its rows, its table, its pictures."""

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
    assert result.exit_code == 0
    assert result.stderr == ""
    return [json.loads(line) for line in result.stdout.splitlines()]


def how(row):
    return row["policy"], row["group_size"], row["input"], row["until"]


@pytest.mark.usefixtures("shipped")
def test_each_network_runs_in_every_promised_way(cli, files):
    rows = rows_of(cli("demo", "--json", "--samples", "0:2"))
    eight = [(p, 8, mode, "quiet") for mode in ("prioritised", "queued") for p in POLICIES]
    layered = [
        *eight,
        ("layer-sync", 1, "prioritised", "quiet"),
        ("layer-sync", 2, "prioritised", "margin(2)"),
        ("random", 8, "prioritised", "margin(2)"),
    ]
    own = [
        *eight,
        ("random", 1, "prioritised", "quiet"),
        ("random", 2, "prioritised", "margin(2)"),
    ]
    expected = {"layered-paper": layered, "layered": layered, "unlayered": own, "queued": own}
    found = {name: [how(row) for row in rows if row["bundle"] == name] for name in NETWORKS}
    assert found == expected
    assert list(dict.fromkeys(row["bundle"] for row in rows)) == list(NETWORKS)
    assert not (files.folder / "neuroasync-demo").exists()


@pytest.mark.usefixtures("shipped")
def test_each_row_has_what_run_says(cli, files, shipped):
    rows = rows_of(cli("demo", "--json", "--samples", "1:4", "--seed", 3))
    row = next(r for r in rows if how(r) == ("momentum", 8, "queued", "quiet"))
    run = cli(
        "run", shipped / f"digits-{row['bundle']}.nab", shipped / "digits-test-rate.npz",
        "--json", "--samples", "1:4", "--seed", 3, "--policy", "momentum", "--group-size", 8,
        "--input", "queued",
    )  # fmt: skip
    alone = json.loads(run.stdout)
    same = alone.keys() - {"latency_ms", "stopped", "neurobench"}  # wall time; what only run says
    assert {k: row[k] for k in same} == {k: alone[k] for k in same}


@pytest.mark.usefixtures("shipped")
def test_a_network_without_a_stop_rule_has_no_rows_for_one(cli, shipped):
    bundle = replace(golden_bundle(policy="fifo"), meta={})
    write_bundle(bundle, shipped / "digits-queued.nab")
    rows = rows_of(cli("demo", "--json", "--samples", "0:1"))
    assert {row["until"] for row in rows if row["bundle"] == "queued"} == {"quiet"}


@pytest.mark.usefixtures("shipped")
def test_the_table_fits_100_columns_and_pictures_are_saved_where_it_says(cli, files):
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
        picture = files.folder / "neuroasync-demo" / name
        assert picture.read_bytes().startswith(PNG)
        assert f"neuroasync-demo/{name}" in result.stdout


@pytest.mark.usefixtures("shipped")
def test_json_draws_pictures_only_into_a_named_folder(cli, files):
    pytest.importorskip("matplotlib")
    rows_of(cli("demo", "--json", "--samples", "0:1", "--out", files.folder / "here"))
    assert {path.name for path in (files.folder / "here").iterdir()} == {
        "raster.png",
        "decision-latency.png",
    }


@pytest.mark.usefixtures("shipped")
def test_without_matplotlib_there_is_one_line_of_advice(cli, files, monkeypatch):
    monkeypatch.setitem(sys.modules, "neuroasync.plot", None)
    monkeypatch.delattr("neuroasync.plot", raising=False)
    result = cli("demo", "--samples", "0:1")
    assert result.exit_code == 0
    assert (
        result.stdout.splitlines()[-1] == "For pictures, install neuroasync with its extra 'viz'."
    )
    assert not (files.folder / "neuroasync-demo").exists()


def test_a_network_that_does_not_ship_is_an_error_line(cli, shipped):
    (shipped / "digits-queued.nab").unlink()
    result = cli("demo", "--samples", "0:1")
    assert result.exit_code == 2
    assert "digits-queued.nab': No such file" in result.stderr
