"""Fixture: one small study that runs once."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from neuroasync.datasets.user_data import UserFiles
from neuroasync.study import StudyPlan, run_study
from neuroasync.study.results.records import Measurement
from tests.helpers.small_studies import files, plan


@dataclass(frozen=True)
class Finished:
    """A finished study: plan, folder, data files, measurements and reported progress."""

    plan: StudyPlan
    folder: Path
    user_files: UserFiles
    measurements: list[Measurement]
    progress: list[tuple[float, str]]

    @property
    def results(self):
        return json.loads((self.folder / "results.json").read_text())


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Finished:
    """A small study that has run to its end."""
    user_files = files(tmp_path_factory.mktemp("samples"))
    folder = tmp_path_factory.mktemp("studies") / "whole"
    progress: list[tuple[float, str]] = []
    measurements = run_study(
        plan(user_files), folder, lambda share, activity: progress.append((share, activity))
    )
    return Finished(plan(user_files), folder, user_files, measurements, progress)
