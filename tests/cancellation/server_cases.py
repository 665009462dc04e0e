"""Cases of the server: each route, the websocket, the lifespan and the drain."""

import asyncio
import json

from starlette.applications import Starlette

import neuroasync as na
from neuroasync.serve import create_app
from tests.cancellation.suspensions import Cut, case
from tests.cancellation.undisturbed import BUNDLE, PARTS, SAMPLE
from tests.helpers.asgi_client import Websocket, connect, wait_until, websocket_scope
from tests.helpers.server_counts import ServerCounts
from tests.simulation.asgi import Exchange

EVENTS = {"t_us": SAMPLE.t_us.tolist(), "index": SAMPLE.index.tolist()}
BODIES = {"/decide": EVENTS, "/trace": {"events": EVENTS}}
"""The bodies of POST requests, by path. The others are GET requests."""


async def slowly() -> None:
    """Wait as a client does that sends and reads slowly."""
    await asyncio.sleep(0)


def request(path: str) -> Exchange:
    """Return a request to a route, whose body comes in two chunks."""
    if path not in BODIES:
        return Exchange(path, wait=slowly)
    body = json.dumps(BODIES[path]).encode()
    chunks = [body[:99], body[99:]]
    return Exchange(path, chunks, {"content-type": "application/json"}, wait=slowly)


def paths(app: Starlette) -> list[str]:
    """Return the paths of all HTTP routes of the app; of each family of files, one."""
    found = [route.path for route in app.routes if route.path != "/stream"]
    return [path for path in found if "{" not in path]


def _add_route(path: str) -> None:
    async def run(cut: Cut) -> None:
        async with na.Network(BUNDLE) as network:
            app = create_app(network)
            await cut(request(path).run(app))
            while any("to_thread" in repr(task) for task in asyncio.all_tasks()):
                await asyncio.sleep(0)
            ServerCounts(app.state.server_state).check_at_rest()
            again = request(path)
            await again.run(app)
            assert again.status == 200

    run.__name__ = f"route_{path.strip('/') or 'page'}"
    case(path)(run)


for route in paths(create_app(na.Network(BUNDLE))):
    _add_route(route)


def _add_stream(name: str, query: str) -> None:
    async def run(cut: Cut) -> None:
        async with na.Network(BUNDLE) as network:
            app = create_app(network)
            socket = Websocket()
            socket._to_app.put_nowait({"type": "websocket.connect"})
            socket.send_sample(PARTS[0], end=False)
            socket.send_sample(PARTS[1])
            socket.send("malformed")
            socket.send_sample(SAMPLE, binary=True)
            socket.send_sample(PARTS[0], end=False)
            socket.disconnect()
            socket._has_left = False  # the client reads to the end
            scope = websocket_scope(app, socket, query)
            await cut(app(scope, socket._receive, socket._send))
            ServerCounts(app.state.server_state).check_at_rest()
            async with connect(app) as other:
                other.send_sample(SAMPLE)
                assert (await other.receive())["final"]

    run.__name__ = f"stream_{name}"
    case("/stream")(run)


_add_stream("of_decisions", "")
_add_stream("of_provisional_decisions", "provisional=1")


@case("ServerState.drain")
async def drain(cut: Cut) -> None:
    async with na.Network(BUNDLE) as network:
        app = create_app(network)
        state = app.state.server_state
        async with connect(app) as socket:
            socket.send_sample(PARTS[0], end=False)
            await wait_until(lambda: ServerCounts(state).sum("samples_sent") == 1)
            await cut(state.drain())
            assert state.is_draining
            refused = request("/decide")
            await refused.run(app)
            assert refused.status == 503
        await state.drain()
        ServerCounts(state).check_at_rest()


@case("lifespan")
async def lifespan(cut: Cut) -> None:
    app = create_app(BUNDLE)

    async def serve_once() -> None:
        async with app.router.lifespan_context(app):
            await request("/health").run(app)

    await cut(serve_once())
    async with app.router.lifespan_context(app):
        decided = request("/decide")
        await decided.run(app)
        assert decided.status == 200
