"""The ASGI app: networks behind a websocket and HTTP routes, alone or mounted in another app."""

import contextlib
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from neuroasync.errors import ClosedError, NeuroasyncError
from neuroasync.runtime.bounded_queue import WhenFull
from neuroasync.serve.connection.connection import ClientConnection
from neuroasync.serve.connection.websocket import GoneError, Socket
from neuroasync.serve.decide_endpoint import answer_decide_request
from neuroasync.serve.error_messages import format_error
from neuroasync.serve.limits import ServerLimits
from neuroasync.serve.metrics import ServerMetrics
from neuroasync.serve.page import page_routes
from neuroasync.serve.prometheus import CONTENT_TYPE, format_metrics
from neuroasync.serve.query_params import QueryError, parse_query
from neuroasync.serve.request_guard import RequestGuard, check_hosts, check_origins
from neuroasync.serve.served_networks import (
    NetworkSource,
    ServedNetwork,
    ServedNetworks,
    UnknownNetworkError,
)
from neuroasync.serve.server_state import ServerState

__all__ = ["create_app"]

_POLICY_VIOLATION: Final = 1008
_TRY_AGAIN_LATER: Final = 1013


def create_app(
    networks: NetworkSource | Mapping[str, NetworkSource],
    *,
    limits: ServerLimits | None = None,
    when_full: WhenFull = "block",
    token: str | None = None,
    allow_hosts: Collection[str] = (),
    allow_origins: Collection[str] = (),
    metrics: ServerMetrics | None = None,
) -> Starlette:
    """Create an app that serves one or several networks.

    The query parameter ``network`` selects a network by its name. The first one is the default.

    Routes: ``/stream``, a websocket; ``POST /decide``; ``/health``, which returns status 503 once
    the server accepts no new work; ``/metrics``; and the live page at ``/``.

    If you pass a :class:`~neuroasync.Network`, you open it (``async with network``) in the event
    loop that runs the app, before the first request and until the last one, for example in the
    lifespan of your app. If you pass a bundle or its path, the lifespan of this app opens and
    closes the network. A mapping may have both. An app that mounts this one has to enter this
    lifespan itself: ``async with app.router.lifespan_context(app)``.

    ``app.state.server_state.drain()`` stops accepting work and waits until all accepted samples are
    answered. Await it before the web server closes the connections.

    Args:
        networks: The networks by name, such as ``{"small": "small.nab", "large": network}``: each
            is a network, its bundle, the path of the bundle, or the name of a shipped network. A
            single network needs no name.
        limits: Limits for clients. Defaults to ``ServerLimits()``.
        when_full: What to do with a sample when the queue is full. ``"block"`` stops reading from
            the client; ``"drop-oldest"`` drops the oldest queued sample of the connection;
            ``"drop-newest"`` drops the new sample; ``"error"`` refuses the new sample. The client
            is notified of each dropped or refused sample.
        token: Token that clients must present, as ``Authorization: Bearer TOKEN`` or as
            ``?token=TOKEN``. ``/health`` and the static files of the live page need no token.
        allow_hosts: Names under which clients may reach the server, such as ``"example.com"``,
            ``"*.example.com"`` or ``"*"``, besides IP addresses, names without a dot, and the name
            of this machine. With a token and without this argument, every name is allowed.
        allow_origins: Origins of other web pages that may use the server, such as
            ``"https://example.com"``, or ``"*"`` for all. Their requests get CORS headers.
        metrics: Counters to share with other processes. Defaults to private counters.

    Raises:
        BundleError: A bundle cannot be read.
        TypeError, ValueError: An argument is invalid.
    """
    served = ServedNetworks(networks)
    metrics = metrics or ServerMetrics(networks=len(served))
    limits = ServerLimits() if limits is None else limits
    server_state = ServerState(served, limits, when_full, token, metrics)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with served.open():
            yield

    app = Starlette(
        routes=_routes(server_state),
        middleware=_middleware(server_state, token, allow_hosts, allow_origins),
        exception_handlers={ClientDisconnect: _answer_lost_client, Exception: _answer_failure},
        lifespan=lifespan,
    )
    app.state.server_state = server_state
    return app


def _middleware(
    server_state: ServerState,
    token: str | None,
    allow_hosts: Collection[str],
    allow_origins: Collection[str],
) -> list[Middleware]:
    # With a token, a page that reaches the server under another name does not know the token.
    hosts = allow_hosts or (() if token is None else ("*",))
    guard = Middleware(
        RequestGuard, allow_hosts=hosts, allow_origins=allow_origins,
        on_refused=server_state.record_refusal,
    )  # fmt: skip
    if not allow_origins:
        check_hosts(hosts)  # Starlette creates its middleware only at the first request.
        return [guard]
    origins = check_origins(allow_origins)
    cors = Middleware(
        CORSMiddleware, allow_origins=origins, allow_methods=("GET", "POST"),
        allow_headers=("Authorization",), allow_private_network=True,
        expose_headers=("Retry-After",),
    )  # fmt: skip
    return [guard, cors]


