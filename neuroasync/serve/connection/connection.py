"""One websocket connection: a reader task for its messages and a worker task for its samples."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator
from typing import Final

from neuroasync.core.engine.decision import Decision
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.errors import (
    ClosedError,
    CpuTimeLimitError,
    EventsError,
    MessageError,
    NeuroasyncError,
    PassLimitError,
    QueueFullError,
)
from neuroasync.messages import format_decision, parse_events
from neuroasync.runtime.cpu_time.cpu_account import CpuAccount
from neuroasync.serve.connection.arrival import ArrivalDecider
from neuroasync.serve.connection.incoming_sample import Chunk, IncomingSample, SampleState
from neuroasync.serve.connection.message_peek import peek_message
from neuroasync.serve.connection.rate_limit import TokenBucket
from neuroasync.serve.connection.sample_inbox import SampleInbox
from neuroasync.serve.connection.websocket import GoneError, Socket
from neuroasync.serve.error_messages import RefusalNotice, format_notice
from neuroasync.serve.query_params import StreamOptions
from neuroasync.serve.sample_network import SampleSession
from neuroasync.serve.served_networks import ServedNetwork
from neuroasync.serve.server_state import ServerState

__all__ = ["ClientConnection"]

log: Final = logging.getLogger("neuroasync.serve")
_POLICY_VIOLATION: Final = 1008
_GOING_AWAY: Final = 1001
_LONG_MESSAGE: Final = 2**14
"""Length from which parsing a message takes a considerable part of a turn of the event loop."""


class ClientConnection:
    """A client that is served from its first message to its last response.

    Small samples are decided as they arrive, or held until their turn. Otherwise, the reader puts
    messages into the inbox. The worker takes samples from it, feeds their chunks into the session,
    and sends the responses. If a client does not read its responses, the worker waits. The inbox
    then fills up, and the reader stops reading, drops or refuses samples, as ``when_full`` says.

    Args:
        server_state: State that all connections share.
        socket: The accepted websocket.
        served: The network of the session.
        session: An open session that no other connection uses.
        options: How to run the samples.
        remote: Address of the client, for the log.
    """

    def __init__(
        self,
        server_state: ServerState,
        socket: Socket,
        served: ServedNetwork,
        session: SampleSession,
        options: StreamOptions,
        remote: str,
    ) -> None:
        self._server_state = server_state
        self._served = served
        self._metrics = server_state.metrics_of(served)
        self._socket = socket
        self._session = session
        self._is_provisional = options.provisional
        self._limits = limits = server_state.limits
        self._sample_inbox = SampleInbox(
            limits, server_state.when_full, server_state.capacity, self._metrics
        )
        self._token_bucket = TokenBucket(limits.max_messages_per_s, asyncio.get_running_loop().time)
        # The reader finds messages that cannot be peeked, the worker those that cannot be parsed.
        self._unreadable_in_a_row = self._malformed_in_a_row = 0
        self._has_left = self._is_receiving = False
        self._read_account = CpuAccount()
        self._arrivals = ArrivalDecider(
            socket, session, self._sample_inbox, self._token_bucket, server_state.read_slice,
            self._read_account, self._metrics, self._forget_malformed,
        )  # fmt: skip
        self._reader: asyncio.Task[None] | None = None
        self._close_frame: tuple[int, str] | None = None
        self._last_notices: tuple[RefusalNotice, ...] = ()
        self._log_fields: dict[str, object] = {"remote": remote}

    async def run(self) -> None:
        """Serve until the client leaves or the server closes the connection.

        Cancellation: safe. Complete samples without a response are counted as accepted with the
        outcome ``client-gone``, incomplete ones as refused.
        """
        self._log_fields["session"] = self._server_state.add_connection(self, self._served)
        log.info("connected", extra=self._log_fields)
        try:
            async with asyncio.TaskGroup() as tasks:
                self._reader = tasks.create_task(self._read())
                if not self._is_provisional:  # only the worker sends provisional decisions
                    self._socket.set_receiver(self._arrivals)
                # Draining may have begun between the acceptance and the registration.
                if self._server_state.is_draining:
                    self.drain()
                try:
                    await self._decide_all()
                finally:
                    self._reader.cancel()
        finally:
            self._socket.set_receiver(None)
            self._sample_inbox.abandon()
            self._server_state.remove_connection(self, self._served)
            log.info(
                "disconnected",
                extra=self._log_fields | {"samples": self._sample_inbox.samples_sent},
            )

    @property
    def is_blocked(self) -> bool:
        """Whether a response waits for the client to read."""
        return self._socket.is_blocked

    def drain(self) -> None:
        """Stop reading, answer complete samples, then close the connection."""
        self._arrivals.release()
        if self._arrivals.has_released:
            return  # the reader accepts the message that was held, and then drains
        if self._close_frame is None and not self._has_left:
            self._metrics.add("connections_cut", 1, "draining")
            self._stop_reading("draining", _GOING_AWAY, "the server is shutting down")

    def abort(self) -> None:
        """Close the connection immediately. Count its samples as if the client had left."""
        self._socket.abort()
        self._leave()

    def abort_if_left(self) -> None:
        """Abort the connection if the client has left while nothing is read from it."""
        if not self._is_receiving and self._socket.has_left():
            self.abort()

    def _forget_malformed(self) -> None:
        self._unreadable_in_a_row = self._malformed_in_a_row = 0

    async def _read(self) -> None:
        """Run the reader task."""
        try:
            while self._close_frame is None:
                self._is_receiving = True
                data = await self._socket.receive()
                self._is_receiving = False
                # Latency counts from here, so that delays by the server itself are not hidden.
                arrived_s = self._arrivals.arrival_s()
                if self._server_state.read_slice.must_wait():
                    await self._server_state.read_slice.wait_turn(self._read_account)
                if delay_s := self._token_bucket.take():
                    self._metrics.add("messages_delayed")
                    await asyncio.sleep(delay_s)
                if self._has_left:  # the connection was aborted while the message waited
                    return
                await self._accept_message(data, arrived_s)
                del data  # it would stay in memory until the next message
                if self._server_state.is_draining:
                    self.drain()
        except GoneError:
            self._leave()

    async def _accept_message(self, data: str | bytes, arrived_s: float) -> None:
        """Put a message into the inbox. Notify the client of samples that get no decision."""
        self._metrics.add("messages")
        began_s = time.perf_counter()
        try:
            peek = peek_message(data, self._limits.max_message_bytes)
        except MessageError as error:
            notice = self._sample_inbox.refuse_unreadable(str(error), not isinstance(data, str))
            await self._socket.send(format_notice(notice))
            self._unreadable_in_a_row += 1
            self._count_malformed(self._unreadable_in_a_row)
            return
        self._read_account.charge(time.perf_counter() - began_s)
        self._unreadable_in_a_row = 0
        self._metrics.add("events", peek.events)
        is_provisional = self._is_provisional or peek.provisional
        for notice in await self._sample_inbox.put(data, peek, arrived_s, is_provisional):
            await self._socket.send(format_notice(notice))

    async def _decide_all(self) -> None:
        """Run the worker task."""
        try:
            with contextlib.suppress(ClosedError):
                while True:
                    await self._decide(await self._sample_inbox.next_sample())
            for notice in self._last_notices:
                await self._socket.send(format_notice(notice))
            if self._close_frame is not None:
                await self._socket.close(*self._close_frame)
        except GoneError:
            self._leave()

    async def _decide(self, sample: IncomingSample) -> None:
        """Decide a sample and send the decision, or a notice that explains why there is none."""
        session, inbox = self._session, self._sample_inbox
        # Dropped and refused samples keep their numbers, so that later samples get the right seed.
        if lost := sample.number - session.sample:
            session.skip(lost)
        notice = result = None
        try:
            result = await self._run_sample(sample)
        except MessageError as error:
            notice = inbox.refuse(sample, "malformed", str(error))
            self._malformed_in_a_row += 1
            self._count_malformed(self._malformed_in_a_row)
        except EventsError as error:
            notice = inbox.refuse(sample, "invalid", str(error))
        except GoneError:  # while a provisional decision was sent
            raise
        except PassLimitError as error:
            notice = inbox.refuse(sample, "too-many-passes", str(error))
        except QueueFullError as error:
            notice = inbox.refuse(sample, "too-large", str(error))
        except CpuTimeLimitError as error:
            notice = inbox.count_failed(sample, str(error), "cpu-time")
        except ClosedError:
            raise GoneError from None
        except NeuroasyncError as error:
            notice = inbox.count_failed(sample, str(error))
        except Exception:
            # A custom policy, stop rule or population may raise anything. Its error concerns one
            # sample, and its text may contain what a client should not see.
            log.exception("a decision failed", extra=self._log_fields | {"sample": sample.number})
            notice = inbox.count_failed(sample, "the decision failed; see the log of the server")
        if notice is not None:
            await self._socket.send(format_notice(notice))
        elif result is not None and not sample.is_settled:
            # A sample that was refused while it was decided must not get a second answer.
            decision, arrived_s = result
            inbox.mark_decided(sample)
            latency_s = time.perf_counter() - arrived_s
            self._metrics.count_decision(decision.total_spikes, latency_s)
            await self._send_decision(sample, decision, latency_s)
            inbox.count_accepted(sample, "answered")

    async def _run_sample(self, sample: IncomingSample) -> tuple[Decision, float] | None:
        """Run a sample.

        Returns:
            The decision and the arrival time of the last chunk that it needed. None if the sample
            was refused while it ran.
        """
        if sample.is_provisional:
            return await self._watch_sample(sample)
        session = self._session
        arrived_s = 0.0
        next_chunk = self._sample_inbox.next_chunk
        while (chunk := await next_chunk(sample, session.waiting_events)) is not None:
            arrived_s, events = chunk.arrived_s, await self._parse(chunk)
            del chunk  # its text takes more memory than its events
            if sample.state is SampleState.COMPLETE and not len(sample.chunks):
                # One call for the last chunk is faster than sending it and then finishing.
                return await session.decide(events), arrived_s
            await session.send(events)
            del events  # they would stay in memory until the next chunk
            if session.is_decided:
                break
        if sample.is_settled:
            return None
        return await session.finish_sample(), arrived_s

    async def _watch_sample(self, sample: IncomingSample) -> tuple[Decision, float] | None:
        """Run a sample like :meth:`_run_sample`, and send provisional decisions."""
        arrived_s = 0.0

        async def chunks() -> AsyncGenerator[SpikeTrain, None]:
            nonlocal arrived_s
            next_chunk, session = self._sample_inbox.next_chunk, self._session
            while (chunk := await next_chunk(sample, session.waiting_events)) is not None:
                arrived_s = chunk.arrived_s
                yield await self._parse(chunk)
            # Without an error, the session would decide the incomplete sample.
            if sample.is_settled:
                raise _RefusedError

        with contextlib.suppress(_RefusedError):
            async with (
                contextlib.aclosing(chunks()) as source,
                contextlib.aclosing(self._session.watch(source)) as decisions,
            ):
                async for decision in decisions:
                    if decision.is_final:
                        return decision, arrived_s
                    await self._send_decision(sample, decision, time.perf_counter() - arrived_s)
        return None

    async def _parse(self, chunk: Chunk) -> SpikeTrain:
        """Return the events of a chunk. Raises MessageError if it is malformed."""
        is_long = len(chunk.data) > _LONG_MESSAGE
        if is_long and self._server_state.read_slice.must_wait():
            await self._server_state.read_slice.wait_turn(self._read_account)
        began_s = time.perf_counter()
        events = parse_events(chunk.data, self._limits.max_message_bytes).events
        if is_long:
            self._read_account.charge(time.perf_counter() - began_s)
        self._malformed_in_a_row = 0
        return events

    def _count_malformed(self, in_a_row: int) -> None:
        """Count a malformed message. After too many in a row, stop reading."""
        self._metrics.add("messages_malformed")
        self._arrivals.report_next()
        if in_a_row >= self._limits.max_malformed_in_a_row and self._close_frame is None:
            self._record_closing("malformed")
            message = f"{in_a_row} malformed messages in a row"
            self._stop_reading("malformed", _POLICY_VIOLATION, message)

    def _stop_reading(self, reason: str, code: int, message: str) -> None:
        """Stop reading. The worker answers complete samples and then closes the connection."""
        self._close_frame = (code, message)
        self._last_notices += self._sample_inbox.close(reason, message)
        if self._reader is not None:
            self._reader.cancel()

    async def _send_decision(
        self, sample: IncomingSample, decision: Decision, latency_s: float
    ) -> None:
        number, binary = sample.number, sample.is_binary
        await self._socket.send(format_decision(decision, number, 1e3 * latency_s, binary=binary))

    def _record_closing(self, reason: str) -> None:
        self._metrics.add("connections_cut", 1, reason)
        log.info("closing: %s", reason, extra=self._log_fields | {"reason": reason})

    def _leave(self) -> None:
        """End all work for a client that has left."""
        if self._has_left:
            return
        self._has_left = True
        if self._socket.is_slow:
            self._record_closing("slow-reader")
        self._sample_inbox.abandon()
        # Closing the session also ends a decision that the worker is waiting for.
        self._session.close()


class _RefusedError(Exception):
    """The watched sample was refused while it ran."""
