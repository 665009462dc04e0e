"""``POST /decide`` gives the same decisions as ``neuroasync run``; ``/metrics`` counts them."""

import asyncio
from dataclasses import replace

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from neuroasync import Network, SpikeTrain, sample_seed
from neuroasync.messages import EventMessage, format_events
from neuroasync.serve.capacity import CapacityShare
from neuroasync.serve.metrics import FAMILIES, ServerMetrics
from tests.helpers.asgi_client import (
    assert_matches,
    block_and_queue,
    connect,
    http_client,
    wait_until,
)

JSON, MSGPACK = {"content-type": "application/json"}, {"content-type": "application/msgpack"}


def body(train, binary=False, end=True):
    """Return the body of a request that sends a train."""
    return format_events(EventMessage(train, end), binary=binary)


@pytest.mark.parametrize("binary", [False, True])
async def test_sample_gets_the_decision_of_sample_0(make_app, trains, expected, binary, no_leaks):
    app = make_app()
    async with http_client(app) as http:
        response = await http.post(
            "/decide?seed=5", content=body(trains[0], binary), headers=MSGPACK if binary else JSON
        )
    assert response.status_code == 200
    result = msgspec.msgpack.decode(response.content) if binary else response.json()
    assert result["sample"] == 0
    assert_matches(result, expected[0])
    assert app.state.counts.of("samples_accepted") == {"answered": 1}
    app.state.counts.check_at_rest()


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=UTF-8", "Application/JSON", "application/x-msgpack",
     "application/vnd.msgpack", None],
)  # fmt: skip
async def test_other_names_of_the_content_types_are_accepted(make_app, trains, content_type):
    is_binary = "msgpack" in (content_type or "")
    headers = {} if content_type is None else {"content-type": content_type}
    async with http_client(make_app()) as http:
        content = body(trains[0], is_binary)
        response = await http.post("/decide", content=content, headers=headers)
    assert response.status_code == 200
    assert ("msgpack" in response.headers["content-type"]) is is_binary


async def test_query_selects_the_run_options(make_app, network, trains, no_leaks):
    [decision] = await network.decide_all(trains[:1], seed=9, policy="fifo", until="votes(2)")
    async with http_client(make_app()) as http:
        response = await http.post(
            "/decide?seed=9&policy=fifo&until=votes(2)", content=body(trains[0])
        )
    assert_matches(response.json(), decision)


@pytest.mark.parametrize(
    ("query", "content", "headers", "status", "message", "refused"),
    [
        ("", "nonsense", JSON, 400, "malformed", {"malformed": 1}),
        ("", b"\xff", JSON, 400, "", {"malformed": 1}),
        ("", b"\xc1", MSGPACK, 400, "message", {"malformed": 1}),
        ("", '{"t_us": [0], "index": [12]}', JSON, 400, "index[0]", {"invalid": 1}),
        ("policy=best", "{}", JSON, 400, "'best'", {"invalid": 1}),
        ("group_size=0", "{}", JSON, 400, "group_size", {"invalid": 1}),
        ("provisional=1", "{}", JSON, 400, "unknown parameter 'provisional'", {}),
        (
            "",
            "{}",
            {"content-type": "text/plain"},
            415,
            "must be application/json or application/msgpack, got 'text/plain'",
            {},
        ),
        ("", "{}", {"content-type": "application/json; charset=utf-16"}, 415, "in UTF-8", {}),
        ("", "{}", JSON | {"content-encoding": "gzip"}, 415, "content encoding, got 'gzip'", {}),
        ("", '{"t_us": ' + "[" * 900, JSON, 400, "", {"malformed": 1}),
        ("", " " * 1001, JSON, 413, "at most 1000 bytes", {}),
    ],
)
async def test_wrong_request_gets_an_error_response(
    make_app, query, content, headers, status, message, refused, no_leaks
):
    app = make_app(max_message_bytes=1000)
    async with http_client(app) as http:
        response = await http.post(f"/decide?{query}", content=content, headers=headers)
    assert response.status_code == status
    if headers is MSGPACK:
        assert message in msgspec.msgpack.decode(response.content)["error"]
    else:
        assert message in response.json()["error"]
    assert app.state.counts.of("samples_refused") == refused
    app.state.counts.check_at_rest()


async def test_sample_with_more_events_than_the_queue_holds_is_refused(make_app, trains, no_leaks):
    app = make_app(max_queued_events_total=59)
    async with http_client(app) as http:
        response = await http.post("/decide", content=body(trains[0]))
    assert response.status_code == 413
    assert app.state.counts.of("samples_refused") == {"too-large": 1}
    app.state.counts.check_at_rest()


@pytest.mark.parametrize("when_full", ["block", "error"])
async def test_request_waits_or_is_refused_when_the_queue_is_full(
    make_app, trains, expected, when_full, no_leaks
):
    app = make_app(when_full, max_queued_samples_total=1)
    async with http_client(app) as http, connect(app) as socket:
        await block_and_queue(app, socket, trains, 1)
        await wait_until(lambda: app.state.counts.of("samples_waiting") == {"": 1})
        posting = asyncio.create_task(http.post("/decide?seed=5", content=body(trains[0])))
        if when_full == "error":
            response = await posting
            assert (response.status_code, response.headers["retry-after"]) == (503, "1")
            assert app.state.counts.of("samples_refused") == {"server-full": 1}
        else:
            await wait_until(lambda: app.state.counts.sum("samples_open") == 3)
            assert not posting.done()
            socket.resume_reading()
            assert_matches((await posting).json(), expected[0])
    app.state.counts.check_at_rest()


