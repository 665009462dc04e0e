"""HTTP connections end if their client is too slow or does not read, or for others."""

import pytest

from tests.helpers.http_connections import (
    CHUNKED,
    GET,
    HANDSHAKE,
    POST,
    Server,
    echo,
    in_loop,
    statuses,
)


def test_silent_connection_is_closed_without_a_response():
    async def main():
        server = Server(echo, request_timeout_s=20)
        transport = server.connect()
        await server.after(19)
        assert not transport.is_closed
        await server.after(2)
        assert transport.is_closed
        assert not transport.written

    in_loop(main)


@pytest.mark.parametrize(
    "first",
    [b"GET /", b"GET / HTTP/1.1\r\nX: ", POST % 999,
     CHUNKED + b"3e7\r\n",
     HANDSHAKE[:-2]],
    ids=["line", "head", "body", "chunk", "handshake"],
)  # fmt: skip
def test_slow_request_gets_status_408_however_often_its_client_sends_a_byte(first):
    async def main():
        server = Server(echo, request_timeout_s=20)
        transport = server.connect(first)
        for _ in range(19):
            await server.after(1)
            transport.protocol.data_received(b"x")
        assert not transport.is_closed
        await server.after(2)
        assert (statuses(transport), transport.is_closed) == ([408], True)
        assert b"x-content-type-options: nosniff" in transport.written.lower()
        assert server.reasons == ["timeout"]

    in_loop(main)


def test_time_for_a_head_begins_with_its_first_byte_and_ends_with_the_head():
    async def main():
        server = Server(echo, request_timeout_s=5, keep_alive_s=30)
        transport = server.connect(GET % b"a")
        await server.after(28)
        transport.protocol.data_received(b"GET /b")
        await server.after(3)
        transport.protocol.data_received((GET % b"b")[6:])
        await server.after(10)
        assert statuses(transport) == [200, 200]
        assert not transport.is_closed
        await server.after(25)
        assert transport.is_closed
        assert statuses(transport) == [200, 200]

    in_loop(main)


def test_client_that_does_not_read_is_cut_off_and_one_that_reads_is_not():
    async def main():
        server = Server(echo, send_timeout_s=10)
        slow, mute = server.connect(), server.connect()
        for transport in (slow, mute):
            transport.is_client_reading = False
            transport.protocol.data_received(GET % b"large")
        await server.after(8)
        slow.read_all()
        await server.after(8)
        assert (slow.is_closed, mute.is_aborted) == (False, True)
        slow.protocol.data_received(GET % b"a")
        await server.after(1)
        assert statuses(slow) == [200, 200]

    in_loop(main)


def test_requests_of_a_client_that_was_cut_off_are_answered_no_further():
    async def main():
        server = Server(echo, send_timeout_s=10)
        mute = server.connect()
        mute.is_client_reading = False
        mute.protocol.data_received(GET % b"large" + GET % b"a" + GET % b"b")
        await server.after(11)
        assert mute.is_aborted
        mute.protocol.connection_lost(None)
        await server.after(1)
        assert statuses(mute) == [200]
        assert not mute.was_written_late

    in_loop(main)


def test_body_after_the_response_is_discarded_for_a_short_time():
    async def main():
        server = Server(echo)
        head = b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
        patient, endless = server.connect(head), server.connect(head)
        await server.after(1)
        patient.protocol.data_received(b"123456789" + GET % b"next")
        await server.after(3)
        assert statuses(patient) == [200, 200]
        assert (patient.is_closed, endless.is_aborted) == (False, True)

    in_loop(main)


def test_unfinished_bodies_share_a_limit_and_the_oldest_ends():
    async def main():
        server = Server(echo, max_unfinished_bytes=100_000)
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n"
        first = server.connect(head + bytes(50_000))
        second = server.connect(head + bytes(50_000))
        assert (statuses(first), first.is_closed) == ([503], True)
        second.protocol.data_received(bytes(10_000))
        await server.after(1)
        assert statuses(second) == [200]

    in_loop(main)


def test_full_table_closes_silent_connections_before_it_refuses_new_ones():
    async def main():
        server = Server(echo, max_connections=20)
        silent = [server.connect() for _ in range(20)]
        health = server.connect(GET % b"health")
        await server.after(1)
        assert statuses(health) == [200]
        assert [t.is_aborted for t in silent] == [True] + [False] * 19
        sockets = [server.connect(HANDSHAKE) for _ in range(30)]
        await server.after(1)
        assert sum(statuses(t) == [101] for t in sockets) == 18
        assert all(statuses(t) in ([101], [503]) for t in sockets)
        health = server.connect(GET % b"health")
        await server.after(1)
        assert statuses(health) == [200]

    in_loop(main)


def test_websocket_keeps_its_slot_until_it_ends():
    async def main():
        server = Server(echo, max_connections=2, request_timeout_s=5)
        transport = server.connect(HANDSHAKE)
        await server.after(60)
        assert statuses(transport) == [101]
        assert (transport.is_closed, len(server.table)) == (False, 1)
        transport.protocol.connection_lost(None)
        assert len(server.table) == 0

    in_loop(main)


def test_ending_server_closes_incomplete_requests_and_answers_complete_ones():
    async def main():
        server = Server(echo)
        body = server.connect(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1")
        silent, complete = server.connect(), server.connect(GET % b"")
        for transport in (body, silent, complete):
            transport.protocol.stop_receiving()
        await server.after(1)
        assert [statuses(t) for t in (body, silent, complete)] == [[503], [], [200]]
        assert (body.is_closed, silent.is_closed) == (True, True)

    in_loop(main)
