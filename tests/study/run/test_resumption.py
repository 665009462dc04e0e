"""An interrupted study continues where it stopped and ends with the same bytes."""

import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from neuroasync.errors import SpikeFileError
from neuroasync.study import StudyError, run_study
from tests.helpers.paths import ROOT
from tests.helpers.small_studies import files, plan, results_of


class KillError(Exception):
    """Stands for the end of the process."""


def interrupt_at(tick):
    """Return a progress callback that ends the study at its ``tick``-th call."""
    reported = []

    def listen(share, activity):
        reported.append(activity)
        if len(reported) == tick:
            raise KillError(activity)

    return listen


def test_study_interrupted_many_times_ends_with_the_same_bytes(finished, tmp_path):
    where = []
    for tick in (1, 2, 5, 6, 7, 9, 20, 30, 38):  # before, during and between trainings and runs
        with pytest.raises(KillError) as kill:
            run_study(finished.plan, tmp_path / "cut", interrupt_at(tick))
        where.append(str(kill.value))
    assert any("training" in activity for activity in where)
    assert any("running" in activity for activity in where)
    run_study(finished.plan, str(tmp_path / "cut"))
    assert results_of(tmp_path / "cut") == results_of(finished.folder)
    assert not list((tmp_path / "cut" / "checkpoints").iterdir())


def test_study_killed_during_training_continues_from_the_checkpoint(finished, tmp_path):
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from tests.helpers.small_studies import UserFiles, plan\n"
        "from neuroasync.study import run_study\n"
        "user_files = UserFiles(train=sys.argv[3], validation=sys.argv[4], test=sys.argv[5])\n"
        "reported = []\n"
        "def listen(share, activity):\n"
        "    reported.append(activity)\n"
        "    if len(reported) == 6: os._exit(9)\n"
        "run_study(plan(user_files), Path(sys.argv[2]), listen)\n"
    )
    here, user_files = str(ROOT), finished.user_files
    args = (here, str(tmp_path / "cut"), user_files.train, user_files.validation, user_files.test)
    ended = subprocess.run([sys.executable, "-c", code, *args], check=False)
    assert ended.returncode == 9
    checkpoint = tmp_path / "cut" / "checkpoints" / "task-layered-paper-0.ckpt"
    assert checkpoint.exists()
    first = []
    run_study(finished.plan, tmp_path / "cut", lambda share, activity: first.append(share))
    assert first[1] > 0.5 * 0.7 / 8  # the first epoch is not trained again
    assert results_of(tmp_path / "cut") == results_of(finished.folder)


def test_a_second_study_in_the_same_folder_is_refused_at_once(finished, tmp_path):
    refused, loaded = [], []

    def start_another(share, activity):
        if not refused:
            with pytest.raises(
                StudyError,
                match=r"another process \(\d+\) is running a study in this folder; wait for it to "
                "end, or choose another path",
            ) as error:
                run_study(finished.plan, tmp_path / "cut", lambda *_: loaded.append(1))
            refused.append(error)
        raise KillError(activity)

    with pytest.raises(KillError):
        run_study(finished.plan, tmp_path / "cut", start_another)
    assert len(refused) == 1
    assert loaded == []
    assert not (tmp_path / "cut" / "study.lock").exists()


def test_a_folder_with_only_the_lock_of_a_killed_process_is_new(finished, tmp_path):
    (tmp_path / "study.lock").write_text("123")
    with pytest.raises(KillError):
        run_study(finished.plan, tmp_path, interrupt_at(1))
    assert (tmp_path / "study.json").exists()


def test_finished_networks_are_not_measured_again(finished):
    before = {path: path.stat().st_mtime_ns for path in (finished.folder / "networks").iterdir()}
    reported = []
    run_study(finished.plan, finished.folder, lambda share, activity: reported.append(activity))
    assert not any("training" in activity or "running" in activity for activity in reported)
    after = {path: path.stat().st_mtime_ns for path in (finished.folder / "networks").iterdir()}
    assert after == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": (0, 1, 2)}, r"describes another study; it differs in study\.seeds"),
        (
            {"input": "queued"},
            r"study\.cases\[0\]\.input \('prioritised' in the file, 'queued' in this command\)",
        ),
        (
            {"max_train": 10},
            r"study\.cases\[0\]\.max_train \(None in the file, 10 in this command\)",
        ),
    ],
)
def test_another_configuration_in_the_same_folder_is_rejected(finished, changes, message):
    before = results_of(finished.folder)
    with pytest.raises(StudyError, match=message):
        run_study(plan(finished.user_files, **changes), finished.folder)
    assert results_of(finished.folder) == before


def test_other_versions_in_the_same_folder_are_rejected(finished, monkeypatch):
    monkeypatch.setattr("neuroasync.study.run.versions._version", lambda name: "0.0")
    with pytest.raises(StudyError, match=r"study\.versions\.neuroasync"):
        run_study(finished.plan, finished.folder)


