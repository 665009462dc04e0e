"""The benchmark of killed workers kills what it should, and notices a wrong result."""

import shutil
import signal
import subprocess
import sys

import pytest

pytest.importorskip("ray", reason="needs ray: pip install 'neuroasync[ray]'")
pytest.importorskip("torch", reason="needs torch: pip install 'neuroasync[train]'")
pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'neuroasync[viz]'")
if sys.platform != "linux":
    pytest.skip("processes are found in /proc", allow_module_level=True)

from bench import cluster_kills
from bench.cluster_kills import Work, measure
from bench.result import CheckError
from bench.worker_processes import pids_titled

TITLE = "worker-of-a-test"


def start():
    """Start a process with the title, which does nothing."""
    return subprocess.Popen([TITLE, "60"], executable=shutil.which("sleep"))


def test_processes_are_found_by_the_beginning_of_their_titles():
    with start() as process:
        assert pids_titled(TITLE[:8]) == [process.pid]
        process.kill()
    assert pids_titled(TITLE) == []


class Service:
    """Work whose process is started again when it was killed, until it was killed twice."""

    def __init__(self, results):
        self.results, self.codes = iter(results), []

    def run(self, cluster, on_progress):
        for _ in range(2 if cluster else 0):
            with start() as process:
                on_progress()
                self.codes.append(process.wait())
        return next(self.results)


def test_workers_are_killed_as_often_as_asked_and_results_are_compared(monkeypatch):
    monkeypatch.setattr(cluster_kills, "_PAUSE_S", (0.0, 0.01))
    service = Service([1, 1, 1])
    line = measure(Work("service", TITLE, service.run), object(), 4)
    assert service.codes == [-signal.SIGKILL] * 4
    assert line.figures == {"kills": 4, "runs": 2}
    assert line.values.n == 4
    assert 0 < line.values.max < 60
    with pytest.raises(CheckError, match="service: the result after 2 kills differs"):
        measure(Work("service", TITLE, Service([1, 2]).run), object(), 2)


def test_work_that_cannot_be_killed_is_no_result(monkeypatch):
    monkeypatch.setattr(cluster_kills, "_MAX_RUNS", 2)
    with pytest.raises(CheckError, match="only 0 kills in 2 runs"):
        measure(Work("nothing", TITLE, lambda *_: 1), object(), 1)
