"""An executor runs tasks on workers, and reports results, errors and progress."""

import time

import pytest

pytest.importorskip("ray", reason="needs ray: pip install 'neuroasync[ray]'")

import ray

from neuroasync.cluster.executor import ClusterExecutor
from neuroasync.core.cpu import cores


@pytest.fixture
def executor(cluster):
    """An executor of two workers, which is closed at the end."""
    executor = ClusterExecutor(cluster)
    yield executor
    executor.close()


def ignore(name, share, activity):
    """Ignore progress."""


def return_value(value, on_share):
    return value


def divide(by, on_share):
    return 1 // by


def wait_for_file(path, on_share):
    """Report, and run until the file exists."""
    on_share(0.5, "waiting")
    while not path.exists():
        time.sleep(0.01)
    return cores()


def test_results_and_errors_of_tasks_are_those_of_the_functions(executor):
    executor.submit("seven", return_value, 7)
    assert executor.wait(ignore) == ("seven", 7)
    executor.submit("error", divide, 0)
    with pytest.raises(ZeroDivisionError):
        executor.wait(ignore)


def test_stored_values_reach_the_tasks(executor):
    executor.submit("stored", return_value, executor.store([1, 2]))
    assert executor.wait(ignore) == ("stored", [1, 2])


def test_progress_is_reported_while_a_task_runs_on_one_core(executor, tmp_path):
    seen = []

    def end(name, share, activity):
        seen.append((name, share, activity))
        (tmp_path / "end").touch()

    executor.submit("task", wait_for_file, tmp_path / "end")
    assert executor.wait(end) == ("task", 1)
    assert seen == [("task", 0.5, "waiting")]


def test_there_is_room_for_two_tasks_per_core(executor, tmp_path):
    for _ in range(4):
        assert executor.has_room
        executor.submit("task", wait_for_file, tmp_path / "never")
    assert not executor.has_room


def test_closing_ends_the_tasks(cluster, tmp_path):
    executor = ClusterExecutor(cluster)
    executor.submit("task", wait_for_file, tmp_path / "never")

    def stop(name, share, activity):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        executor.wait(stop)
    ((_, reference),) = executor._running.values()
    executor.close()
    with pytest.raises(ray.exceptions.RayError):
        ray.get(reference)


def test_a_lost_cancellation_is_repeated(cluster, tmp_path, monkeypatch):
    cancel, lost = ray.cancel, []

    def lose_the_first(reference, *, force):
        """Do what Ray does if a worker is told to cancel a task that it has not started yet."""
        if not lost:
            lost.append(reference)
        else:
            cancel(reference, force=force)

    monkeypatch.setattr(ray, "cancel", lose_the_first)
    monkeypatch.setattr("neuroasync.cluster.tasks._CANCEL_AGAIN_S", 0.01)
    executor = ClusterExecutor(cluster)
    executor.submit("task", wait_for_file, tmp_path / "never")
    ((_, reference),) = executor._running.values()
    executor.close()
    assert lost == [reference]
    with pytest.raises(ray.exceptions.RayError):
        ray.get(reference)
