"""The ASGI app: a network behind a websocket and a few routes, alone or in another app."""

import contextlib
import os
from collections.abc import AsyncIterator
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from neuroasync.core.formats.bundle import Bundle
from neuroasync.errors import ClosedError, NeuroasyncError
from neuroasync.runtime.bounded_queue import WhenFull
from neuroasync.runtime.network import Network
from neuroasync.serve.connection.connection import Connection
from neuroasync.serve.connection.websocket import GoneError, Socket
from neuroasync.serve.decide_endpoint import decide_once
from neuroasync.serve.error_messages import format_error
from neuroasync.serve.limits import ServerLimits
from neuroasync.serve.metrics import ServerMetrics
from neuroasync.serve.page import page_routes
from neuroasync.serve.prometheus import CONTENT_TYPE, exposition
from neuroasync.serve.query_params import QueryError, parse_query
from neuroasync.serve.server_state import ServerState

__all__ = ["create_app"]

_BAD_OPTIONS: Final = 1008
_TRY_AGAIN: Final = 1013


def create_app(
    network: Network | Bundle | str | os.PathLike[str],
    *,
    limits: ServerLimits | None = None,
    when_full: WhenFull = "block",
    token: str | None = None,
    tally: ServerMetrics | None = None,
) -> Starlette:
    """An app that serves a network.

    Routes: ``/stream``, a websocket; ``POST /decide``; ``/health``, with status 503 once no new
    work is taken; ``/metrics``; and the live page at ``/``.

    A network that is passed is yours: open it (``async with network``) in the event loop that
    runs the app, before the first request and until the last, in your own app's lifespan for
    instance. A bundle, or the path of one, is opened and closed by the app's own lifespan; an app
    that mounts this one has to enter that: ``async with app.router.lifespan_context(app)``.

    ``app.state.service.drain()`` takes no new work and waits until all that was accepted is
    answered. Await it before the server that runs the app closes the connections.

    Args:
        network: or bundle, or the bundle's path.
        limits: what is taken before clients wait or are refused.
        when_full: what becomes of a sample for which there is no room: ``"block"``: its client is
            not read; ``"drop-oldest"``, ``"drop-newest"``, ``"error"``: it, or the oldest of its
            connection that waits, is dropped or refused, and the client told.
        token: what clients must show, as ``Authorization: Bearer`` or as ``?token=``. ``/health``
            and the files of the live page are open to all.
        tally: counts, to be shared with other processes; None for counts of its own.

    Raises:
        BundleError: the bundle cannot be read.
        ValueError: an argument is not valid.
    """
    is_ours = not isinstance(network, Network)
    if isinstance(network, Bundle):
        network = Network(network)
    elif not isinstance(network, Network):
        network = Network.load(network)
    opened = network
    service = ServerState(
        opened, limits or ServerLimits(), when_full, token, tally or ServerMetrics()
    )

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with opened if is_ours else contextlib.nullcontext():
            yield

    app = Starlette(routes=_routes(service), lifespan=lifespan)
    app.state.service = service
    return app


def _routes(service: ServerState) -> list[BaseRoute]:
    async def decide(request: Request) -> Response:
        if not service.knows(request):
            return _unknown(service, _remote(request))
        return await decide_once(service, request)

    async def health(_request: Request) -> Response:
        if service.is_draining:
            return JSONResponse({"status": "draining"}, 503)
        return JSONResponse({"status": "ok"})

    async def metrics(request: Request) -> Response:
        if not service.knows(request):
            return _unknown(service, _remote(request))
        service.count_tasks()
        return Response(exposition(service.tally), media_type=CONTENT_TYPE)

    return [
        WebSocketRoute("/stream", _Stream(service)),
        Route("/decide", decide, methods=["POST"]),
        Route("/health", health),
        Route("/metrics", metrics),
        *page_routes(service.network, knows=service.knows),
    ]


class _Stream:
    """The websocket's route, as an ASGI app."""

    def __init__(self, service: ServerState) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one websocket, unless it is turned away."""
        service, websocket = self._service, WebSocket(scope, receive, send)
        remote = _remote(websocket)
        if not service.knows(websocket):
            await websocket.send_denial_response(_unknown(service, remote))
            return
        for reason, applies, said in (
            ("draining", service.is_draining, "the server is shutting down"),
            ("sessions", service.is_full(), "there are as many sessions as there may be"),
        ):
            if applies:
                service.refuse(reason, remote)
                await websocket.send_denial_response(_unavailable(said))
                return
        await websocket.accept()
        socket = Socket(scope, receive, send, service.limits.send_timeout_s)
        with contextlib.suppress(GoneError):
            await self._serve(socket, websocket.query_params.multi_items(), remote)

    async def _serve(self, socket: Socket, query: list[tuple[str, str]], remote: str) -> None:
        service = self._service
        try:
            options = parse_query(query)
            session = service.network.session(seed=options.seed, **options.run)
        except ClosedError as error:
            await _turn_away(socket, _TRY_AGAIN, str(error))
        except (QueryError, NeuroasyncError, ValueError) as error:
            service.refuse("options", remote)
            await _turn_away(socket, _BAD_OPTIONS, str(error))
        else:
            async with session:
                await Connection(service, socket, session, options, remote).run()


async def _turn_away(socket: Socket, code: int, error: str) -> None:
    await socket.send(format_error(error))
    await socket.close(code, error)


def _unknown(service: ServerState, remote: str) -> Response:
    service.refuse("token", remote)
    said = "token: missing or wrong, expected Authorization: Bearer TOKEN or ?token=TOKEN"
    return JSONResponse({"error": said}, 401, {"www-authenticate": "Bearer"})


def _unavailable(error: str) -> Response:
    return JSONResponse({"error": error}, 503, {"retry-after": "1"})


def _remote(connection: Request | WebSocket) -> str:
    client = connection.client
    return "" if client is None else f"{client.host}:{client.port}"
