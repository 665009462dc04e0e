"""A study on a cluster gives the bytes of a study on one machine, whatever happens meanwhile."""

import asyncio
import os
import signal
from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")
pytest.importorskip("ray", reason="needs ray: pip install 'neuroasync[ray]'")

from neuroasync import ClosedError
from neuroasync.cluster import Cluster
from neuroasync.study import StudyError, StudyPlan, run_study
from neuroasync.study.results.output_folder import OutputFolder
from neuroasync.study.run import runner
from tests.helpers.small_studies import case, files, results_of


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> StudyPlan:
    """A study of two networks."""
    whole = case(files(tmp_path_factory.mktemp("samples")))
    recipes = {name: whole.recipes[name] for name in ("layered", "unlayered-any")}
    return StudyPlan((replace(whole, recipes=recipes),), (0,))


@pytest.fixture(scope="module")
def expected(study, tmp_path_factory):
    """The files that the study writes on one machine."""
    folder = tmp_path_factory.mktemp("studies") / "local"
    run_study(study, folder)
    return results_of(folder)


class KillError(Exception):
    """Stands for the end of the program."""


def kill_in_measurement(share, activity):
    """End the study in the first measurement; a progress callback."""
    if "running" in activity:
        raise KillError(activity)


def kill_after_measuring(name, monkeypatch):
    """End the study as soon as it has written the measurement of a network.

    A progress callback cannot do this: networks end in any order on a cluster, and no progress
    follows the last one.
    """
    write = OutputFolder.write_measurement

    def write_and_end(folder, measurement):
        write(folder, measurement)
        if measurement.network.name == name:
            raise KillError(name)

    monkeypatch.setattr(OutputFolder, "write_measurement", write_and_end)


def test_a_study_on_a_cluster_writes_the_bytes_of_one_machine(study, expected, cluster, tmp_path):
    shares = []
    out = tmp_path / "out"
    run_study(study, out, lambda share, activity: shares.append(share), cluster=cluster)
    assert results_of(out) == expected
    assert not list((out / "checkpoints").iterdir())
    assert not (out / "study.lock").exists()
    assert max(shares) > 0.5


def test_a_study_runs_in_a_running_loop_as_in_a_notebook(study, expected, cluster, tmp_path):
    async def main():
        run_study(study, tmp_path / "cluster", cluster=cluster)
        run_study(study, tmp_path / "alone")

    asyncio.run(main())
    assert results_of(tmp_path / "cluster") == expected
    assert results_of(tmp_path / "alone") == expected


def test_a_study_continues_on_a_cluster_and_then_on_one_machine(
    study, expected, cluster, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    with pytest.raises(KillError):
        run_study(study, out, kill_in_measurement)
    (first,) = (out / "bundles").iterdir()
    bundle = first.stat()
    with monkeypatch.context() as patch, pytest.raises(KillError):
        kill_after_measuring("task-layered-0", patch)
        run_study(study, out, cluster=cluster)
    measured = out / "networks" / "task-layered-0.json"
    measurement = measured.stat()
    run_study(study, out)
    assert results_of(out) == expected
    assert first.stat().st_mtime_ns == bundle.st_mtime_ns
    assert measured.stat().st_mtime_ns == measurement.st_mtime_ns


def dying_once(task, marker):
    """Return a task whose worker is killed in the middle, but only once."""

    def run(*args):
        *rest, on_share = args
        reports = 0

        def listen(share, activity):
            nonlocal reports
            reports += 1
            if reports == 3 and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            on_share(share, activity)

        return task(*rest, listen)

    return run


def test_killed_workers_change_no_byte(study, expected, cluster, tmp_path, monkeypatch):
    markers = [tmp_path / name for name in ("train_network", "measure_network")]
    for marker in markers:
        task = getattr(runner, marker.name)
        monkeypatch.setattr(runner, marker.name, dying_once(task, marker))
    run_study(study, tmp_path / "out", cluster=cluster)
    assert results_of(tmp_path / "out") == expected
    assert all(marker.exists() for marker in markers)


def test_a_training_that_diverges_is_reported_as_on_one_machine(study, cluster, tmp_path):
    (one,) = study.cases
    recipe = one.recipes["layered"]
    wild = recipe.with_training(lr=1e38)
    wild_study = replace(study, cases=(replace(one, recipes={"layered": wild}),), seeds=(0,))
    messages = []
    for where in (None, cluster):
        with pytest.raises(FloatingPointError) as error:
            run_study(wild_study, tmp_path / f"{len(messages)}", cluster=where)
        messages.append(str(error.value))
    assert messages[0] == messages[1]


def test_a_worker_with_other_versions_is_reported(study, cluster, tmp_path, monkeypatch):
    versions = runner.package_versions() | {"torch": "0.0"}
    monkeypatch.setattr(runner, "package_versions", lambda: versions)
    with pytest.raises(
        StudyError, match=r"the machine '.*' has torch .*, but the study runs with "
    ):
        run_study(study, tmp_path / "out", cluster=cluster)


def test_a_cluster_that_cannot_be_used_leaves_no_folder(study, tmp_path):
    with pytest.raises(ClosedError, match="use it inside `with`"):
        run_study(study, tmp_path / "out", cluster=Cluster())
    with pytest.raises(TypeError, match="`cluster` must be a Cluster, got str"):
        run_study(study, tmp_path / "out", cluster="auto")
    assert not (tmp_path / "out").exists()
