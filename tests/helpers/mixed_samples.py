"""Messages with samples of every kind, and a form of the answers that can be compared."""

import json
from typing import Any

import msgspec

from neuroasync import SpikeTrain
from neuroasync.messages import EventMessage, format_events
from tests.helpers.asgi_client import split
from tests.helpers.small_networks import sample

SAMPLES = 7
"""Number of samples in ``mixed_messages``."""


def mixed_messages():
    """Yield messages of complete, split, watched, wrong, malformed and empty samples."""
    whole, parted, watched, wrong = (sample(seed=k) for k in range(4))
    yield format_events(EventMessage(whole, True))
    for chunk in split(parted, (10, 10, 25, 40))[:-1]:
        yield format_events(EventMessage(chunk, False), binary=True)
    yield format_events(EventMessage(split(parted, (40,))[1], True), binary=True)
    first, *others = split(watched, (5, 20, 45))
    yield format_events(EventMessage(first, False, True))
    for chunk in others:
        yield format_events(EventMessage(chunk, chunk is others[-1]))
    yield format_events(EventMessage(split(wrong, (30,))[0], False))
    yield format_events(EventMessage(SpikeTrain([7999], [99]), True))
    yield "nonsense"
    yield format_events(EventMessage(sample(seed=9), True, True))
    yield format_events(EventMessage(SpikeTrain([], []), False))
    yield format_events(EventMessage(SpikeTrain([], []), True))


def read_answer(data: str | bytes) -> dict[str, Any]:
    """Return an answer from a websocket, in the form of the ASGI client."""
    if isinstance(data, str):
        return json.loads(data)
    return msgspec.msgpack.decode(data) | {"binary": True}


async def collect_answers(receive) -> list[dict[str, Any]]:
    """Return all answers to the messages, without times and in the order of the samples.

    The server may refuse a malformed message before it has answered earlier samples.
    """
    answers = []
    while len({a["sample"] for a in answers if a.get("final", True)}) < SAMPLES:
        answers.append(await receive())
        answers[-1].pop("latency_ms", None)
    return sorted(answers, key=lambda answer: answer["sample"])
