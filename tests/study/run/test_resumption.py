"""Interrupted, a study goes on where it was, and ends with the same bytes."""

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
    pass


def killed_at(tick):
    """A listener that ends the study when it is told for the ``tick``-th time."""
    told = []

    def listen(part, what):
        told.append(what)
        if len(told) == tick:
            raise KillError(what)

    return listen


def test_killed_again_and_again_it_ends_with_the_same_bytes(finished, tmp_path):
    where = []
    for tick in (1, 2, 5, 6, 7, 9, 20, 30, 38):  # before, inside and between trainings and runs
        with pytest.raises(KillError) as kill:
            run_study(finished.plan, tmp_path / "cut", killed_at(tick))
        where.append(str(kill.value))
    assert any("training" in what for what in where)
    assert any("running" in what for what in where)
    run_study(finished.plan, tmp_path / "cut")
    assert results_of(tmp_path / "cut") == results_of(finished.folder)
    assert not list((tmp_path / "cut" / "checkpoints").iterdir())


def test_killed_by_the_system_inside_a_training_it_goes_on_from_the_checkpoint(finished, tmp_path):
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from tests.helpers.small_studies import UserFiles, plan\n"
        "from neuroasync.study import run_study\n"
        "own = UserFiles(train=sys.argv[3], validation=sys.argv[4], test=sys.argv[5])\n"
        "told = []\n"
        "def listen(part, what):\n"
        "    told.append(what)\n"
        "    if len(told) == 6: os._exit(9)\n"
        "run_study(plan(own), Path(sys.argv[2]), listen)\n"
    )
    here, own = str(ROOT), finished.own
    args = (here, str(tmp_path / "cut"), own.train, own.validation, own.test)
    ended = subprocess.run([sys.executable, "-c", code, *args], check=False)
    assert ended.returncode == 9
    checkpoint = tmp_path / "cut" / "checkpoints" / "task-layered-paper-0.ckpt"
    assert checkpoint.exists()
    first = []
    run_study(finished.plan, tmp_path / "cut", lambda part, what: first.append(part))
    assert first[1] > 0.5 * 0.7 / 8  # the first epoch is not trained again
    assert results_of(tmp_path / "cut") == results_of(finished.folder)


def test_what_is_done_is_not_done_again(finished):
    before = {path: path.stat().st_mtime_ns for path in (finished.folder / "networks").iterdir()}
    told = []
    run_study(finished.plan, finished.folder, lambda part, what: told.append(what))
    assert not any("training" in what or "running" in what for what in told)
    after = {path: path.stat().st_mtime_ns for path in (finished.folder / "networks").iterdir()}
    assert after == before


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seeds": (0, 1, 2)}, r"of another study; it differs in study\.seeds"),
        ({"input": "queued"}, r"study\.cases\[0\]\.input \('prioritised' there, 'queued' now\)"),
        ({"max_train": 10}, r"study\.cases\[0\]\.max_train \(None there, 10 now\)"),
    ],
)
def test_another_configuration_in_the_same_folder_is_refused(finished, changes, says):
    before = results_of(finished.folder)
    with pytest.raises(StudyError, match=says):
        run_study(plan(finished.own, **changes), finished.folder)
    assert results_of(finished.folder) == before


def test_other_versions_in_the_same_folder_are_refused(finished, monkeypatch):
    monkeypatch.setattr("neuroasync.study.run.runner._version", lambda name: "0.0")
    with pytest.raises(StudyError, match=r"study\.versions\.neuroasync"):
        run_study(finished.plan, finished.folder)


def test_a_folder_of_something_else_is_refused_and_left_alone(finished, tmp_path):
    (tmp_path / "thesis.tex").write_text("dear to me")
    with pytest.raises(StudyError, match=r"is not empty and has no study\.json"):
        run_study(finished.plan, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_data_set_that_is_missing_is_told_before_anything_is_trained(tmp_path):
    own = files(tmp_path)
    (first,) = plan(own).cases
    missing = replace(first, name="later", files=replace(own, test=str(tmp_path / "none.npz")))
    told = []
    with pytest.raises(SpikeFileError, match=r"none\.npz"):
        run_study(
            replace(plan(own), cases=(first, missing)),
            tmp_path / "out",
            lambda part, what: told.append(what),
        )
    assert told == []
    assert not (tmp_path / "out").exists()


def test_other_samples_under_the_same_names_are_refused(tmp_path):
    (tmp_path / "samples").mkdir()
    own = files(tmp_path / "samples")
    (small,) = plan(own).cases
    small = replace(small, recipes={"layered": small.recipes["layered"]})
    study = replace(plan(own, seeds=(0,)), cases=(small,))
    run_study(study, tmp_path / "out")
    files(tmp_path / "samples", seed=1)
    with pytest.raises(StudyError, match="task-layered-0: was measured on other samples"):
        run_study(study, tmp_path / "out")
    (tmp_path / "out" / "networks" / "task-layered-0.json").unlink()
    with pytest.raises(StudyError, match="task-layered-0: was trained on other samples"):
        run_study(study, tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot be read"),
        ("{}", "damaged; remove it to measure anew"),
        ("[1]", "damaged; remove it to measure anew"),
    ],
)
def test_a_damaged_file_says_which_one_it_is(finished, tmp_path, text, says):
    shutil.copytree(finished.folder, tmp_path / "out")
    damaged = tmp_path / "out" / "networks" / "task-layered-1.json"
    damaged.write_text(text)
    with pytest.raises(StudyError, match=rf"task-layered-1\.json': .*{says}"):
        run_study(finished.plan, tmp_path / "out")


def test_damaged_timings_are_mended_by_measuring_that_network_anew(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "out")
    timings = tmp_path / "out" / "networks" / "task-layered-1.timings.json"
    timings.write_text("[]")
    says = (
        r"layered-1\.timings\.json': damaged; remove '.*/networks/task-layered-1\.json' to measure"
    )
    with pytest.raises(StudyError, match=says):
        run_study(finished.plan, tmp_path / "out")
    (tmp_path / "out" / "networks" / "task-layered-1.json").unlink()
    run_study(finished.plan, tmp_path / "out")
    assert results_of(tmp_path / "out") == results_of(finished.folder)


def test_a_folder_that_is_a_file_is_refused(finished, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(StudyError, match=r"/out': Not a directory$"):
        run_study(finished.plan, tmp_path / "out")
