"""Mount a network in a Starlette app, next to ordinary routes.

This example needs the extra ``serve``. It starts the app, sends a few requests to it and stops.
"""

import asyncio
import contextlib
import json
import socket
import urllib.request
from collections.abc import AsyncIterator

import uvicorn
import websockets
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import neuroasync
from neuroasync.serve import ServerLimits, create_app
from neuroasync.shipped import shipped_bundle, shipped_spikes

network = neuroasync.Network(shipped_bundle("unlayered"), until="margin(3)")
digits = create_app(network, limits=ServerLimits(max_sessions=100), when_full="drop-oldest")


async def greet(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello\n")


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with network:  # The app that mounts the network opens and closes it.
        yield


app = Starlette(routes=[Route("/", greet), Mount("/digits", digits)], lifespan=lifespan)


async def visit(address: str) -> None:
    """Send an ordinary request, and three samples over a websocket."""
    with await asyncio.to_thread(urllib.request.urlopen, f"http://{address}/") as response:
        print("GET /:", response.read().decode().strip())
    samples = shipped_spikes()
    async with websockets.connect(f"ws://{address}/digits/stream?policy=momentum") as client:
        for sample in samples[:3]:
            message = {"t_us": sample.t_us.tolist(), "index": sample.index.tolist(), "end": True}
            await client.send(json.dumps(message))
            decision = json.loads(await client.recv())
            print(decision["class_name"], "after", decision["rounds"], "rounds")


class Server(uvicorn.Server):
    """A server that leaves Ctrl-C to asyncio, which then cancels ``main``."""

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


async def main() -> None:
    server = Server(uvicorn.Config(app, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(server.serve([listener]))
            try:
                await visit("{}:{}".format(*listener.getsockname()))
                # Wait until all accepted samples are answered.
                await digits.state.server_state.drain()
            finally:
                server.should_exit = True
                with contextlib.suppress(asyncio.CancelledError):  # The server stops already.
                    await asyncio.shield(serving)


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
