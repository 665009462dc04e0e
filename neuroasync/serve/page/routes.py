"""The routes of the page: its files, ``GET /about`` and ``POST /trace``."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.policies import policy_name
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.core.recording.recorder import Recorder
from neuroasync.errors import ClosedError, NeuroasyncError
from neuroasync.runtime.network import Network
from neuroasync.serve.connection.websocket import GoneError
from neuroasync.serve.disconnect import run_while_connected
from neuroasync.serve.media_types import JSON, UnsupportedMediaError, check_media_type
from neuroasync.serve.page.about import describe_network
from neuroasync.serve.page.assets import HEADERS, asset_routes
from neuroasync.serve.page.request import MAX_TRACE_BYTES, TraceRequest, parse_request
from neuroasync.serve.page.trace import make_trace
from neuroasync.serve.sample_network import SampleNetwork
from neuroasync.serve.served_networks import (
    ServedNetwork,
    ServedNetworks,
    UnknownNetworkError,
)

__all__ = ["page_routes"]

_MAX_CONCURRENT_TRACES: Final = 4
"""Maximum number of traces that are made at a time. Further requests wait for their turn."""

_Endpoint: TypeAlias = Callable[[Request, ServedNetwork], Awaitable[Response]]


class _RequestError(Exception):
    """A request that gets an error response with this HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def page_routes(
    networks: Network | Mapping[str, Network] | ServedNetworks,
    *,
    is_authorized: Callable[[HTTPConnection], bool] = lambda request: True,
    max_cpu_s: float | None = None,
) -> list[BaseRoute]:
    """Return the routes of the live page: ``/``, ``/page/...``, ``/about`` and ``/trace``.

    The app that uses these routes has to keep the networks open while it serves.

    Args:
        networks: The networks that the page compares, by name. A single one needs no name.
        is_authorized: Returns whether a request may access the network, for example because of its
            token. A page that was opened as ``/?token=TOKEN`` sends ``Authorization: Bearer
            TOKEN``. The static files contain nothing about the networks and need no authorization.
        max_cpu_s: Maximum CPU time of the passes of one trace, in seconds. None means no limit.

    Raises:
        SpikeFileError: The shipped samples are damaged.
    """
    served_networks = networks if isinstance(networks, ServedNetworks) else ServedNetworks(networks)
    names = list(served_networks.names)
    # The descriptions never change while the server runs.
    descriptions = {
        served.name: _json_response(200, describe_network(served) | {"networks": names})
        for served in served_networks
    }
    tracer = _Tracer(max_cpu_s)

    def guarded(endpoint: _Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def guard(request: Request) -> Response:
            if not is_authorized(request):
                return _unauthorized()
            try:
                served = served_networks.find(request.query_params.get("network"))
            except UnknownNetworkError as error:
                return _json_response(404, {"error": str(error)})
            return await endpoint(request, served)

        return guard

    async def about(_request: Request, served: ServedNetwork) -> Response:
        return descriptions[served.name]

    return [
        *asset_routes(),
        Route("/about", guarded(about), methods=["GET"]),
        Route("/trace", guarded(tracer.answer), methods=["POST"]),
    ]


class _Tracer:
    """The endpoint that makes traces, a limited number at a time.

    Args:
        max_cpu_s: Maximum CPU time of the passes of one trace, in seconds, or None.
    """

    def __init__(self, max_cpu_s: float | None) -> None:
        self._max_cpu_s = max_cpu_s
        self._places = asyncio.Semaphore(_MAX_CONCURRENT_TRACES)

    async def answer(self, request: Request, served: ServedNetwork) -> Response:
        """Return the requested trace of a network, or an error. Stop if the client leaves.

        Cancellation: safe at every ``await``. The network is unchanged.
        """
        try:
            check_media_type(request, (JSON,))
            # A request gets a place only once its body has arrived, which may take long.
            body = await _read_body(request)
            return await run_while_connected(request, self._trace(body, served.network))
        except (ClientDisconnect, GoneError):
            return Response(status_code=400)  # nobody reads it
        except _RequestError as error:
            return _json_response(error.status, {"error": str(error)})
        except UnsupportedMediaError as error:
            return _json_response(415, {"error": str(error)})
        except ClosedError as error:
            return _json_response(503, {"error": str(error)})
        except (NeuroasyncError, ValueError) as error:
            return _json_response(400, {"error": str(error)})

    async def _trace(self, body: bytes, network: SampleNetwork) -> Response:
        async with self._places:
            # Parsing may take milliseconds, in which the event loop has to serve other clients.
            request = await asyncio.to_thread(parse_request, body, network.bundle)
            recorder = network.recorder(**request.options)
            decision = await network.decide(
                request.events,
                seed=sample_seed(request.seed, request.number),
                recorder=recorder,
                max_cpu_s=self._max_cpu_s,
                **request.options,
            )
            return await asyncio.to_thread(_trace_response, request, recorder, decision)


def _trace_response(request: TraceRequest, recorder: Recorder, decision: Decision) -> Response:
    recording = recorder.finish()
    events = {"t_us": request.events.t_us.tolist(), "index": request.events.index.tolist()}
    if request.events.value is not None:
        events["value"] = request.events.value.tolist()
    trace = make_trace(recording)
    populations = [{"name": name, "size": size} for name, size in recording.info.populations]
    run = _run_fields(recorder.settings) | {"seed": request.seed, "number": request.number}
    return _json_response(
        200,
        {
            "populations": populations,
            "events": events,
            **trace.to_json(),
            "decision": _decision_fields(decision, recorder.settings),
            "run": run,
        },
    )


def _decision_fields(decision: Decision, settings: RunSettings) -> dict[str, Any]:
    """Return the decision with its costs."""
    return {
        "label": decision.label,
        "class_name": decision.class_name,
        "votes": decision.votes.tolist(),
        "stopped": decision.stopped,
        "until": str(settings.until),
        "t_us": decision.t_us,
        "passes": decision.passes,
        "steps": decision.steps,
        "rounds": decision.rounds,
        "spikes": decision.total_spikes,
        "spikes_by_population": decision.spikes,
        "input_events": decision.input_events,
        "synops": decision.synops,
    }


def _run_fields(settings: RunSettings) -> dict[str, Any]:
    return {
        "policy": policy_name(settings.policy),
        "group_size": settings.group_size,
        "input": settings.input,
        "until": str(settings.until),
    }


async def _read_body(request: Request) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        # Checked for each chunk, so that a body above the limit is never held in memory.
        if size > MAX_TRACE_BYTES:
            raise _RequestError(
                413, f"the body must have at most {MAX_TRACE_BYTES} bytes; send a smaller sample"
            )
        chunks.append(chunk)
    return b"".join(chunks)


def _unauthorized() -> Response:
    message = "the token is missing or wrong; open the page as /?token=TOKEN"
    response = _json_response(401, {"error": message})
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _json_response(status: int, value: dict[str, Any]) -> Response:
    body = json.dumps(value, separators=(",", ":")).encode()
    return Response(body, status, HEADERS, "application/json")
