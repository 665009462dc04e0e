"""``neuroasync study``: options select the study that runs."""

import json
import sys
from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from neuroasync import write_spikes
from neuroasync.cli.exit_codes import Commands
from neuroasync.study import run_study
from neuroasync.study.design.builtin_cases import CASES, DEFAULT, QUICK
from neuroasync.study.design.regimes import REGIMES
from tests.helpers.cli_files import some_trains

TOPOLOGY = "timestep_us=1000; input 12; hidden d6; output d4"


@pytest.fixture
def requested(monkeypatch):
    """Replace ``run_study``: collect the requested studies and report half of the progress."""
    plans = []

    def kept(plan, out, on_progress, *, cluster):
        assert cluster is None
        plans.append((plan, out))
        on_progress(0.5, "half")

    monkeypatch.delenv("NEUROASYNC_DATA", raising=False)
    monkeypatch.setattr("neuroasync.study.run_study", kept)
    return plans


@pytest.mark.parametrize(
    ("args", "names", "seeds"),
    [
        ((), DEFAULT, 3),
        (("--quick",), QUICK, 2),
        (("braille", "digits", "--seeds", "5"), ("braille", "digits"), 5),
        (("spoken-digits", "--quick", "--seeds", "1"), ("spoken-digits",), 1),
        (("--regimes",), tuple(case.name for case in REGIMES), 3),
    ],
)
def test_options_select_cases_and_seeds(cli, files, requested, args, names, seeds):
    result = cli("study", *args)
    assert (result.exit_code, result.stderr) == (0, "")
    ((plan, out),) = requested
    assert tuple(case.name for case in plan.cases) == tuple(names)
    assert plan.seeds == tuple(range(seeds))
    assert plan.data_dir is None
    assert str(out) == "neuroasync-study"
    assert "neuroasync-study/report.html" in result.stdout


def test_json_of_a_study_names_the_files(cli, files, requested):
    result = cli("study", "--json", "-o", "out")
    assert (result.exit_code, result.stderr) == (0, "")
    names = ("report.md", "report.html", "results.json", "timings.json")
    assert json.loads(result.stdout) == {"written": [f"out/{name}" for name in names]}


def test_quick_study_has_fewer_epochs_and_samples(cli, files, requested):
    cli("study", "digits", "-o", "out")
    cli("study", "digits", "--quick", "-o", "out")
    whole, quick = (plan.cases[0] for plan, _ in requested)
    assert whole == CASES["digits"]
    assert quick.max_measured < 360
    assert quick.recipes["layered"].config.epochs < whole.recipes["layered"].config.epochs


def test_data_folder_comes_from_option_or_environment(cli, files, requested, monkeypatch):
    assert cli("study", "mnist", "--data", ".").exit_code == 0
    monkeypatch.setenv("NEUROASYNC_DATA", str(files.folder))
    assert cli("study", "mnist").exit_code == 0
    assert [plan.data_dir for plan, _ in requested] == [str(files.folder.resolve())] * 2


def test_study_of_user_data_files_runs_to_the_end(cli, files, monkeypatch):
    def shorter(plan, out, on_progress, *, cluster):
        (case,) = plan.cases
        recipe = case.recipes["layered"].with_training(epochs=1, device="cpu")
        small = replace(case, recipes={"layered": recipe})
        return run_study(replace(plan, cases=(small,)), out, on_progress)

    monkeypatch.setattr("neuroasync.study.run_study", shorter)
    write_spikes(some_trains(labels=(3, 2, 1, 0, 1, 2)), files.folder / "test.npz")
    args = ("--train", files.events, "--test", "test.npz", "--topology", TOPOLOGY)
    result = cli("study", *args, "--validation", "test.npz", "--seeds", "1", "-o", "out")
    assert (result.exit_code, result.stderr) == (0, "")
    results = json.loads((files.folder / "out" / "results.json").read_text())
    assert [network["name"] for network in results["networks"]] == ["own-layered-0"]
    assert "## own" in (files.folder / "out" / "report.md").read_text()
    again = cli("study", *args, "--seeds", "1", "-o", "out")
    assert again.exit_code == 2
    assert "describes another study; it differs in study.cases[0].files.validation" in again.stderr


def test_ctrl_c_tells_what_is_kept_and_exits_with_130(monkeypatch, tmp_path, capsys):
    from neuroasync.cli.app import app

    def interrupted(plan, out, on_progress, *, cluster):
        (out / "bundles").mkdir(parents=True)
        (out / "bundles" / "digits-layered-0.nab").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("neuroasync.study.run_study", interrupted)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["neuroasync", "study", "--quick"])
    assert issubclass(app.info.cls, Commands)
    with pytest.raises(SystemExit) as ended:
        app()
    assert ended.value.code == 130
    assert capsys.readouterr().err == (
        "interrupted: 1 trained network and all finished measurements are kept in "
        "'neuroasync-study'; the same command continues the study\n"
    )


def test_address_of_another_kind_is_rejected(cli, files, requested):
    pytest.importorskip("ray", reason="needs ray: pip install 'neuroasync[ray]'")
    result = cli("study", "--quick", "--ray", "ray://host:1")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: --ray must be 'local', 'auto' or 'HOST:PORT', got 'ray")
    assert requested == []


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("ray", "error: --ray needs ray: pip install 'neuroasync[ray]'\n"),
        ("torch", "error: training needs torch: pip install 'neuroasync[train]'\n"),
        ("matplotlib", "error: the report needs matplotlib: pip install 'neuroasync[viz]'\n"),
    ],
)
def test_missing_extra_is_named_in_the_error(cli, files, monkeypatch, module, message):
    monkeypatch.setitem(sys.modules, module, None)
    result = cli("study", "--quick", "--ray", "local")
    assert (result.exit_code, result.stderr) == (2, message)
    assert files.listing() == {"net.nab", "events.npz"}


def test_all_missing_extras_are_named_in_one_error(cli, files, monkeypatch):
    for module in ("ray", "torch", "matplotlib"):
        monkeypatch.setitem(sys.modules, module, None)
    result = cli("study", "--quick", "--ray", "local")
    assert (result.exit_code, result.stderr) == (
        2,
        "error: training needs torch, the report needs matplotlib, --ray needs ray: "
        "pip install 'neuroasync[train,viz,ray]'\n",
    )
