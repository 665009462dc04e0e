"""How long does a cluster of one machine take for a data set? A model of two kinds of queues.

The program is a queue of its own: it sends the samples of one chunk after the other, and unpacks
their decisions. Its chunks wait for workers, which decide one chunk at a time. All of them share
the cores of the machine: if more of them are busy than there are cores, each proceeds more slowly.
The sizes of the chunks follow from their simulated times, by the rule of the package.

The parameters are measured one at a time, each while nothing else runs.
"""

import statistics
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import ray

from neuroasync import Decision, Network, SpikeTrains
from neuroasync.cluster.chunks import Chunks
from neuroasync.cluster.packed_samples import PackedSamples
from neuroasync.cluster.tasks import TASKS_PER_CPU, submit
from neuroasync.cluster.worker import StoredNetwork, decide_chunk
from neuroasync.core.engine.decision import PackedDecisions

__all__ = ["Costs", "data_set_s", "measure_costs"]

_REPEATS: Final = 5


@dataclass(frozen=True, slots=True)
class Costs:
    """What a cluster adds to the time of the decisions.

    Attributes:
        start_s: once for each data set: sending the network, s.
        task_s: for each chunk: starting a task and returning its result, s.
        send_s: for each sample: the program copies its events to the object store, s.
        receive_s: for each sample: the program unpacks its decision, s.
    """

    start_s: float
    task_s: float
    send_s: float
    receive_s: float


def measure_costs(
    network: Network, samples: SpikeTrains, decisions: Sequence[Decision], chunk: int
) -> Costs:
    """Measure the costs on the cluster that this program is connected to; the median of each.

    Args:
        network: the network, which must not be open.
        samples: the data set, of at least one sample.
        decisions: its decisions.
        chunk: number of samples of a chunk; a larger one costs more for each sample.
    """
    stored = StoredNetwork.put(network)
    single = PackedSamples.of(samples[:1])
    part, size = samples[:chunk], min(chunk, len(samples))
    packed = PackedDecisions.of(decisions[:size])

    def task() -> None:
        ray.get(submit(decide_chunk, stored, single, 0, 0, None, {}))

    def send() -> Any:
        return ray.put(PackedSamples.of(part))

    return Costs(
        _median_s(lambda: StoredNetwork.put(network)),
        _median_s(task),
        _median_s(send) / size,
        _median_s(packed.unpack) / size,
    )


def _median_s(function: Any) -> float:
    """Return the median time of a call, s. Its result is kept until the call is timed."""
    times = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - began)
        del result
    return statistics.median(times)


@dataclass(slots=True)
class _Machine:
    """The state of a simulation.

    Attributes:
        service_s: times of all samples on one core, s.
        costs: the costs of the cluster.
        workers: number of workers.
        cores: number of cores that they share with the program.
    """

    service_s: Sequence[float]
    costs: Costs
    workers: int
    cores: float
    now_s: float = 0.0
    in_flight: int = 0
    chunks: Chunks = field(init=False)
    ready: deque[range] = field(default_factory=deque)
    decided: deque[range] = field(default_factory=deque)
    program: tuple[float, range, bool] | None = None
    deciding: list[tuple[float, range, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chunks = Chunks(len(self.service_s), self.workers)

    def run(self) -> float:
        """Return the time until all decisions are received, s."""
        self.now_s = self.costs.start_s
        while self._begin():
            busy = len(self.deciding) + (self.program is not None)
            slowdown = max(1.0, busy / self.cores)
            step = min(work for work, *_ in (*self.deciding, *self._programs()))
            self.now_s += step * slowdown
            self._advance(step)
        return self.now_s

    def _programs(self) -> list[tuple[float, range, bool]]:
        return [] if self.program is None else [self.program]

    def _may_send(self) -> bool:
        return self.program is None and self.in_flight < TASKS_PER_CPU * self.workers

    def _begin(self) -> bool:
        """Let everything begin that can, and return whether anything is busy."""
        if self.program is None and self.decided:
            chunk = self.decided.popleft()
            self.program = len(chunk) * self.costs.receive_s, chunk, False
        elif self._may_send() and (taken := self.chunks.take()) is not None:
            self.in_flight += 1
            self.program = len(taken) * self.costs.send_s, taken, True
        while self.ready and len(self.deciding) < self.workers:
            chunk = self.ready.popleft()
            work = self.costs.task_s + sum(self.service_s[chunk.start : chunk.stop])
            self.deciding.append((work, chunk, self.now_s + self.costs.task_s))
        return self.program is not None or bool(self.deciding)

    def _advance(self, step: float) -> None:
        """Let all work proceed, and end what is done."""
        still = []
        for work, chunk, began_s in self.deciding:
            if work > step:
                still.append((work - step, chunk, began_s))
                continue
            self.decided.append(chunk)
            self.chunks.measured(len(chunk), self.now_s - began_s)
        self.deciding = still
        if self.program is not None:
            work, chunk, is_sent = self.program
            self.program = (work - step, chunk, is_sent) if work > step else None
            if work <= step and is_sent:
                self.ready.append(chunk)
            elif work <= step:
                self.in_flight -= 1


def data_set_s(
    service_s: Sequence[float], costs: Costs, workers: int, shared_cores: float
) -> float:
    """Return the simulated time of a data set on a cluster, s.

    Args:
        service_s: times of its samples on one core, s.
        costs: the costs of the cluster.
        workers: number of workers.
        shared_cores: number of cores that they share with the program.
    """
    return _Machine(service_s, costs, workers, shared_cores).run()
