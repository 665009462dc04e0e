"""What does a single event cost in each call, beside an item of an ``asyncio.Queue``?"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final

from bench.paired_timing import Contender, take_turns
from bench.result import Result, Scale, add_figures, expect_same, lines_of
from neuroasync import Network, Session, SpikeTrain

__all__ = ["measure"]

_EVENTS: Final = 500
"""Events of one timed call."""

_QUEUE: Final = "asyncio.Queue, put and get"
_TARGETS: Final = {"send, no pass is complete": "<= 5", "session.decide": "min <= 12 µs"}


async def measure(scale: Scale) -> Result:
    """Time ways to process single events; each call of a contender processes the same number."""
    queue: asyncio.Queue[int] = asyncio.Queue()
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(Network.load("unlayered"))
        sender, streamer, session, nowait = [
            await stack.enter_async_context(network.session()) for _ in range(4)
        ]

        async def queued() -> None:
            for k in range(_EVENTS):
                await queue.put(k)
                await queue.get()

        ways: dict[str, Callable[[], Awaitable[object]]] = {
            _QUEUE: queued,
            "send, no pass is complete": lambda: _send(sender),
            "stream, time(10ms)": lambda: _stream(streamer),
            "session.decide": lambda: _decide(session),
            "session.decide_nowait": lambda: _decide_nowait(nowait),
            "network.decide": lambda: _decide_in_network(network),
        }
        contenders = [Contender(name, _called(run)) for name, run in ways.items()]
        timings = await take_turns(contenders, scale.rounds, 5)
    labels = {
        name: timings.outcomes[name]
        for name in ("session.decide", "session.decide_nowait", "network.decide")
    }
    check = expect_same("labels", labels)
    lines = [
        add_figures(line, {}, _TARGETS.get(line.name, ""))
        for line in lines_of(timings, _QUEUE, 1e-6 * _EVENTS)
    ]
    return Result(
        "events",
        "What does a single event cost?",
        "µs",
        _QUEUE,
        tuple(lines),
        (check,),
        (f"a call processes {_EVENTS} events one by one; times are those of one event",),
    )


def _called(run: Callable[[], Awaitable[object]]) -> Callable[[int], Awaitable[object]]:
    async def call(_: int) -> object:
        return await run()

    return call


async def _send(session: Session) -> None:
    for train in _TRAINS:
        await session.send(train)
    session.reset()


async def _stream(session: Session) -> None:
    async for decision in session.stream(_SPREAD, window="time(10ms)"):
        decision.label  # noqa: B018  # a label is computed when it is read


async def _decide(session: Session) -> list[int | None]:
    return [(await session.decide(_ONE)).label for _ in range(_EVENTS)]


async def _decide_nowait(session: Session) -> list[int | None]:
    return [
        (session.decide_nowait(_ONE) or await session.decide(_ONE)).label for _ in range(_EVENTS)
    ]


async def _decide_in_network(network: Network) -> list[int | None]:
    return [(await network.decide(_ONE)).label for _ in range(_EVENTS)]


_ONE: Final = SpikeTrain([0], [5])
_TRAINS: Final = [SpikeTrain([k], [k % 64]) for k in range(_EVENTS)]
_SPREAD: Final = [SpikeTrain([100 * k], [k % 64]) for k in range(_EVENTS)]
