"""The fast path for websocket messages behaves like the library's protocol."""

import asyncio
import itertools
import struct

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Opcode

from neuroasync.serve.process.uvicorn_protocol import WebsocketProtocol
from tests.helpers.websocket_connections import MAX_BYTES, framed, outcome

ERRORS = {1002, 1009}
payloads = st.one_of(
    st.binary(max_size=20),
    st.text(max_size=10).map(str.encode),
    st.sampled_from([125, 126, 127, 65535, 65536, MAX_BYTES]).map(bytes),
)
ordinary = st.one_of(
    st.builds(framed, st.just(Opcode.BINARY), payloads),
    st.builds(framed, st.just(Opcode.TEXT), st.text(max_size=20).map(str.encode)),
)
fragments = st.lists(st.binary(max_size=9), min_size=2, max_size=4).map(
    lambda chunks: b"".join(
        framed(Opcode.BINARY if k == 0 else Opcode.CONT, chunk, fin=k == len(chunks) - 1)
        for k, chunk in enumerate(chunks)
    )
)
control = st.one_of(
    st.builds(framed, st.just(Opcode.PING), st.binary(max_size=9)),
    st.builds(framed, st.just(Opcode.PONG), st.binary(max_size=9)),
    st.sampled_from([1000, 1001, 4000]).map(
        lambda code: framed(Opcode.CLOSE, struct.pack("!H", code) + b"bye")
    ),
)
invalid = st.one_of(
    st.binary(min_size=1, max_size=30),
    st.builds(framed, st.just(Opcode.BINARY), payloads, mask=st.just(False)),
    st.builds(framed, st.just(Opcode.BINARY), payloads, rsv1=st.just(True)),
    # After a fragment of the maximum size, the library refuses even a ping as too large.
    st.builds(
        framed,
        st.sampled_from([Opcode.CONT, Opcode.BINARY]),
        payloads.filter(lambda payload: len(payload) < MAX_BYTES),
        fin=st.just(False),
    ),
    st.just(MAX_BYTES + 1).map(lambda n: framed(Opcode.BINARY, bytes(n))),
    st.just(b"\x89\xfe\x00\x7e" + bytes(4 + 126)),  # a ping that is too long
)
streams = st.lists(st.one_of(ordinary, ordinary, fragments, control, invalid), max_size=12)


@settings(deadline=None, max_examples=300)
@given(frames=streams, cuts=st.lists(st.integers(0, 2**20), max_size=8))
@example(frames=[framed(Opcode.BINARY, b"x")] * 200, cuts=[])
@example(frames=[framed(Opcode.BINARY, b"x" * 50)] * 99, cuts=list(range(0, 5000, 7)))
def test_any_stream_of_bytes_has_the_same_outcome_as_in_the_library(frames, cuts):
    data = b"".join(frames)
    bounds = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    chunks = [data[a:b] for a, b in itertools.pairwise(bounds)]

    async def both():
        fast = await outcome(WebsocketProtocol, chunks)
        assume(fast.code != 1007)  # after invalid UTF-8, the library continues to read
        library = await outcome(WebSocketsSansIOProtocol, chunks)
        assert fast.is_closed == library.is_closed
        # If an error arrives in one piece with earlier messages, the library discards them. If
        # there are two errors, it may report the second one.
        assert fast.code == library.code or {fast.code, library.code} <= ERRORS
        for a, b in ((fast.received, library.received), (fast.pongs, library.pongs)):
            assert a[: len(b)] == b
            assert fast.code in ERRORS or a == b
        for result in (fast, library):  # the close frame may overtake responses of the app
            assert result.echoed == result.received[: len(result.echoed)]
            assert result.is_closed or result.echoed == result.received

    asyncio.run(both())


class HoldingProtocol(WebsocketProtocol):
    """A protocol whose receiver holds each message that it is offered until another one comes."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.held = None
        self.set_receiver(self)

    def take(self, data):
        if self.held is not None:
            return False
        self.held = data
        return True

    def release(self):
        held, self.held = self.held, None
        if held is not None:
            self.deliver(held)


@settings(deadline=None, max_examples=200)
@given(frames=streams, cuts=st.lists(st.integers(0, 2**20), max_size=8))
def test_no_message_overtakes_one_that_the_receiver_holds(frames, cuts):
    data = b"".join(frames)
    bounds = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    chunks = [data[a:b] for a, b in itertools.pairwise(bounds)]

    async def both():
        holding = await outcome(HoldingProtocol, chunks)
        plain = await outcome(WebsocketProtocol, chunks)
        assert (holding.received, holding.code) == (plain.received, plain.code)

    asyncio.run(both())


async def test_invalid_utf_8_closes_the_connection_with_1007_and_logs_nothing(caplog):
    data = (
        framed(Opcode.BINARY, b"before") + framed(Opcode.TEXT, b"\x80") + framed(Opcode.PING, b"")
    )
    result = await outcome(WebsocketProtocol, [data])
    assert (result.received, result.code, result.pongs, result.is_closed) == (
        [b"before"],
        1007,
        [],
        True,
    )
    assert not caplog.records


async def test_messages_before_the_app_accepts_are_not_lost():
    frames = b"".join(framed(Opcode.BINARY, bytes([k])) for k in range(40))
    result = await outcome(WebsocketProtocol, [frames[:100], frames[100:]], before_accept=True)
    assert result.received == result.echoed == [bytes([k]) for k in range(40)]
