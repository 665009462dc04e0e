"""``neuroasync import`` and ``neuroasync export``."""

import json
import sys

import pytest

from neuroasync import read_bundle
from neuroasync.shipped import load_bundle
from tests.helpers.paths import DATA

LIF = DATA / "nir" / "lif_norse.nir"
HOW = ("--timestep-us", "100", "--jump", "euler", "--reset", "zero")


def test_import_writes_a_bundle_and_describes_it(cli, tmp_path):
    result = cli("import", LIF, "-o", "a.nab", *HOW)
    assert result.exit_code == 0
    assert "written" in result.stdout
    assert "2,449.66" in result.stdout
    model = read_bundle(tmp_path / "a.nab").model
    assert (model.timestep_us, model.output) == (100, "1")


def test_import_as_json_has_the_keys_of_inspect(cli):
    written = json.loads(cli("import", LIF, "-o", "a.nab", *HOW, "--json").stdout)
    inspected = json.loads(cli("inspect", "a.nab", "--json").stdout)
    assert written == {"written": "a.nab", **inspected}
    assert written["meta"] == {"origin": "NIR", "step_us": 100.0, "jump": "euler", "decay": "euler"}


def test_import_takes_all_its_options(cli, tmp_path):
    result = cli(
        "import", LIF, "-o", "a.nab", "--timestep-us", "1000", "--step-us", "100",
        "--jump", "unit", "--decay", "exact", "--reset", "subtract", "--reset-delay",
    )  # fmt: skip
    assert result.exit_code == 0
    bundle = read_bundle(tmp_path / "a.nab")
    neuron = bundle.model.populations[0].neuron
    assert neuron.tau_mem_us == pytest.approx(25_000)
    assert (neuron.reset, neuron.reset_delayed) == ("subtract", True)
    assert bundle.model.connections[0].weight == [[1.0]]


def test_a_network_that_is_exported_and_imported_is_the_same(cli, tmp_path):
    result = cli("export", "unlayered", "-o", "a.nir", "--json")
    sha256 = load_bundle("unlayered").digest.hex()
    assert json.loads(result.stdout) == {"written": "a.nir", "sha256": sha256}
    assert cli("import", "a.nir", "-o", "a.nab").exit_code == 0
    assert read_bundle(tmp_path / "a.nab") == load_bundle("unlayered")


@pytest.mark.parametrize(("args", "message"), [
    (("import", LIF, "-o", "a.nab"), "--timestep-us must be given, because NIR does not store it"),
    (("import", LIF, "-o", "a.nab", "--timestep-us", "100"), "node '1' (LIF): NIR does not say"),
    (("import", "no.nir", "-o", "a.nab"), "'no.nir': cannot be read: No such file or directory"),
    (("import", LIF, "-o", LIF), "the output must not overwrite an input"),
    (("import", LIF, "-o", "no/a.nab"), "there is no folder 'no'"),
    (("export", "no.nab", "-o", "a.nir"), "'no.nab'"),
    (("export", "unlayered", "-o", "no/a.nir"), "there is no folder 'no'"),
    (("export", "unlayered", "-o", "a.nir", "--decay", "exakt"), "did you mean 'exact'?"),
])  # fmt: skip
def test_bad_input_gives_one_line(cli, args, message):
    result = cli(*args)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(("args", "package"), [
    (("import", LIF, "-o", "a.nab", *HOW), "h5py"), (("export", "unlayered", "-o", "a.nir"), "nir"),
])  # fmt: skip
def test_a_missing_extra_gives_the_command_that_installs_it(cli, args, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    result = cli(*args)
    assert result.exit_code == 2
    assert f"NIR files requires {package}: pip install 'neuroasync[nir]'" in result.stderr
