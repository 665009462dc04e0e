"""HTTP requests are answered, or refused at once if they are wrong or too large."""

import json
import re

import pytest

from tests.helpers.http_connections import CHUNKED, GET, HANDSHAKE, Server, echo, in_loop, statuses


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET /" + b"a" * 9000, 414),
        (HANDSHAKE.replace(b"GET /", b"GET /" + b"a" * 9000), 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 120 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + (b"X: " + b"a" * 900 + b"\r\n") * 30 + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
         b"Transfer-Encoding: chunked\r\n\r\n", 400),
        (CHUNKED + b"zz\r\n", 400),
        (HANDSHAKE.replace(b"Version: 13", b"Version: 8"), 426),
        (HANDSHAKE.replace(b"AAAA==", b"A"), 400),
        (HANDSHAKE.replace(b"GET", b"POST"), 400),
        (HANDSHAKE.replace(b"Host: x", b"Host: x\r\nContent-Length: 5") + b"abcde", 400),
    ],
)  # fmt: skip
def test_wrong_or_large_request_is_refused_at_once_in_json(head, status):
    async def main():
        server = Server(echo)
        transport = server.connect(head)
        await server.after(1)
        assert (statuses(transport), transport.is_closed) == ([status], True)
        head_text, _, body = bytes(transport.written).partition(b"\r\n\r\n")
        assert b"X-Content-Type-Options: nosniff" in head_text
        assert list(json.loads(body)) == ["error"]

    in_loop(main)


def test_endless_headers_and_bodies_are_cut_off():
    async def main():
        server = Server(echo)
        for first, more in (
            (b"GET / HTTP/1.1\r\nHost: x\r\n", b"X: " + b"a" * 100 + b"\r\n"),
            (b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"a" * 1000),
            (CHUNKED + b"0\r\nX: ", b"a" * 1000),
            (CHUNKED, b"1\r\na\r\n" * 99),
        ):  # fmt: skip
            transport, sent = server.connect(first), 0
            while not transport.is_closed and sent < 2**24:
                transport.protocol.data_received(more)
                sent += len(more)
            assert sent < 5 * 2**20
            assert statuses(transport)[0] in (413, 431)

    in_loop(main)


@pytest.mark.parametrize(
    ("request_bytes", "body"),
    [
        (b"GET http://other.example:80/a?b HTTP/1.1\r\nHost: x\r\n\r\n", b"0 /a other.example:80"),
        (b"GET http://[::1]:80/ HTTP/1.1\r\nHost: x\r\n\r\n", b"0 / "),
        (b"GET /a HTTP/1.0\r\n\r\n", b"0 /a "),
        (b"\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n", b"0 /a x"),
        (CHUNKED + b"3;a=b\r\nabc\r\n0\r\nT: v\r\n\r\n",
         b"3 / x"),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", b"0 * x"),
    ],
)  # fmt: skip
def test_unusual_but_valid_requests_are_answered(request_bytes, body):
    async def main():
        server = Server(echo)
        transport = server.connect(request_bytes)
        await server.after(1)
        assert statuses(transport) == [200]
        assert body in transport.written

    in_loop(main)


def test_pipelined_requests_are_answered_in_order_up_to_a_limit():
    async def main():
        server = Server(echo)
        transport = server.connect(b"".join(GET % b"%d" % k for k in range(5)))
        await server.after(1)
        assert re.findall(rb"0 /(\d)", bytes(transport.written)) == [b"%d" % k for k in range(5)]
        flood = server.connect(b"".join(GET % b"%d" % k for k in range(500)))
        assert flood.is_closed

    in_loop(main)
