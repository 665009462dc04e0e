"""Users of a server: clients of websockets and HTTP, which are slow, wrong, or suddenly gone."""

import asyncio
from dataclasses import dataclass
from random import Random
from typing import Any

from neuroasync import sample_seed
from neuroasync.messages import EventMessage, format_events
from neuroasync.serve import ServerLimits, create_app
from tests.helpers.asgi_client import Websocket, parse_response, websocket_scope
from tests.helpers.server_counts import ServerCounts
from tests.simulation import expected
from tests.simulation.asgi import Exchange
from tests.simulation.user_code import chunks_of
from tests.simulation.world import Actor, Setting, World

__all__ = ["ServerUsers"]

_GONE, _BAD, _GOOD = "gone", "bad", "good"


class ServerUsers(Actor):
    """The clients of one server, which serves the network of the schedule."""

    def __init__(self, random: Random, setting: Setting) -> None:
        self._when_full = random.choice(("block", "block", "drop-oldest", "drop-newest", "error"))
        self._limits = ServerLimits(
            max_queued_samples=random.choice((1, 8)),
            max_queued_events=random.choice((400, 65_536)),
            max_queued_samples_total=random.choice((1, 2, 1024)),
            max_queued_events_total=random.choice((400, 65_536)),
            send_timeout_s=10.0,
        )
        self._streams = [_StreamClient(random, setting) for _ in range(random.randrange(1, 4))]
        self._requests = [_Request(random, setting) for _ in range(random.choice((0, 2, 5)))]
        self._drains_after = random.choice((None, None, random.randrange(100)))

    async def run(self, world: World) -> None:
        app = create_app(world.network, limits=self._limits, when_full=self._when_full)
        state = app.state.server_state
        async with asyncio.TaskGroup() as clients:
            for k, client in enumerate((*self._streams, *self._requests)):
                is_sure = self._when_full == "block" and self._drains_after is None
                clients.create_task(client.run(world, app, is_sure), name=f"client {k}")
            if self._drains_after is not None:
                clients.create_task(self._drain(world, state), name="drain")
        ServerCounts(state).check_nothing_waits()

    async def _drain(self, world: World, state: Any) -> None:
        for _ in range(self._drains_after or 0):
            await asyncio.sleep(0)
        while (await world.disturbances.attempt(state.drain())).is_cancelled:
            assert state.is_draining


@dataclass(frozen=True)
class _Message:
    """One message of a sample: its data, and whether it is the last one."""

    data: str | bytes
    is_last: bool


