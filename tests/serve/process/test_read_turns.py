"""Connections that read long requests take turns, and ended connections leave no garbage."""

import asyncio
import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync.serve.process.connection_limits import ConnectionLimits
from neuroasync.serve.process.connection_table import ConnectionTable
from neuroasync.serve.process.read_turns import ReadTurns, TurnFlowControl
from neuroasync.serve.process.uvicorn_protocol import WebsocketProtocol
from tests.helpers import http_connections as http
from tests.helpers import websocket_connections as websocket


async def turn():
    """Let the event loop run one turn."""
    await asyncio.sleep(0)


async def test_a_few_connections_read_on_in_each_turn_in_the_order_of_arrival():
    turns, resumed = ReadTurns(), []
    loop = asyncio.get_running_loop()
    for k in range(20):
        turns.wait(loop, lambda k=k: resumed.append(k))
    assert not resumed
    for expected in (8, 16, 20, 20):
        await turn()
        assert resumed == list(range(expected))


async def test_connection_that_has_to_wait_again_comes_after_the_others():
    turns, resumed = ReadTurns(), []
    loop = asyncio.get_running_loop()

    def resume(name, again):
        resumed.append(name)
        if again:
            turns.wait(loop, lambda: resume(name, False))

    for k in range(9):
        turns.wait(loop, lambda k=k: resume(k, k == 0))
    await turn()
    await turn()
    assert resumed == [0, 1, 2, 3, 4, 5, 6, 7, 8, 0]


@given(st.lists(st.sampled_from(["wait", "pause", "resume", "turn", "close"]), max_size=30))
def test_reading_is_paused_exactly_while_the_app_or_a_turn_demands_it(actions):
    async def main():
        transport, loop = websocket.Transport(), asyncio.get_running_loop()
        flow = TurnFlowControl(transport, ReadTurns())
        is_paused = is_waiting = False
        for action in actions:
            if transport.is_closed:
                await turn()
            elif action == "wait":
                flow.wait_turn(loop)
                is_waiting = is_waiting or not is_paused
            elif action == "pause":
                flow.pause_reading()
                is_paused = True
            elif action == "resume":
                flow.resume_reading()
                is_paused = False
            elif action == "turn":
                await turn()
                is_waiting = False
            else:
                transport.close()
            if not transport.is_closed:
                assert transport.is_paused == (is_paused or is_waiting)
                assert flow.read_paused == is_paused

    asyncio.run(main())


class PausedTransport(http.Transport):
    """A transport that knows whether its connection reads."""

    is_paused = False

    def pause_reading(self):
        self.is_paused = True

    def resume_reading(self):
        self.is_paused = False


@pytest.mark.parametrize(("size", "is_paused"), [(5000, True), (10, False)])
async def test_part_of_a_long_body_makes_the_connection_wait_for_its_turn(
    monkeypatch, size, is_paused
):
    monkeypatch.setattr(http, "Transport", PausedTransport)
    server = http.Server(http.echo)
    transport = server.connect(http.POST % 20_000 + bytes(size))
    assert transport.is_paused is is_paused
    for _ in range(5):
        await turn()
    assert not transport.is_paused
    transport.protocol.data_received(bytes(20_000 - size))
    assert not transport.is_paused
    for _ in range(5):
        await turn()
    assert http.statuses(transport) == [200]


async def test_part_of_a_long_message_makes_the_connection_wait_for_its_turn():
    protocol, transport = websocket.connected(websocket.echo_nothing)
    await websocket.settle()
    table = ConnectionTable(ConnectionLimits(), lambda: 0.0)
    protocol.take_slot(table, table.admit(None, lambda reason: None))
    message = websocket.framed(2, bytes(50_000))
    protocol.data_received(message[:30_000])
    assert transport.is_paused
    await turn()
    assert not transport.is_paused
    protocol.data_received(message[30_000:])
    assert protocol.queue.qsize() == 1
    protocol.connection_lost(None)
    await websocket.settle()


async def test_websockets_begin_in_turns_and_requests_do_not_wait_for_them(monkeypatch):
    monkeypatch.setattr(http, "Transport", PausedTransport)
    server = http.Server(http.echo)
    upgrades = [server.connect(http.HANDSHAKE) for _ in range(20)]
    request = server.connect(http.GET % b"a")
    assert all(transport.is_paused for transport in upgrades)
    await turn()
    await turn()
    begun = sum(type(t.protocol) is WebsocketProtocol for t in upgrades)
    assert 0 < begun <= 16
    assert http.statuses(request) == [200]
    lost = upgrades[-1]
    lost.close()
    lost.protocol.connection_lost(None)
    for _ in range(20):
        await turn()
    assert [http.statuses(t) for t in upgrades] == [[101]] * 19 + [[]]
    assert len(server.table) == 20
    for transport in [request, *upgrades[:-1]]:
        transport.protocol.connection_lost(None)
    for _ in range(20):
        await turn()
    assert len(server.table) == 0


@pytest.mark.parametrize(
    "data",
    [b"", http.GET % b"a", http.POST % 999 + b"x", http.GET % b"a" * 3, http.HANDSHAKE],
    ids=["silent", "answered", "unfinished", "pipelined", "websocket"],
)
async def test_connection_that_has_ended_leaves_no_reference_cycle(data):
    server = http.Server(http.echo)
    transport = server.connect(data)
    first = weakref.ref(transport.protocol)
    for _ in range(20):
        await turn()
    last = weakref.ref(transport.protocol)
    gc.collect()
    gc.disable()
    try:
        transport.close()
        transport.protocol.connection_lost(None)
        transport.protocol = None
        del transport
        for _ in range(20):
            await turn()
        assert first() is last() is None
    finally:
        gc.enable()