def _routes(server_state: ServerState) -> list[BaseRoute]:
    async def decide(request: Request) -> Response:
        if not server_state.is_authorized(request):
            return _unauthorized(server_state, _remote(request))
        return await answer_decide_request(server_state, request)

    async def stream(_request: Request) -> Response:
        headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
        return JSONResponse(
            {"error": "/stream is a websocket; connect to it with ws://"}, 426, headers
        )

    async def health(request: Request) -> Response:
        if server_state.is_draining:
            return JSONResponse({"status": "draining"}, 503)
        # The names of the networks need the token, unlike the health of the server.
        if "network" in request.query_params:
            return _check_network(server_state, request) or JSONResponse({"status": "ok"})
        return JSONResponse({"status": "ok"})

    async def metrics(request: Request) -> Response:
        if not server_state.is_authorized(request):
            return _unauthorized(server_state, _remote(request))
        server_state.update_task_count()
        body = format_metrics(server_state.metrics, server_state.networks.names)
        return Response(body, media_type=CONTENT_TYPE)

    return [
        WebSocketRoute("/stream", _StreamEndpoint(server_state)),
        Route("/stream", stream),
        Route("/decide", decide, methods=["POST"]),
        Route("/health", health),
        Route("/metrics", metrics),
        *page_routes(
            server_state.networks,
            is_authorized=server_state.is_authorized,
            max_cpu_s=server_state.limits.max_cpu_s,
        ),
    ]


class _StreamEndpoint:
    """The websocket route, as an ASGI app."""

    def __init__(self, server_state: ServerState) -> None:
        self._server_state = server_state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one websocket, or refuse it before accepting it."""
        websocket = WebSocket(scope, receive, send)
        try:
            served = await self._accept(websocket)
        except (OSError, WebSocketDisconnect):
            return  # The client has left before it received the response to its handshake.
        if served is not None:
            socket = Socket(scope, receive, send, self._server_state.limits.send_timeout_s)
            query = websocket.query_params.multi_items()
            with contextlib.suppress(GoneError):
                await self._serve(socket, served, query, _remote(websocket))

    async def _accept(self, websocket: WebSocket) -> ServedNetwork | None:
        """Accept a websocket and return its network, or refuse it and return None."""
        server_state, remote = self._server_state, _remote(websocket)
        if not server_state.is_authorized(websocket):
            await websocket.send_denial_response(_unauthorized(server_state, remote))
            return None
        for reason, applies, message in (
            ("draining", server_state.is_draining, "the server is shutting down"),
            ("sessions", server_state.is_full(), "the maximum number of sessions is open"),
        ):
            if applies:
                server_state.record_refusal(reason, remote)
                await websocket.send_denial_response(_unavailable(message))
                return None
        try:
            served = server_state.networks.find(websocket.query_params.get("network"))
        except UnknownNetworkError as error:
            server_state.record_refusal("options", remote)
            await websocket.send_denial_response(JSONResponse({"error": str(error)}, 404))
            return None
        await websocket.accept()
        return served

    async def _serve(
        self, socket: Socket, served: ServedNetwork, query: list[tuple[str, str]], remote: str
    ) -> None:
        server_state = self._server_state
        try:
            options = parse_query(query)
            options.run["max_passes"] = server_state.max_passes_of(served)
            session = served.network.session(
                seed=options.seed, max_cpu_s=server_state.limits.max_cpu_s, **options.run
            )
        except ClosedError as error:
            await _close_with_error(socket, _TRY_AGAIN_LATER, str(error))
        except (QueryError, NeuroasyncError, ValueError) as error:
            server_state.record_refusal("options", remote)
            await _close_with_error(socket, _POLICY_VIOLATION, str(error))
        else:
            async with session:
                await ClientConnection(server_state, socket, served, session, options, remote).run()


async def _answer_lost_client(_request: Request, _error: Exception) -> Response:
    """Return the response to a client that has left, which only the log will show."""
    return Response(status_code=400)


async def _answer_failure(_request: Request, _error: Exception) -> Response:
    """Return the response to a request that failed because of a defect, which the log shows."""
    error = "the request failed; see the log of the server"
    return JSONResponse({"error": error}, 500, {"X-Content-Type-Options": "nosniff"})


def _check_network(server_state: ServerState, request: Request) -> Response | None:
    """Return an error if the token is wrong or the query names an unknown network."""
    if not server_state.is_authorized(request):
        return _unauthorized(server_state, _remote(request))
    try:
        server_state.networks.find(request.query_params.get("network"))
    except UnknownNetworkError as error:
        return JSONResponse({"error": str(error)}, 404)
    return None


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
