"""Define a custom population that asks a network service before its neurons may fire."""

import asyncio
import contextlib

import numpy as np

import neuroasync
from neuroasync.shipped import shipped_bundle, shipped_spikes

DEADLINE_US = 5_000


async def serve_deadline(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each time (a line with µs) with yes or no. It stands in for a remote service."""
    while line := await reader.readline():
        writer.write(b"yes\n" if int(line) < DEADLINE_US else b"no\n")
        await writer.drain()
    writer.close()


class SupervisedOutput:
    """Output neurons without leak, which fire only while the service allows it."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def __call__(
        self, inbox: neuroasync.Inbox, fired: neuroasync.Fired, population: neuroasync.Population
    ) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        v, sample = np.zeros(population.size, np.float32), 0
        try:
            async for events in inbox:
                if events.sample != sample:
                    sample, v = events.sample, np.zeros_like(v)
                v += events.current
                fires = v > population.neuron.v_threshold
                if fires.any() and not await self.is_allowed(reader, writer, events.t_us):
                    fires[:] = False
                v[fires] = 0
                await fired.put(np.flatnonzero(fires))
        finally:
            writer.close()

    async def is_allowed(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, t_us: int
    ) -> bool:
        async with asyncio.timeout(10):  # A service that does not answer must not block the sample.
            writer.write(b"%d\n" % t_us)
            return await reader.readline() == b"yes\n"


async def main() -> None:
    samples = shipped_spikes()
    server = await asyncio.start_server(serve_deadline, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    network = neuroasync.Network(
        shipped_bundle("unlayered"), populations={"output": SupervisedOutput(port)}
    )
    async with server, network, network.tap("output") as votes:
        decision = await network.decide(samples[0])
        votes.close()
        times = [vote.t_us async for vote in votes]
    print(f"decided: {decision.class_name}; the last vote came before {DEADLINE_US} µs:", end=" ")
    print(max(times) < DEADLINE_US)


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
