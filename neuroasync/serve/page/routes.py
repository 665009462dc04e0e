"""``GET /about`` and ``POST /trace``: what the page asks of its server."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.policies import policy_name
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.core.recording.recorder import Recorder
from neuroasync.errors import ClosedError, NeuroasyncError
from neuroasync.runtime.network import Network
from neuroasync.serve.page.about import about
from neuroasync.serve.page.assets import HEADERS, asset_routes
from neuroasync.serve.page.request import MAX_TRACE_BYTES, TraceRequest, read_request
from neuroasync.serve.page.trace import trace_of

__all__ = ["page_routes"]

_MAX_AT_ONCE: Final = 8
"""Traces that are made at a time; who comes then is told to come again."""


_Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


class _RefusedError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def page_routes(
    network: Network, *, knows: Callable[[HTTPConnection], bool] = lambda request: True
) -> list[BaseRoute]:
    """The live page and what it asks for: ``/``, ``/page/..``, ``/about`` and ``/trace``.

    They are for an app that has ``network`` open while it serves.

    Args:
        network: what the page shows.
        knows: says whether a request may see the network, by its token for one. The page shows
            what it was opened with, ``/?token=TOKEN``, as ``Authorization: Bearer TOKEN``. Its own
            files, which tell nothing of the network, are open to all.

    Raises:
        SpikeFileError: the shipped samples are damaged.
    """
    told = _json(200, about(network))
    tracer = _Tracer(network)

    def guarded(answer: _Endpoint) -> _Endpoint:
        async def guard(request: Request) -> Response:
            return await answer(request) if knows(request) else _unknown()

        return guard

    async def tell(request: Request) -> Response:
        return told

    return [
        *asset_routes(),
        Route("/about", guarded(tell), methods=["GET"]),
        Route("/trace", guarded(tracer.answer), methods=["POST"]),
    ]


class _Tracer:
    """Makes traces, a bounded number at a time."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._busy = 0

    async def answer(self, request: Request) -> Response:
        """The trace that is asked for, or what is wrong with the question.

        Cancellation: safe at every ``await``; the network is as before.
        """
        try:
            async with self._room():
                body = await _body(request)
                asked = await asyncio.to_thread(read_request, body, self._network.bundle)
                return await self._trace(asked)
        except _RefusedError as refusal:
            return _json(refusal.status, {"error": str(refusal)})
        except ClosedError as error:
            return _json(503, {"error": str(error)})
        except (NeuroasyncError, ValueError) as error:
            return _json(400, {"error": str(error)})

    @asynccontextmanager
    async def _room(self) -> AsyncIterator[None]:
        if self._busy >= _MAX_AT_ONCE:
            raise _RefusedError(503, f"{_MAX_AT_ONCE} traces are being made; ask again")
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1

    async def _trace(self, asked: TraceRequest) -> Response:
        recorder = self._network.recorder(**asked.options)
        decision = await self._network.decide(
            asked.events,
            seed=sample_seed(asked.seed, asked.number),
            recorder=recorder,
            **asked.options,
        )
        return await asyncio.to_thread(_told, asked, recorder, decision)


def _told(asked: TraceRequest, recorder: Recorder, decision: Decision) -> Response:
    recording = recorder.finish()
    events = {"t_us": asked.events.t_us.tolist(), "index": asked.events.index.tolist()}
    trace = trace_of(recording)
    populations = [{"name": name, "size": size} for name, size in recording.info.populations]
    return _json(
        200,
        {
            "populations": populations,
            "events": events,
            **trace.to_json(),
            "decision": _decided(decision, recorder.settings),
            "run": _run(recorder.settings) | {"seed": asked.seed, "number": asked.number},
        },
    )


def _decided(decision: Decision, settings: RunSettings) -> dict[str, Any]:
    """The decision, and where it fell."""
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


def _run(settings: RunSettings) -> dict[str, Any]:
    return {
        "policy": policy_name(settings.policy),
        "group_size": settings.group_size,
        "input": settings.input,
        "until": str(settings.until),
    }


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_TRACE_BYTES:
            raise _RefusedError(413, f"a body above {MAX_TRACE_BYTES} bytes; send a smaller sample")
        parts.append(part)
    return b"".join(parts)


def _unknown() -> Response:
    said = "token: missing or wrong, expected the page to be opened as /?token=TOKEN"
    answer = _json(401, {"error": said})
    answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def _json(status: int, value: dict[str, Any]) -> Response:
    body = json.dumps(value, separators=(",", ":")).encode()
    return Response(body, status, HEADERS, "application/json")
