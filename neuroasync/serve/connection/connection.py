"""One websocket: a task that reads messages, and one that decides on samples and answers."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator
from typing import Final

from neuroasync.core.engine.decision import Decision
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.errors import ClosedError, MessageError, NeuroasyncError, SpikeFileError
from neuroasync.messages import format_decision, parse_events
from neuroasync.runtime.session import Session
from neuroasync.serve.connection.incoming_sample import IncomingSample, Part, RefusalNotice
from neuroasync.serve.connection.message_peek import peek_message
from neuroasync.serve.connection.rate_limit import TokenBucket
from neuroasync.serve.connection.sample_inbox import SampleInbox
from neuroasync.serve.connection.websocket import GoneError, Socket
from neuroasync.serve.error_messages import format_notice
from neuroasync.serve.query_params import StreamOptions
from neuroasync.serve.server_state import ServerState

__all__ = ["Connection"]

log: Final = logging.getLogger("neuroasync.serve")
_BAD_CLIENT: Final = 1008
_GOING_AWAY: Final = 1001


class Connection:
    """Serves one client, from its first message to its last answer.

    The reader hands messages to the intake, where they wait; the worker takes samples from
    there, sends their parts into the session as they come, and answers. A client that does not
    read its answers stops the worker; then its samples wait, and it is not read any more.

    Args:
        service: what it shares with others.
        socket: accepted.
        session: open; the connection's own.
        options: how its samples run.
        remote: address of the client, for the log.
    """

    def __init__(
        self,
        service: ServerState,
        socket: Socket,
        session: Session,
        options: StreamOptions,
        remote: str,
    ) -> None:
        self._service = service
        self._tally = service.tally
        self._socket = socket
        self._session = session
        self._is_provisional = options.provisional
        limits = service.limits
        self._limits = limits
        self._intake = SampleInbox(limits, service.when_full, service.room, service.tally)
        self._pace = TokenBucket(limits.messages_per_s, asyncio.get_running_loop().time)
        self._unreadable = self._malformed = 0
        self._has_left = False
        self._reader: asyncio.Task[None] | None = None
        self._farewell: tuple[int, str] | None = None
        self._last_notices: tuple[RefusalNotice, ...] = ()
        self._about: dict[str, object] = {"remote": remote}

    async def run(self) -> None:
        """Serve until the client goes, or is sent away.

        Cancellation: safe; what was under way is counted as accepted with the client gone if it
        had come whole, and as refused if not.
        """
        self._about["session"] = self._service.opened(self)
        log.info("connected", extra=self._about)
        try:
            async with asyncio.TaskGroup() as tasks:
                self._reader = tasks.create_task(self._read())
                if self._service.is_draining:
                    self.drain()
                try:
                    await self._decide_all()
                finally:
                    self._reader.cancel()
        finally:
            self._intake.abandon()
            self._service.closed(self)
            log.info("disconnected", extra=self._about | {"samples": self._intake.sent})

    @property
    def is_blocked(self) -> bool:
        """Whether an answer waits for the client to read."""
        return self._socket.is_blocked

    def drain(self) -> None:
        """Read no more; what has come whole is answered, then the connection is closed."""
        if self._farewell is None and not self._has_left:
            self._tally.add("connections_cut", 1, "draining")
            self._stop_reading("draining", _GOING_AWAY, "the server is shutting down")

    def cut(self) -> None:
        """End at once. What is under way is counted as that of a client that has gone."""
        self._socket.cut()
        self._leave()

    async def _read(self) -> None:
        """The reader."""
        reading = self._service.reading
        try:
            while self._farewell is None:
                data = await self._socket.receive()
                arrived_s = time.perf_counter()
                if reading.must_wait():
                    await reading.wait_turn()
                if delay_s := self._pace.delay_s():
                    self._tally.add("messages_delayed")
                    await asyncio.sleep(delay_s)
                await self._take(data, arrived_s)
        except GoneError:
            self._leave()

    async def _take(self, data: str | bytes, arrived_s: float) -> None:
        """Hand a message to the intake, and tell at once what will get no decision."""
        self._tally.add("messages")
        try:
            seen = peek_message(data, self._limits.message_bytes)
        except MessageError as error:
            notice = self._intake.unreadable(str(error), not isinstance(data, str))
            await self._socket.send(format_notice(notice))
            self._unreadable += 1
            self._count_malformed(self._unreadable)
            return
        self._unreadable = 0
        self._tally.add("events", seen.events)
        is_provisional = self._is_provisional or seen.provisional
        for notice in await self._intake.take(data, seen, arrived_s, is_provisional):
            await self._socket.send(format_notice(notice))

    async def _decide_all(self) -> None:
        """The worker."""
        try:
            with contextlib.suppress(ClosedError):
                while True:
                    await self._decide(await self._intake.sample())
            for notice in self._last_notices:
                await self._socket.send(format_notice(notice))
            if self._farewell is not None:
                await self._socket.close(*self._farewell)
        except GoneError:
            self._leave()

    async def _decide(self, sample: IncomingSample) -> None:
        """Decide on a sample, and answer; or tell why there is no decision."""
        session = self._session
        while session.sample < sample.number:
            session.skip()  # was dropped or refused
        notice: RefusalNotice | None = None
        try:
            found = await self._decision(sample)
        except MessageError as error:
            notice = self._intake.malformed(sample, str(error))
            self._malformed += 1
            self._count_malformed(self._malformed)
        except SpikeFileError as error:
            notice = self._intake.invalid(sample, str(error))
        except ClosedError:
            raise GoneError from None
        except NeuroasyncError as error:
            notice = self._intake.failed(sample, str(error))
        except Exception:  # of a policy, stop rule or population of the user's
            log.exception("a decision failed", extra=self._about | {"sample": sample.number})
            notice = self._intake.failed(sample, "the decision failed; the server's log says why")
        if notice is not None:
            await self._socket.send(format_notice(notice))
        elif found is not None:
            decision, arrived_s = found
            self._intake.decided(sample)
            await self._answer(sample, decision, arrived_s)
            self._intake.accepted(sample, "answered")

    async def _decision(self, sample: IncomingSample) -> tuple[Decision, float] | None:
        """Decision of a sample, and when the last part that it needed came; None: refused."""
        session, intake = self._session, self._intake
        if sample.is_provisional:
            return await self._watched(sample)
        arrived_s = 0.0
        while (part := await intake.part(sample)) is not None:
            arrived_s, events = part.arrived_s, self._events(part)
            if sample.is_whole and not len(sample.parts):
                return await session.decide(events), arrived_s
            await session.send(events)
            if session.is_decided:
                break
        if sample.is_settled:
            return None
        return await session.finish_sample(), arrived_s

    async def _watched(self, sample: IncomingSample) -> tuple[Decision, float] | None:
        """As :meth:`_decision`; tells each time that another class leads, too."""
        arrived_s = 0.0

        async def parts() -> AsyncGenerator[SpikeTrain, None]:
            nonlocal arrived_s
            while (part := await self._intake.part(sample)) is not None:
                arrived_s = part.arrived_s
                yield self._events(part)
            if sample.is_settled:
                raise _RefusedError

        with contextlib.suppress(_RefusedError):
            async with (
                contextlib.aclosing(parts()) as source,
                contextlib.aclosing(self._session.watch(source)) as decisions,
            ):
                async for decision in decisions:
                    if decision.is_final:
                        return decision, arrived_s
                    await self._tell(sample, decision, time.perf_counter() - arrived_s)
        return None

    def _events(self, part: Part) -> SpikeTrain:
        """What a message brings. Raises MessageError if it breaks the format."""
        events = parse_events(part.data, self._limits.message_bytes).events
        self._malformed = 0
        return events

    def _count_malformed(self, in_a_row: int) -> None:
        """After too many in a row, read no more."""
        self._tally.add("messages_malformed")
        if in_a_row >= self._limits.malformed_in_a_row and self._farewell is None:
            self._cut("malformed")
            self._stop_reading("malformed", _BAD_CLIENT, f"{in_a_row} malformed messages in a row")

    def _stop_reading(self, reason: str, code: int, said: str) -> None:
        """What has come whole is still decided on; then the connection is closed."""
        self._farewell = (code, said)
        self._last_notices += self._intake.end(reason, said)
        if self._reader is not None:
            self._reader.cancel()

    async def _answer(self, sample: IncomingSample, decision: Decision, arrived_s: float) -> None:
        latency_s = time.perf_counter() - arrived_s
        self._tally.add("decisions")
        self._tally.add("spikes", decision.total_spikes)
        self._tally.latency(latency_s)
        await self._tell(sample, decision, latency_s)

    async def _tell(self, sample: IncomingSample, decision: Decision, latency_s: float) -> None:
        binary = sample.is_binary
        await self._socket.send(
            format_decision(decision, sample.number, 1e3 * latency_s, binary=binary)
        )

    def _cut(self, reason: str) -> None:
        self._tally.add("connections_cut", 1, reason)
        log.info("closing: %s", reason, extra=self._about | {"reason": reason})

    def _leave(self) -> None:
        """The client has gone: end what is under way."""
        if self._has_left:
            return
        self._has_left = True
        if self._socket.is_slow:
            self._cut("slow-reader")
        self._intake.abandon()
        self._session.close()


class _RefusedError(Exception):
    """The sample that is watched was refused meanwhile."""