class _StreamClient:
    """A websocket client that sends samples in chunks and reads the responses at its own speed."""

    def __init__(self, random: Random, setting: Setting) -> None:
        self._setting = setting
        self._until = random.choice(("quiet", "votes(2)", "first-spike"))
        self._samples = [self._draw(random) for _ in range(random.randrange(1, 6))]
        self._leaves_after = random.choice((None, None, random.randrange(12)))
        self._stops_reading = random.random() < 0.3
        self._provisional = random.choice((0, 1))
        self._responses: dict[int | None, list[dict[str, Any]]] = {}

    def _draw(self, random: Random) -> tuple[str, int, list[_Message]]:
        """Return whether a sample is valid, its number among the samples, and its messages."""
        k, binary = random.randrange(5), random.random() < 0.5
        if random.random() < 0.15:
            data = random.choice(("nonsense", '{"t_us": [1], "index": [99], "end": true}'))
            return _BAD, k, [_Message(data, True)]
        *first, last = chunks_of(expected.train(k), random.randrange(1, 4))
        messages = [
            _Message(format_events(EventMessage(chunk), binary=binary), False) for chunk in first
        ]
        end = format_events(EventMessage(last, True), binary=binary)
        return _GOOD, k, [*messages, _Message(end, True)]

    async def run(self, world: World, app: Any, is_sure: bool) -> None:
        """Be served until all samples are answered, or until the client leaves.

        Args:
            world: the world of the schedule.
            app: the server.
            is_sure: whether each valid sample of a client that stays must get a decision.
        """
        self._socket = socket = Websocket()
        query = f"seed={expected.SEED}&until={self._until}&provisional={self._provisional}"
        scope = websocket_scope(app, socket, query)
        socket._to_app.put_nowait({"type": "websocket.connect"})
        loop = asyncio.get_running_loop()
        serving = loop.create_task(
            world.disturbances.attempt(app(scope, socket._receive, socket._send)), name="serving"
        )
        reader = loop.create_task(self._read(serving), name="reader")
        await self._send(world)
        socket.resume_reading()
        if self._leaves_after is None:
            await asyncio.wait([reader, serving], return_when=asyncio.FIRST_COMPLETED)
        socket.disconnect()
        outcome = await serving
        # What the server has sent before it ended is still to be read.
        socket._from_app.put_nowait({"type": "over"})
        await reader
        if outcome.error is not None and not self._leaves_before_acceptance(outcome.error):
            raise outcome.error
        has_stayed = self._leaves_after is None and not outcome.is_cancelled
        is_sure &= has_stayed and not socket.was_aborted and not world.is_closing
        if world.is_closing:
            self._responses.pop(None, None)  # an error that concerns no sample
        self._check(is_sure)

    def _leaves_before_acceptance(self, error: Exception) -> bool:
        """Return whether an error says that the client left before the websocket was accepted."""
        return self._leaves_after is not None and isinstance(error, OSError)

    async def _send(self, world: World) -> None:
        """Send all samples, or as many messages as the client sends before it leaves."""
        sent = 0
        for _, _, messages in self._samples:
            for message in messages:
                if sent == self._leaves_after:
                    return
                if self._stops_reading and world.disturbances.chance(0.3):
                    self._socket.stop_reading()
                await world.disturbances.pause()
                self._socket.send(message.data)
                sent += 1
                if world.disturbances.chance(0.5):
                    self._socket.resume_reading()

    async def _read(self, serving: asyncio.Task[Any]) -> None:
        """Collect the responses, until all samples are answered or there are no more messages."""
        answered = 0
        while answered < len(self._samples) or serving.done():
            message = await self._socket._from_app.get()
            if message["type"] == "over":
                return
            if message["type"] != "websocket.send":
                continue
            response = parse_response(message)
            self._responses.setdefault(response.get("sample"), []).append(response)
            answered += response.get("final", True)

    def _check(self, is_sure: bool) -> None:
        """Check that each sample has at most one answer, and the right one."""
        for number, (kind, k, _) in enumerate(self._samples):
            *before, last = self._responses.pop(number, None) or [None]
            assert all(response["final"] is False for response in before), "a second answer"
            if last is None:
                assert not is_sure, f"sample {number} was not answered"
            elif "error" in last:
                assert kind == _BAD or not is_sure or self._setting.has_population, last
            elif last["final"]:
                assert kind == _GOOD
                decision = expected.session_decision(self._setting.name, k, number, self._until)
                found = [last[name] for name in ("label", "votes", "spikes", "rounds")]
                assert found == [
                    decision.label, decision.votes.tolist(), decision.total_spikes, decision.rounds
                ]  # fmt: skip
        assert not self._responses, "an answer to no sample"


class _Request:
    """A request for one decision, one trace or the state of the server."""

    def __init__(self, random: Random, setting: Setting) -> None:
        self._setting = setting
        self._kind = random.choice(("decide", "decide", "decide", "trace", "health", "metrics"))
        self._k, self._number = random.randrange(5), random.randrange(3)
        self._leaves_after = random.choice((None, None, random.randrange(4)))
        self._parts = random.randrange(1, 4)

    async def run(self, world: World, app: Any, is_sure: bool) -> None:
        """Send the request and check the response."""
        exchange = self._exchange(world)
        outcome = await world.disturbances.attempt(exchange.run(app))
        if isinstance(outcome.error, OSError) and exchange.has_left:
            return
        if outcome.error is not None:
            world.check_planned(outcome.error)
            return
        if outcome.is_cancelled or not exchange.is_complete:
            assert outcome.is_cancelled or exchange.has_left or world.is_closing
            return
        if exchange.status == 200:
            self._check(exchange)
        else:
            assert not is_sure or world.is_closing or self._setting.has_population, exchange.content

    def _exchange(self, world: World) -> Exchange:
        pause, leaves_after = world.disturbances.pause, self._leaves_after
        if self._kind not in ("decide", "trace"):
            return Exchange(f"/{self._kind}", wait=pause, leaves_after=leaves_after)
        train = expected.train(self._k)
        events = f'{{"t_us": {train.t_us.tolist()}, "index": {train.index.tolist()}}}'
        path = f"/decide?seed={expected.SEED}"
        if self._kind == "trace":
            path = "/trace"
            events = f'{{"events": {events}, "seed": {expected.SEED}, "number": {self._number}}}'
        else:
            self._number = 0
        body = events.encode()
        size = -(-len(body) // self._parts)
        chunks = [body[at : at + size] for at in range(0, len(body), size)]
        headers = {"content-type": "application/json"}
        return Exchange(path, chunks, headers, wait=pause, leaves_after=leaves_after)

    def _check(self, exchange: Exchange) -> None:
        """Check the decision in the response."""
        if self._kind in ("decide", "trace"):
            fields = exchange.json()
            found = fields if self._kind == "decide" else fields["decision"]
            seed = sample_seed(expected.SEED, self._number)
            decision = expected.decision(self._setting.name, self._k, seed)
            assert found["label"] == decision.label
            assert found["votes"] == decision.votes.tolist()
            assert found["spikes"] == decision.total_spikes
