"""Clients of a deployment that check their answers, and the processes of the deployment."""

import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import websockets

from bench.result import CheckError
from neuroasync import Network, SpikeTrain, SpikeTrains

__all__ = ["ServingClient", "as_message", "run_clients"]

_TIMEOUT_S: Final = 300.0


def as_message(events: SpikeTrain, is_last: bool) -> str:
    """Return a chunk of a sample as a message."""
    fields = {"t_us": events.t_us.tolist(), "index": events.index.tolist(), "end": is_last}
    return json.dumps(fields)


@dataclass(slots=True)
class ServingClient:
    """A connection that sends samples one after the other.

    Attributes:
        number: number of the connection.
        chunks: number of chunks of a sample.
        answers: the answers in their order.
        sent: number of samples sent.
        answered_s: when each answer arrived.
        longest_s: the longest time between a sample and its answer.
        is_ending: whether no further sample is to be sent.
    """

    number: int
    chunks: int
    answers: list[dict[str, Any]] = field(default_factory=list)
    sent: int = 0
    answered_s: list[float] = field(default_factory=list)
    longest_s: float = 0.0
    is_ending: bool = False

    async def next_answer_s(self) -> float:
        """Wait for the next answer, and return when it arrived."""
        count = len(self.answered_s)
        while len(self.answered_s) == count:  # noqa: ASYNC110  # a pause of 10 ms is short enough
            await asyncio.sleep(0.01)
        return self.answered_s[count]

    async def run(self, address: str, spikes: SpikeTrains) -> None:
        """Send samples until the end is requested, then listen for answers that are too many."""
        url = f"ws://{address}/stream?seed={self.number}"
        async with websockets.connect(url, ping_interval=None) as client:
            while not self.is_ending:
                train = spikes[self.sent % len(spikes)]
                bounds = np.linspace(0, len(train), self.chunks + 1).astype(int).tolist()
                for begin, end in itertools.pairwise(bounds):
                    part = SpikeTrain(train.t_us[begin:end], train.index[begin:end])
                    await client.send(as_message(part, end == len(train)))
                    await asyncio.sleep(0.005 if self.chunks > 1 else 0)
                self.sent += 1
                sent_s = time.monotonic()
                self.answers.append(json.loads(await client.recv()))
                self.answered_s.append(time.monotonic())
                self.longest_s = max(self.longest_s, self.answered_s[-1] - sent_s)
            try:
                async with asyncio.timeout(1):
                    self.answers.append(json.loads(await client.recv()))
            except TimeoutError:
                return

    async def check(self, network: Network, spikes: SpikeTrains) -> None:
        """Raise CheckError unless each sample has exactly one answer, which is that of ``run``."""
        numbers = [answer["sample"] for answer in self.answers]
        if numbers != list(range(self.sent)):
            raise CheckError(f"connection {self.number}: {self.sent} samples, answers {numbers}")
        trains = [spikes[n % len(spikes)] for n in range(self.sent)]
        decisions = await network.decide_all(trains, seed=self.number)
        for answer, decision in zip(self.answers, decisions, strict=True):
            if answer.get("votes") != decision.votes.tolist():
                raise CheckError(f"connection {self.number}: {answer}")


async def run_clients(
    count: int,
    address: str,
    network: Network,
    spikes: SpikeTrains,
    during: Callable[[list[ServingClient]], Awaitable[None]],
    *,
    chunks: int = 4,
) -> list[ServingClient]:
    """Run clients until ``during`` returns, check their answers, and return them.

    Args:
        count: number of clients.
        address: host and port of the server.
        network: the network that is served, which must not be open.
        spikes: the samples.
        during: what happens meanwhile.
        chunks: number of chunks of the samples of every other client.

    Raises:
        CheckError: an answer is missing, wrong or there twice, or a connection ended.
    """
    clients = [ServingClient(number, chunks if number % 2 else 1) for number in range(count)]
    try:
        async with asyncio.timeout(_TIMEOUT_S), asyncio.TaskGroup() as tasks:
            for client in clients:
                tasks.create_task(client.run(address, spikes))
            await during(clients)
            for client in clients:
                client.is_ending = True
    except* (CheckError, TimeoutError, websockets.ConnectionClosed) as errors:
        raise CheckError("; ".join(map(repr, errors.exceptions))) from None
    async with network:
        for client in clients:
            await client.check(network, spikes)
    return clients