@pytest.mark.parametrize(
    ("content", "limits", "error", "family", "label"),
    [
        (
            '{"t_us": [20000], "index": [0]}', {"max_passes": 20}, "has 21 timesteps",
            "samples_refused", "too-many-passes",
        ),
        (
            '{"t_us": [0, 1000], "index": [0, 1]}', {"max_cpu_s": 1e-9}, "of CPU time",
            "samples_accepted", "cpu-time",
        ),
    ],
)  # fmt: skip
async def test_sample_that_costs_too_much_gets_status_422(
    make_app, content, limits, error, family, label, no_leaks
):
    app = make_app(**limits)
    async with http_client(app) as http:
        response = await http.post("/decide", content=content, headers=JSON)
    assert response.status_code == 422
    assert error in response.json()["error"]
    assert app.state.counts.of(family) == {label: 1}
    app.state.counts.check_at_rest()


@pytest.mark.parametrize("is_running", [True, False])
async def test_client_that_leaves_takes_its_sample_with_it(make_app, trains, is_running, no_leaks):
    """It may leave while its sample runs, and while it waits for capacity."""
    app = make_app(max_queued_samples_total=1)
    share = CapacityShare(app.state.server_state.capacity)
    if not is_running:
        assert share.acquire_nowait(1, 0)
    to_app, answers = asyncio.Queue(), []

    async def send(message):
        answers.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/decide", "query_string": b"",
        "headers": [(b"content-type", b"application/json")], "client": ("test", 1),
    }  # fmt: skip
    endless = SpikeTrain([99_999_000], [1]) if is_running else trains[0]
    to_app.put_nowait({"type": "http.request", "body": body(endless).encode(), "more_body": False})
    request = asyncio.create_task(app(scope, to_app.get, send))
    await wait_until(lambda: app.state.counts.sum("samples_open") == 1)
    to_app.put_nowait({"type": "http.disconnect"})
    await request
    assert app.state.counts.of("samples_accepted") == {"client-gone": 1}
    share.release(share.samples, 0)
    app.state.counts.check_at_rest()


async def test_all_routes_but_health_require_the_token(make_app, trains, no_leaks):
    app = make_app(token="open sesame")
    async with http_client(app) as http:
        assert (await http.post("/decide", content=body(trains[0]))).status_code == 401
        assert (await http.get("/metrics")).status_code == 401
        assert (await http.get("/health")).status_code == 200
        headers = {"authorization": "Bearer open sesame"}
        assert (await http.get("/metrics", headers=headers)).status_code == 200
        assert (await http.post("/decide?token=open+sesame", content="{}")).status_code == 200


async def test_metrics_have_the_prometheus_format_and_the_right_counts(make_app, trains, no_leaks):
    app = make_app()
    async with http_client(app) as http, connect(app) as socket:
        for train in trains[:3]:
            socket.send_sample(train)
        spikes = sum([(await socket.receive())["spikes"] for _ in range(3)])
        socket.send_sample(SpikeTrain([0], [12]))
        await socket.receive()
        response = await http.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    families = {f.name: f for f in text_string_to_metric_families(response.text)}
    assert {f"neuroasync_{f.name}" for f in FAMILIES} < set(families)
    assert all(f.documentation for f in families.values())
    samples = [s for family in families.values() for s in family.samples]
    values = {(s.name, *s.labels.values()): s.value for s in samples}
    assert values["neuroasync_samples_sent_total", "network"] == 4
    assert values["neuroasync_samples_accepted_total", "network", "answered"] == 3
    assert values["neuroasync_samples_refused_total", "network", "invalid"] == 1
    assert values["neuroasync_decisions_total", "network"] == 3
    assert values["neuroasync_spikes_total", "network"] == spikes
    assert values["neuroasync_messages_total", "network"] == 4
    assert values["neuroasync_events_total", "network"] == 181
    assert values["neuroasync_sessions_open", "network"] == 1
    assert values["neuroasync_decision_latency_seconds_count", "network"] == 3
    assert values["neuroasync_decision_latency_seconds_bucket", "+Inf", "network"] == 3
    assert values["neuroasync_decision_latency_seconds_sum", "network"] > 0


def test_metrics_are_summed_over_workers():
    cells = memoryview(bytearray(2 * 8 * ServerMetrics.SIZE)).cast("d")
    one, two = ServerMetrics(cells, 0), ServerMetrics(cells, 1)
    one.add("decisions", 3)
    two.add("decisions", 4)
    two.add("samples_refused", 1, "malformed")
    one.observe_latency(0.002)
    two.observe_latency(99.0)
    assert one.total("decisions") == two.total("decisions") == 7
    assert one.total("samples_refused", "malformed") == 1
    buckets, seconds = one.latency_histogram(0)
    assert dict(buckets)["0.001"] == 0
    assert dict(buckets)["0.0025"] == dict(buckets)["10.0"] == 1
    assert dict(buckets)["+Inf"] == 2
    assert seconds == 99.002


async def test_a_sample_lasts_as_long_as_the_bundle_says(make_app, network, trains, no_leaks):
    bundle = replace(network.bundle, duration_us=30_000)
    expected = await network.decide(trains[0], seed=sample_seed(0, 0), duration_us=30_000)
    async with Network(bundle) as served, http_client(make_app(served=served)) as http:
        response = await http.post("/decide", content=body(trains[0]), headers=JSON)
        assert_matches(response.json(), expected)
        late = body(SpikeTrain([30_000], [0]))
        response = await http.post("/decide", content=late, headers=JSON)
    assert response.status_code == 400
    assert "`duration_us` must be an integer above 30000" in response.json()["error"]