def test_folder_with_other_files_is_rejected_and_left_unchanged(finished, tmp_path):
    (tmp_path / "thesis.tex").write_text("my thesis")
    with pytest.raises(StudyError, match=r"is not empty and has no study\.json"):
        run_study(finished.plan, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_missing_data_set_is_reported_before_training(tmp_path):
    user_files = files(tmp_path)
    (first,) = plan(user_files).cases
    missing = replace(
        first, name="later", files=replace(user_files, test=str(tmp_path / "none.npz"))
    )
    reported = []
    with pytest.raises(SpikeFileError, match=r"none\.npz"):
        run_study(
            replace(plan(user_files), cases=(first, missing)),
            tmp_path / "out",
            lambda share, activity: reported.append(activity),
        )
    assert reported == []
    assert not (tmp_path / "out").exists()


def test_changed_samples_are_rejected(tmp_path):
    (tmp_path / "samples").mkdir()
    user_files = files(tmp_path / "samples")
    (small,) = plan(user_files).cases
    small = replace(small, recipes={"layered": small.recipes["layered"]})
    study = replace(plan(user_files, seeds=(0,)), cases=(small,))
    run_study(study, tmp_path / "out")
    files(tmp_path / "samples", seed=1)
    with pytest.raises(StudyError, match="task-layered-0 was measured on other samples"):
        run_study(study, tmp_path / "out")
    (tmp_path / "out" / "networks" / "task-layered-0.json").unlink()
    with pytest.raises(StudyError, match="task-layered-0 was trained on other samples"):
        run_study(study, tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read: .*; remove it to measure the network again"),
        ("{}", "is damaged; remove it to measure the network again"),
        ("[1]", "is damaged; remove it to measure the network again"),
    ],
)
def test_damaged_file_is_named(finished, tmp_path, text, message):
    shutil.copytree(finished.folder, tmp_path / "out")
    damaged = tmp_path / "out" / "networks" / "task-layered-1.json"
    damaged.write_text(text)
    with pytest.raises(StudyError, match=rf"task-layered-1\.json' {message}"):
        run_study(finished.plan, tmp_path / "out")


def test_damaged_bundle_is_repaired_by_training_the_network_again(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "out")
    bundles = tmp_path / "out" / "bundles"
    damaged, before = bundles / "task-layered-1.nab", results_of(tmp_path / "out")
    for content, problem in (
        (b"x", ".*"),
        ((bundles / "task-layered-0.nab").read_bytes(), " is not the network that was measured"),
    ):
        damaged.write_bytes(content)
        advice = "; remove this file to train the network again"
        with pytest.raises(StudyError, match=rf"task-layered-1\.nab'{problem}{advice}"):
            run_study(finished.plan, tmp_path / "out")
    damaged.unlink()
    run_study(finished.plan, tmp_path / "out")
    assert results_of(tmp_path / "out") == before
    assert damaged.read_bytes() == (finished.folder / "bundles" / damaged.name).read_bytes()


def test_damaged_timings_are_repaired_by_measuring_the_network_again(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "out")
    timings = tmp_path / "out" / "networks" / "task-layered-1.timings.json"
    advice = r"remove '.*/task-layered-1\.json' to measure the network again, which writes all its"
    for text, problem in (("[]", "is damaged"), ("[{", "cannot be read: .*")):
        timings.write_text(text)
        with pytest.raises(StudyError, match=rf"layered-1\.timings\.json' {problem}; {advice}"):
            run_study(finished.plan, tmp_path / "out")
    (tmp_path / "out" / "networks" / "task-layered-1.json").unlink()
    run_study(finished.plan, tmp_path / "out")
    assert results_of(tmp_path / "out") == results_of(finished.folder)


@pytest.mark.parametrize("name", ["random", "random-stopped"])
def test_a_missing_recording_is_repaired_by_measuring_the_network_again(finished, tmp_path, name):
    shutil.copytree(finished.folder, tmp_path / "out")
    (tmp_path / "out" / "recordings" / f"task-layered-0-{name}.npz").unlink()
    message = (
        rf"layered-0-{name}\.npz': cannot be read: .*; remove '.*/task-layered-0\.json' to mea"
    )
    with pytest.raises(StudyError, match=message):
        run_study(finished.plan, tmp_path / "out")
    (tmp_path / "out" / "networks" / "task-layered-0.json").unlink()
    run_study(finished.plan, tmp_path / "out")
    assert results_of(tmp_path / "out") == results_of(finished.folder)


def test_a_damaged_bundle_is_repaired_by_training_the_network_again(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "out")
    (tmp_path / "out" / "networks" / "task-layered-0.json").unlink()
    bundle = tmp_path / "out" / "bundles" / "task-layered-0.nab"
    bundle.write_bytes(bundle.read_bytes()[:100])
    message = r"task-layered-0\.nab': .*; remove this file to train the network again$"
    with pytest.raises(StudyError, match=message):
        run_study(finished.plan, tmp_path / "out")
    bundle.unlink()
    run_study(finished.plan, tmp_path / "out")
    assert results_of(tmp_path / "out") == results_of(finished.folder)


def test_a_path_with_a_null_character_is_rejected(finished):
    with pytest.raises(StudyError, match=r"cannot be a folder, because the path contains a null"):
        run_study(finished.plan, "a\0b")


def test_output_path_that_is_a_file_is_rejected(finished, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(StudyError, match=r"/out': must be a folder, but is a file$"):
        run_study(finished.plan, tmp_path / "out")


def test_arguments_of_other_types_are_rejected(finished, tmp_path):
    with pytest.raises(TypeError, match=r"^`plan` must be a StudyPlan, got tuple$"):
        run_study(finished.plan.cases, tmp_path)
    with pytest.raises(ValueError, match=r"^`on_progress` must be a function, got 3$"):
        run_study(finished.plan, tmp_path, 3)
