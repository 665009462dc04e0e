"""Clients of a deployment that check that each sample has one answer, and the right one."""

import asyncio
import json

import websockets

from neuroasync import Network
from tests.helpers.asgi_client import split
from tests.helpers.mixed_samples import read_answer
from tests.helpers.small_networks import chain, sample

BUNDLE = chain()


def as_json(events, end):
    return json.dumps({"t_us": events.t_us.tolist(), "index": events.index.tolist(), "end": end})


class Client:
    """A connection that sends samples in chunks, one after the other, until it is told to end."""

    def __init__(self, number):
        self.number, self.is_ending = number, False
        self.sent, self.answers = 0, []

    async def run(self, address):
        async with websockets.connect(f"ws://{address}/stream?seed={self.number}") as client:
            while not self.is_ending or self.sent < 5:
                chunks = split(sample(seed=self.sent), (15, 30, 45) if self.number % 2 else ())
                for k, chunk in enumerate(chunks, 1):
                    await client.send(as_json(chunk, k == len(chunks)))
                    await asyncio.sleep(0.001)
                self.sent += 1
                self.answers.append(read_answer(await client.recv()))
            await client.send(as_json(sample(seed=0), True))
            last = read_answer(await client.recv())
            assert last["sample"] == self.sent  # nothing was answered twice

    async def check(self, bundle):
        """Check that each sample has one answer, which is that of one process."""
        assert [answer["sample"] for answer in self.answers] == list(range(self.sent))
        async with Network(bundle) as network:
            trains = [sample(seed=k) for k in range(self.sent)]
            decisions = await network.decide_all(trains, seed=self.number)
        assert [a["votes"] for a in self.answers] == [d.votes.tolist() for d in decisions]


async def check_answers_during(change, address, bundle=BUNDLE):
    """Check the answers to clients that send samples while the deployment changes."""
    clients = [Client(number) for number in range(6)]
    async with asyncio.timeout(180), asyncio.TaskGroup() as tasks:
        for client in clients:
            tasks.create_task(client.run(address))
        await change(clients)
        for client in clients:
            client.is_ending = True
    for client in clients:
        await client.check(bundle)
