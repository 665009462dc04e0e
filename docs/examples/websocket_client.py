"""Serve a network in this process, and ask it for a decision over a websocket."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator

import uvicorn
import websockets

import neuroasync
from neuroasync.serve import create_app
from neuroasync.shipped import shipped_bundle, shipped_spikes


# --8<-- [start:client]
async def ask(address: str) -> None:
    sample = shipped_spikes()[0]
    events = {"t_us": sample.t_us.tolist(), "index": sample.index.tolist(), "end": True}
    async with websockets.connect(f"ws://{address}/stream?until=margin(3)") as server:
        await server.send(json.dumps(events))
        print(await server.recv())


# --8<-- [end:client]


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[str]:
    """Run the server on a free port for the duration of the block."""
    async with neuroasync.Network(shipped_bundle("unlayered")) as network:
        server = uvicorn.Server(uvicorn.Config(create_app(network), log_level="warning"))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            task = asyncio.create_task(server.serve([listener]))
            yield "{}:{}".format(*listener.getsockname())
            server.should_exit = True
            await task


async def main() -> None:
    async with served() as address:
        await ask(address)


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
