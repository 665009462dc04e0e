"""The ASGI app: a network behind a websocket and HTTP routes, alone or mounted in another app."""

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
from neuroasync.serve.connection.connection import ClientConnection
from neuroasync.serve.connection.websocket import GoneError, Socket
from neuroasync.serve.decide_endpoint import answer_decide_request
from neuroasync.serve.error_messages import format_error
from neuroasync.serve.limits import ServerLimits
from neuroasync.serve.metrics import ServerMetrics
from neuroasync.serve.page import page_routes
from neuroasync.serve.prometheus import CONTENT_TYPE, format_metrics
from neuroasync.serve.query_params import QueryError, parse_query
from neuroasync.serve.server_state import ServerState

__all__ = ["create_app"]

_POLICY_VIOLATION: Final = 1008
_TRY_AGAIN_LATER: Final = 1013


def create_app(
    network: Network | Bundle | str | os.PathLike[str],
    *,
    limits: ServerLimits | None = None,
    when_full: WhenFull = "block",
    token: str | None = None,
    metrics: ServerMetrics | None = None,
) -> Starlette:
    """Create an app that serves a network.

    Routes: ``/stream``, a websocket; ``POST /decide``; ``/health``, which returns status 503 once
    the server accepts no new work; ``/metrics``; and the live page at ``/``.

    If you pass a :class:`~neuroasync.Network`, you open it (``async with network``) in the event
    loop that runs the app, before the first request and until the last one, for example in the
    lifespan of your app. If you pass a bundle or its path, the lifespan of this app opens and
    closes the network. An app that mounts this one has to enter this lifespan itself:
    ``async with app.router.lifespan_context(app)``.

    ``app.state.server_state.drain()`` stops accepting work and waits until all accepted samples are
    answered. Await it before the web server closes the connections.

    Args:
        network: The network, its bundle, or the path of the bundle.
        limits: Limits for clients. Defaults to ``ServerLimits()``.
        when_full: What to do with a sample when the queue is full. ``"block"`` stops reading from
            the client; ``"drop-oldest"`` drops the oldest queued sample of the connection;
            ``"drop-newest"`` drops the new sample; ``"error"`` refuses the new sample. The client
            is notified of each dropped or refused sample.
        token: Token that clients must present, as ``Authorization: Bearer TOKEN`` or as
            ``?token=TOKEN``. ``/health`` and the static files of the live page need no token.
        metrics: Counters to share with other processes. Defaults to private counters.

    Raises:
        BundleError: The bundle cannot be read.
        ValueError: An argument is invalid.
    """
    owns_network = not isinstance(network, Network)
    if isinstance(network, Bundle):
        network = Network(network)
    elif not isinstance(network, Network):
        network = Network.load(network)
    served = network
    server_state = ServerState(
        served, limits or ServerLimits(), when_full, token, metrics or ServerMetrics()
    )

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with served if owns_network else contextlib.nullcontext():
            yield

    app = Starlette(routes=_routes(server_state), lifespan=lifespan)
    app.state.server_state = server_state
    return app


def _routes(server_state: ServerState) -> list[BaseRoute]:
    async def decide(request: Request) -> Response:
        if not server_state.is_authorized(request):
            return _unauthorized(server_state, _remote(request))
        return await answer_decide_request(server_state, request)

    async def health(_request: Request) -> Response:
        if server_state.is_draining:
            return JSONResponse({"status": "draining"}, 503)
        return JSONResponse({"status": "ok"})

    async def metrics(request: Request) -> Response:
        if not server_state.is_authorized(request):
            return _unauthorized(server_state, _remote(request))
        server_state.update_task_count()
        return Response(format_metrics(server_state.metrics), media_type=CONTENT_TYPE)

    return [
        WebSocketRoute("/stream", _StreamEndpoint(server_state)),
        Route("/decide", decide, methods=["POST"]),
        Route("/health", health),
        Route("/metrics", metrics),
        *page_routes(server_state.network, is_authorized=server_state.is_authorized),
    ]


class _StreamEndpoint:
    """The websocket route, as an ASGI app."""

    def __init__(self, server_state: ServerState) -> None:
        self._server_state = server_state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one websocket, or refuse it before accepting it."""
        server_state, websocket = self._server_state, WebSocket(scope, receive, send)
        remote = _remote(websocket)
        if not server_state.is_authorized(websocket):
            await websocket.send_denial_response(_unauthorized(server_state, remote))
            return
        for reason, applies, message in (
            ("draining", server_state.is_draining, "the server is shutting down"),
            ("sessions", server_state.is_full(), "the maximum number of sessions is open"),
        ):
            if applies:
                server_state.record_refusal(reason, remote)
                await websocket.send_denial_response(_unavailable(message))
                return
        await websocket.accept()
        socket = Socket(scope, receive, send, server_state.limits.send_timeout_s)
        with contextlib.suppress(GoneError):
            await self._serve(socket, websocket.query_params.multi_items(), remote)

    async def _serve(self, socket: Socket, query: list[tuple[str, str]], remote: str) -> None:
        server_state = self._server_state
        try:
            options = parse_query(query)
            session = server_state.network.session(seed=options.seed, **options.run)
        except ClosedError as error:
            await _close_with_error(socket, _TRY_AGAIN_LATER, str(error))
        except (QueryError, NeuroasyncError, ValueError) as error:
            server_state.record_refusal("options", remote)
            await _close_with_error(socket, _POLICY_VIOLATION, str(error))
        else:
            async with session:
                await ClientConnection(server_state, socket, session, options, remote).run()


async def _close_with_error(socket: Socket, code: int, error: str) -> None:
    # The close frame holds at most 123 bytes of the error, so a message carries the whole text.
    await socket.send(format_error(error))
    await socket.close(code, error)


def _unauthorized(server_state: ServerState, remote: str) -> Response:
    server_state.record_refusal("token", remote)
    message = (
        "the token is missing or wrong; send it as `Authorization: Bearer TOKEN` or `?token=TOKEN`"
    )
    return JSONResponse({"error": message}, 401, {"www-authenticate": "Bearer"})


def _unavailable(error: str) -> Response:
    return JSONResponse({"error": error}, 503, {"retry-after": "1"})


def _remote(connection: Request | WebSocket) -> str:
    client = connection.client
    return "" if client is None else f"{client.host}:{client.port}"
