"""Connections are refused without the token, above the session limit, and with a closed network."""

import pytest

from neuroasync import Network
from neuroasync.serve import create_app
from tests.helpers.asgi_client import RefusedError, connect


async def test_connections_without_the_token_are_refused(make_app, trains, no_leaks):
    app = make_app(token="open sesame")
    for query, headers in (
        ("", {}), ("token=wrong", {}), ("", {"Authorization": "Bearer wrong"}),
        ("token=open%20sesame", {"Authorization": "Bearer wrong"}),
        ("", {"Authorization": "Basic open sesame"}), ("token=", {}),
    ):  # fmt: skip
        with pytest.raises(RefusedError, match="401"):
            async with connect(app, query, headers):
                pass
    assert app.state.counts.of("connections_refused") == {"token": 6}
    for query, headers in (
        ("token=open%20sesame", {}),
        ("", {"Authorization": "Bearer open sesame"}),
        ("", {"Authorization": "bearer open sesame"}),
    ):
        async with connect(app, query, headers) as socket:
            socket.send_sample(trains[0])
            assert (await socket.receive())["sample"] == 0


async def test_connections_above_the_session_limit_are_refused_until_one_leaves(make_app, no_leaks):
    app = make_app(max_sessions=2)
    async with connect(app):
        async with connect(app):
            with pytest.raises(RefusedError, match="503"):
                async with connect(app):
                    pass
        async with connect(app):
            assert app.state.counts.sum("sessions_open") == 2
    assert app.state.counts.of("connections_refused") == {"sessions": 1}
    app.state.counts.check_at_rest()


async def test_connection_to_a_network_that_is_not_open_is_closed_with_an_error(bundle, no_leaks):
    async with connect(create_app(Network(bundle))) as socket:
        assert "not open" in (await socket.receive())["error"]
        assert (await socket.receive())["close"] == 1013
