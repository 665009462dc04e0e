"""``POST /decide``: one sample, one decision."""

import contextlib
import time
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from neuroasync.core.engine.decision import Decision
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.errors import ClosedError, LimitError, MessageError, NeuroasyncError, SpikeFileError
from neuroasync.messages import EventMessage, format_decision, parse_events
from neuroasync.serve.error_messages import format_error
from neuroasync.serve.query_params import QueryError, parse_query
from neuroasync.serve.server_state import ServerState

__all__ = ["decide_once"]

_KINDS: Final = {"application/json": False, "application/msgpack": True}


class _AnswerError(Exception):
    """There will be no decision.

    Args:
        status: of HTTP.
        error: what is wrong.
        reason: why the sample was refused, if it was sent.
    """

    def __init__(self, status: int, error: str, reason: str = "") -> None:
        super().__init__(error)
        self.status = status
        self.reason = reason


async def decide_once(service: ServerState, request: Request) -> Response:
    """Decide on the sample in a request's body.

    It runs as sample 0 of a connection would. Cancellation: safe; nothing is left behind.
    """
    content_type = request.headers.get("content-type", "application/json").partition(";")[0]
    is_binary = _KINDS.get(content_type.strip().lower())
    service.began()
    try:
        if is_binary is None:
            raise _AnswerError(415, f"content-type: {content_type!r:.80}, expected {_kinds()}")
        found = await _decided(service, request, is_binary)
        return _response(200, found, is_binary)
    except _AnswerError as error:
        said = format_error(str(error), binary=bool(is_binary))
        return _response(error.status, said, bool(is_binary))
    finally:
        service.ended()


async def _decided(service: ServerState, request: Request, is_binary: bool) -> str | bytes:
    if service.is_draining:
        service.refuse("draining", _remote(request))
        raise _AnswerError(503, "the server is shutting down")
    try:
        options = parse_query(request.query_params.multi_items(), one_shot=True)
    except QueryError as error:
        service.refuse("options", _remote(request))
        raise _AnswerError(400, str(error)) from error
    body = await _body(request, service.limits.message_bytes)
    arrived_s = time.perf_counter()
    tally = service.tally
    tally.add("samples_sent")
    tally.add("samples_open")
    family, value = "samples_refused", "unfinished"
    try:
        message = _message(body, is_binary, service)
        seed = service.network.seed if options.seed is None else options.seed
        await _take(service, len(message.events) or 1)
        try:
            decision = await service.network.decide(
                message.events, seed=sample_seed(seed, 0), **options.run
            )
        finally:
            service.room.give(1, len(message.events) or 1)
        family, value = "samples_accepted", "answered"
    except _AnswerError as error:
        value = error.reason
        raise
    except SpikeFileError as error:
        value = "invalid"
        raise _AnswerError(400, str(error)) from error
    except ClosedError as error:
        raise _AnswerError(503, str(error)) from error
    except LimitError as error:
        family, value = "samples_accepted", "failed"
        raise _AnswerError(422, str(error)) from error
    except (NeuroasyncError, ValueError) as error:  # an option that only the network can judge
        value = "invalid"
        raise _AnswerError(400, str(error)) from error
    finally:
        tally.add("samples_open", -1)
        tally.add(family, 1, value)
    return _answer(service, decision, time.perf_counter() - arrived_s, is_binary)


def _message(body: bytes, is_binary: bool, service: ServerState) -> EventMessage:
    service.tally.add("messages")
    try:
        data = body if is_binary else body.decode()
        message = parse_events(data, service.limits.message_bytes)
    except (MessageError, UnicodeDecodeError) as error:
        service.tally.add("messages_malformed")
        raise _AnswerError(400, str(error), "malformed") from error
    service.tally.add("events", len(message.events))
    return message


async def _take(service: ServerState, events: int) -> None:
    """Take room, or wait for it if samples are not to be dropped or refused."""
    room = service.room
    if events > room.events_in_all:
        error = f"t_us: {events} events, the limit is {room.events_in_all}"
        raise _AnswerError(413, error, "too-large")
    if service.when_full == "block":
        await room.take(1, events)
    elif not room.take_now(1, events):
        raise _AnswerError(503, "no room: too many samples are waiting", "server-full")


def _answer(
    service: ServerState, decision: Decision, latency_s: float, binary: bool
) -> str | bytes:
    service.tally.add("decisions")
    service.tally.add("spikes", decision.total_spikes)
    service.tally.latency(latency_s)
    return format_decision(decision, 0, 1e3 * latency_s, binary=binary)


async def _body(request: Request, limit: int) -> bytes:
    body = bytearray()
    async with contextlib.aclosing(request.stream()) as parts:
        async for part in parts:
            body += part
            if len(body) > limit:
                raise _AnswerError(413, f"message: more than {limit} bytes, the limit")
    return bytes(body)


def _response(status: int, body: str | bytes, is_binary: bool) -> Response:
    media_type = "application/msgpack" if is_binary else "application/json"
    headers = {"retry-after": "1"} if status == 503 else None
    return Response(body, status, headers, media_type)


def _remote(request: Request) -> str:
    return "" if request.client is None else f"{request.client.host}:{request.client.port}"


def _kinds() -> str:
    return " or ".join(_KINDS)
