"""``POST /decide``: one sample in a request, one decision in the response."""

import contextlib
import time
from collections.abc import Iterator
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from neuroasync.core.engine.decision import Decision
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.errors import (
    ClosedError,
    CpuTimeLimitError,
    LimitError,
    MessageError,
    NeuroasyncError,
    PassLimitError,
    QueueFullError,
)
from neuroasync.messages import format_decision, parse_events
from neuroasync.serve.capacity import CapacityShare
from neuroasync.serve.connection.message_peek import peek_message
from neuroasync.serve.connection.websocket import GoneError
from neuroasync.serve.disconnect import run_while_connected
from neuroasync.serve.error_messages import format_error
from neuroasync.serve.media_types import JSON, MSGPACK, UnsupportedMediaError, check_media_type
from neuroasync.serve.metrics import ServerMetrics
from neuroasync.serve.query_params import QueryError, StreamOptions, parse_query
from neuroasync.serve.served_networks import ServedNetwork, UnknownNetworkError
from neuroasync.serve.server_state import ServerState

__all__ = ["answer_decide_request"]

_MEDIA_TYPES: Final = (JSON, MSGPACK)
_BYTES_PER_EVENT: Final = 16


class _RequestError(Exception):
    """A request that gets an error response instead of a decision.

    Args:
        status: HTTP status of the response.
        error: Explanation for the client.
        reason: Label of the metric ``samples_refused``, if the sample was counted as sent.
    """

    def __init__(self, status: int, error: str, reason: str = "") -> None:
        super().__init__(error)
        self.status = status
        self.reason = reason


async def answer_decide_request(server_state: ServerState, request: Request) -> Response:
    """Decide the sample in the body of a request.

    The sample runs like sample 0 of a connection. It is abandoned if the client leaves.

    Cancellation: safe. The sample is counted as refused and its capacity is released.
    """
    is_binary = False
    server_state.begin_request()
    try:
        is_binary = check_media_type(request, _MEDIA_TYPES) == MSGPACK
        return _response(200, await _decide_body(server_state, request, is_binary), is_binary)
    except UnsupportedMediaError as error:
        return _response(415, format_error(str(error)), is_binary)
    except _RequestError as error:
        return _response(error.status, format_error(str(error), binary=is_binary), is_binary)
    except (ClientDisconnect, GoneError):
        return Response(status_code=400)  # nobody reads it
    finally:
        server_state.end_request()


async def _decide_body(server_state: ServerState, request: Request, is_binary: bool) -> str | bytes:
    """Return the response body. The sample counts as sent once its body was read."""
    if server_state.is_draining:
        server_state.record_refusal("draining", _remote(request))
        raise _RequestError(503, "the server is shutting down")
    try:
        options = parse_query(request.query_params.multi_items(), allow_provisional=False)
        served = server_state.networks.find(options.network)
    except QueryError as error:
        server_state.record_refusal("options", _remote(request))
        raise _RequestError(400, str(error)) from error
    except UnknownNetworkError as error:
        server_state.record_refusal("options", _remote(request))
        raise _RequestError(404, str(error)) from error
    body = await _read_body(request, server_state.limits.max_message_bytes)
    arrived_s = time.perf_counter()
    metrics = server_state.metrics_of(served)
    metrics.add("samples_sent")
    metrics.add("samples_open")
    # A cancelled request, or a network that closes meanwhile, leaves the sample unfinished.
    family, label = "samples_refused", "unfinished"
    try:
        decision = await run_while_connected(
            request, _decide_message(server_state, served, body, is_binary, options)
        )
        family, label = "samples_accepted", "answered"
    except GoneError:
        family, label = "samples_accepted", "client-gone"
        raise
    except _RequestError as error:
        label = error.reason
        raise
    except ClosedError as error:
        raise _RequestError(503, str(error)) from error
    except PassLimitError as error:
        label = "too-many-passes"
        raise _RequestError(422, str(error)) from error
    except LimitError as error:
        is_cpu_time = isinstance(error, CpuTimeLimitError)
        family, label = "samples_accepted", "cpu-time" if is_cpu_time else "failed"
        raise _RequestError(422, str(error)) from error
    except (NeuroasyncError, ValueError) as error:  # wrong events, or options the network refuses
        label = "invalid"
        raise _RequestError(400, str(error)) from error
    finally:
        metrics.add("samples_open", -1)
        metrics.add(family, 1, label)
    latency_s = time.perf_counter() - arrived_s
    metrics.add("decisions")
    metrics.add("spikes", decision.total_spikes)
    metrics.observe_latency(latency_s)
    return format_decision(decision, 0, 1e3 * latency_s, binary=is_binary)


async def _decide_message(
    server_state: ServerState,
    served: ServedNetwork,
    body: bytes,
    is_binary: bool,
    options: StreamOptions,
) -> Decision:
    metrics, limits = server_state.metrics_of(served), server_state.limits
    network = served.network
    seed = network.seed if options.seed is None else options.seed
    options.run["max_passes"] = server_state.max_passes_of(served)
    metrics.add("messages")
    with _counting_malformed(metrics):
        data = body if is_binary else body.decode()
        peek = peek_message(data, limits.max_message_bytes)
    # A sample without events takes capacity, too, so that the number of requests is limited.
    events = max(1, peek.events, len(data) // _BYTES_PER_EVENT)
    share = CapacityShare(server_state.capacity)
    await _acquire_capacity(server_state, share, events, len(data))
    try:
        with _counting_malformed(metrics):
            train = parse_events(data, limits.max_message_bytes).events
        metrics.add("events", len(train))
        return await network.decide(
            train, seed=sample_seed(seed, 0), max_cpu_s=limits.max_cpu_s, **options.run
        )
    finally:
        share.release(1, events)


@contextlib.contextmanager
def _counting_malformed(metrics: ServerMetrics) -> Iterator[None]:
    """Turn the errors of a malformed message into a response."""
    try:
        yield
    except (MessageError, UnicodeDecodeError) as error:
        metrics.add("messages_malformed")
        raise _RequestError(400, str(error), "malformed") from error


async def _acquire_capacity(
    server_state: ServerState, share: CapacityShare, events: int, size: int
) -> None:
    """Acquire capacity for a sample. Wait for it only in the mode ``block``."""
    capacity = server_state.capacity
    if events > capacity.max_events:
        error = (
            f"the sample counts as {events} events (at least one per 16 bytes); the server accepts "
            f"at most {capacity.max_events}"
        )
        raise _RequestError(413, error, "too-large")
    if server_state.when_full == "block":
        try:
            await share.acquire(1, events, size)
        except QueueFullError as error:
            raise _RequestError(503, f"{error}; try again", "server-full") from error
    elif not share.acquire_nowait(1, events):
        raise _RequestError(503, "the queue of the server is full; try again", "server-full")


async def _read_body(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    async with contextlib.aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            body += chunk
            # Checked for each chunk, so that a body above the limit is never held in memory.
            if len(body) > max_bytes:
                raise _RequestError(413, f"the body must have at most {max_bytes} bytes")
    return bytes(body)


def _response(status: int, body: str | bytes, is_binary: bool) -> Response:
    media_type = MSGPACK if is_binary else JSON
    headers = {"retry-after": "1"} if status == 503 else None
    return Response(body, status, headers, media_type)


def _remote(request: Request) -> str:
    return "" if request.client is None else f"{request.client.host}:{request.client.port}"
