"""One small study, run once."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from neuroasync.datasets.user_data import UserFiles
from neuroasync.study import StudyPlan, run_study
from neuroasync.study.results.records import Measured
from tests.helpers.small_studies import files, plan


@dataclass(frozen=True)
class Finished:
    """A study that has ended: its plan, its folder, its samples, and what it returned."""

    plan: StudyPlan
    folder: Path
    own: UserFiles
    found: list[Measured]
    told: list[tuple[float, str]]

    @property
    def results(self):
        return json.loads((self.folder / "results.json").read_text())


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Finished:
    own = files(tmp_path_factory.mktemp("samples"))
    folder = tmp_path_factory.mktemp("studies") / "whole"
    told: list[tuple[float, str]] = []
    found = run_study(plan(own), folder, lambda part, what: told.append((part, what)))
    return Finished(plan(own), folder, own, found, told)
