"""Usable cores are the throughput of processes on all cores, relative to one."""

from contextlib import contextmanager

import pytest

from bench import usable_cores as module
from bench.usable_cores import usable_cores
from neuroasync import Network
from tests.helpers.small_networks import chain, samples


class FakePipe:
    """A process with a throughput of 2 if it is alone, and of ``together`` beside others."""

    def __init__(self, together, asked):
        self.together, self.asked = together, asked

    def send(self, message):
        self.asked.append(self)

    def recv(self):
        others = self.asked.count(self) < len(self.asked)
        if self is self.asked[-1]:
            self.asked.clear()
        return self.together if others else 2.0


@pytest.mark.parametrize(("together", "cores"), [(2.0, 2.0), (1.5, 1.5), (0.5, 1.0)])
def test_the_throughput_of_all_processes_is_relative_to_one(monkeypatch, together, cores):
    @contextmanager
    def processes(network, samples, count):
        asked = []
        yield [FakePipe(together, asked) for _ in range(2)]

    monkeypatch.setattr(module, "_processes", processes)
    assert usable_cores(None, None) == cores


def test_processes_decide_as_long_as_they_are_asked(monkeypatch):
    monkeypatch.setattr(module, "_ROUNDS", 1)
    monkeypatch.setattr(module, "_SECONDS", 0.01)
    assert usable_cores(Network(chain()), samples(3)) >= 1
