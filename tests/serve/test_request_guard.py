"""Web pages of other origins cannot use a server, unless its operator allows them."""

import contextlib
import socket

import httpx
import pytest

from neuroasync.serve import create_app
from tests.helpers.asgi_client import RefusedError, connect

EVIL = "https://evil.example"
JSON = {"content-type": "application/json"}


@contextlib.asynccontextmanager
async def client_of(network, host="localhost:8000", **options):
    """Yield an HTTP client that reaches an app under a host."""
    app = create_app(network, **options)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as http:
        yield http, app


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1:8000", "[::1]:8000", "192.168.1.20", "[2001:db8::7]", "neuro",
     "app.localhost", "LOCALHOST.", socket.gethostname()],
)  # fmt: skip
async def test_hosts_that_no_web_site_can_have_are_accepted(network, host):
    async with client_of(network) as (http, _):
        assert (await http.get("/about", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "evil.example.",
             "127.0.0.1.evil.example", "evil:x.example", "[::1].evil.example", "1.2.3.4.5",
             "[evil.example]"],
)  # fmt: skip
async def test_other_hosts_are_refused_with_the_name_of_the_option(network, host):
    async with client_of(network) as (http, app):
        for path in ("/about", "/health", "/"):
            response = await http.get(path, headers={"host": host})
            assert response.status_code == 403
            assert "--allow-host" in response.json()["error"]
            assert response.headers["x-content-type-options"] == "nosniff"
        with pytest.raises(RefusedError, match="403"):
            async with connect(app, headers={"host": host}):
                pass
        assert app.state.server_state.metrics.total("connections_refused", "host") == 4


@pytest.mark.parametrize(
    ("allowed", "host", "status"),
    [
        (["neuro.example.com"], "neuro.example.com:8000", 200),
        (["Neuro.Example.com"], "NEURO.example.COM", 200),
        (["*.example.com"], "a.b.example.com", 200),
        (["*.example.com"], "example.com", 403),
        (["*.example.com"], "evilexample.com", 403),
        (["*"], "evil.example", 200),
    ],
)
async def test_hosts_can_be_allowed(network, allowed, host, status):
    async with client_of(network, allow_hosts=allowed) as (http, _):
        assert (await http.get("/about", headers={"host": host})).status_code == status


async def test_token_replaces_the_check_of_the_host_unless_hosts_are_given(network):
    for hosts, status in (((), 200), (("example.com",), 403)):
        async with client_of(network, token="secret", allow_hosts=hosts) as (http, _):
            headers = {"host": "other.example", "authorization": "Bearer secret"}
            assert (await http.get("/about", headers=headers)).status_code == status


@pytest.mark.parametrize("token", [None, "secret"])
@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://localhost:8000", 200), ("https://LOCALHOST:8000", 200), ("http://localhost", 403),
     (EVIL, 403), ("null", 403), ("localhost:8000", 403), ("", 403)],
)  # fmt: skip
async def test_only_pages_of_the_server_itself_may_use_it(network, origin, status, token):
    async with client_of(network, token=token) as (http, app):
        headers = {"origin": origin, "authorization": "Bearer secret", "host": "localhost:8000"}
        response = await http.post("/decide", content="{}", headers=headers)
        assert response.status_code == status
        assert "access-control-allow-origin" not in response.headers
        if status == 200:
            async with connect(app, headers=headers):
                pass
            return
        assert "--allow-origin" in response.json()["error"]
        with pytest.raises(RefusedError, match="403"):
            async with connect(app, headers=headers):
                pass


@pytest.mark.parametrize("allowed", [EVIL, "*"])
async def test_allowed_origin_gets_cors_headers_and_passes_the_preflight(network, allowed):
    async with client_of(network, allow_origins=[allowed]) as (http, app):
        response = await http.post("/decide", content="{}", headers={"origin": EVIL, **JSON})
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == allowed
        preflight = {
            "origin": EVIL,
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type, authorization",
        }
        response = await http.options("/decide", headers=preflight)
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == allowed
        async with connect(app, headers={"origin": EVIL, "host": "localhost"}):
            pass
        if allowed == EVIL:
            refused = await http.options("/decide", headers=preflight | {"origin": "https://b.c"})
            assert refused.status_code == 403


async def test_client_without_host_and_origin_is_accepted(network, trains):
    app = create_app(network)
    async with connect(app) as client:
        client.send_sample(trains[0])
        assert (await client.receive())["final"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"allow_hosts": ["http://example.com"]}, "a host must be a name .*'http://example.com'"),
        ({"allow_hosts": ["example.com:80"]}, "a host must be a name"),
        ({"allow_hosts": ["a.*"]}, "a host must be a name"),
        ({"allow_hosts": "example"}, "`allow_hosts` must be a list of texts, got 'example'"),
        ({"allow_hosts": [5]}, r"`allow_hosts` must be a list of texts, got \[5\]"),
        ({"allow_origins": "null"}, "`allow_origins` must be a list of texts, got 'null'"),
        ({"allow_origins": ["example.com"]}, "an origin must have a scheme.*'example.com'"),
        ({"allow_origins": ["https://example.com/"]}, "an origin must have"),
    ],
)
def test_invalid_hosts_and_origins_are_refused(bundle, options, message):
    with pytest.raises(ValueError, match=message):
        create_app(bundle, **options)


@pytest.mark.parametrize(
    "path", ["/", "/about", "/health", "/metrics", "/no", "/decide", "/page/no"]
)
async def test_every_response_forbids_guessing_its_type(network, path):
    async with client_of(network) as (http, _):
        response = await http.get(path)
        assert response.headers.get_list("x-content-type-options") == ["nosniff"]


async def test_failed_request_is_answered_in_json_without_details(network, monkeypatch):
    app = create_app(network)
    monkeypatch.setattr(app.state.server_state, "update_task_count", lambda: 1 // 0)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        response = await http.get("/metrics")
    assert (response.status_code, list(response.json())) == (500, ["error"])
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/decide", "/trace"])
async def test_client_that_leaves_before_its_body_ends_leaves_no_traceback(network, path, caplog):
    app = create_app(network)
    messages = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive():
        return messages.pop(0)

    async def send(message):
        """Lose the response."""

    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(),
        "query_string": b"", "headers": [], "client": ("test", 1), "http_version": "1.1",
        "scheme": "http", "server": ("test", 80), "root_path": "",
    }  # fmt: skip
    await app(scope, receive, send)
    assert not caplog.records
    app.state.server_state.metrics.total("samples_open")


async def test_client_that_leaves_during_the_handshake_leaves_no_traceback(network, caplog):
    app = create_app(network)

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        raise OSError("gone")

    scope = {
        "type": "websocket", "path": "/stream", "query_string": b"", "headers": [],
        "client": ("test", 1), "subprotocols": [], "root_path": "", "app": app,
        "extensions": {"websocket.http.response": {}},
    }  # fmt: skip
    await app(scope, receive, send)
    assert app.state.server_state.metrics.total("sessions_open") == 0
    assert not caplog.records
