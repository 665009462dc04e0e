"""Samples over a websocket get the same decisions as ``neuroasync run`` gives."""

import asyncio
from dataclasses import replace

import pytest

from neuroasync import Network, SpikeTrain
from neuroasync.messages import EventMessage, format_events
from neuroasync.runtime.cpu_time.time_slice import TimeSlice
from tests.helpers.asgi_client import assert_matches, connect, split


@pytest.mark.parametrize("binary", [False, True])
async def test_every_sample_gets_the_same_decision_as_in_run(
    make_app, trains, expected, binary, no_leaks
):
    app = make_app()
    async with connect(app, "seed=5") as socket:
        for train in trains:
            socket.send_sample(train, binary=binary)
        for n, decision in enumerate(expected):
            response = await socket.receive()
            assert response["sample"] == n
            assert response.get("binary", False) is binary
            assert_matches(response, decision)
    assert app.state.counts.of("samples_accepted") == {"answered": len(trains)}
    app.state.counts.check_at_rest()


async def test_response_has_the_format_of_its_sample(make_app, trains, no_leaks):
    async with connect(make_app()) as socket:
        for n in range(6):
            socket.send_sample(trains[n], binary=n % 2 == 0)
        assert [("binary" in await socket.receive()) for _ in range(6)] == [True, False] * 3


async def test_sample_in_chunks_gets_the_same_decision(make_app, trains, expected, no_leaks):
    app = make_app()
    async with connect(app, "seed=5") as socket:
        for train, decision in zip(trains, expected, strict=True):
            *chunks, last = split(train, (7, 7, 30, len(train)))
            for chunk in chunks:
                socket.send_sample(chunk, end=False)
            assert not len(last)
            socket.send_sample(last)
            assert_matches(await socket.receive(), decision)
    app.state.counts.check_at_rest()


async def test_passes_run_before_the_sample_ends(make_app, trains, network, no_leaks):
    app = make_app()
    first, _ = split(trains[0], (40,))
    tap = network.tap(network.bundle.model.populations[0].name)
    async with connect(app) as socket:
        socket.send_sample(first, end=False)
        async with asyncio.timeout(20):
            first_pass, later_pass = [(await anext(tap)).pass_index for _ in range(2)]
        assert first_pass < later_pass


async def test_early_decision_is_sent_before_the_end_and_further_chunks_are_discarded(
    make_app, network, trains, no_leaks
):
    until_first = await network.decide_all(trains, seed=5, until="first-spike")
    app = make_app()
    first, rest = split(trains[0], (50,))
    async with connect(app, "seed=5&until=first-spike") as socket:
        socket.send_sample(first, end=False)
        assert_matches(await socket.receive(), until_first[0])
        socket.send_sample(rest, end=False)
        # An unreadable message ends its sample, which is decided already.
        socket.send("nonsense" * 3)
        response = await socket.receive()
        assert response["sample"] is None
        assert "malformed" in response["error"]
        socket.send_sample(trains[1])
        response = await socket.receive()
        assert response["sample"] == 1
        assert_matches(response, until_first[1])
    assert app.state.counts.of("samples_accepted") == {"answered": 2}
    app.state.counts.check_at_rest()


@pytest.mark.parametrize("by_message", [False, True])
async def test_provisional_decisions_are_sent_on_request(
    make_app, network, trains, by_message, no_leaks
):
    async with network.session(seed=5) as session:
        watched = [decision async for decision in session.watch(trains[0])]
    app = make_app()
    async with connect(app, "seed=5" + "&provisional=1" * (not by_message)) as socket:
        socket.send(format_events(EventMessage(trains[0], True, by_message)))
        responses = [await socket.receive() for _ in watched]
    assert len(responses) > 1
    for response, decision in zip(responses, watched, strict=True):
        assert response["final"] is decision.is_final
        assert (response["label"], response["spikes"]) == (decision.label, decision.total_spikes)
    assert app.state.counts.sum("decisions") == 1
    app.state.counts.check_at_rest()


async def test_query_selects_the_run_options(make_app, network, trains, no_leaks):
    options = {"policy": "momentum", "group_size": 3, "input": "queued", "until": "votes(2)"}
    decisions = await network.decide_all(trains[:3], seed=9, **options)
    query = "policy=momentum&group_size=3&input=queued&until=votes(2)&seed=9"
    async with connect(make_app(), query) as socket:
        for train, decision in zip(trains, decisions, strict=False):
            socket.send_sample(train)
            assert_matches(await socket.receive(), decision)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("policy=best", "'best'"),
        ("group_size=0", "group_size"),
        ("group_size=two", "`group_size` must be an integer of at least 1, got 'two'"),
        ("until=soon", "'soon'"),
        ("until=confidence(0.9)", "calibration"),
        ("input=last", "'last'"),
        ("seed=-1", "`seed` must be an integer from 0 to 2**64 - 1, got '-1'"),
        ("seed=18446744073709551616", "18446744073709551616"),
        ("provisional=maybe", "`provisional` must be 0 or 1, got 'maybe'"),
        (
            "polcy=random",
            "unknown parameter 'polcy'; known parameters are network, policy, group_size",
        ),
        ("seed=1&seed=2", "parameter `seed` must appear only once"),
    ],
)
async def test_invalid_query_is_explained_and_closed_with_1008(make_app, query, message, no_leaks):
    app = make_app()
    async with connect(app, query) as socket:
        response = await socket.receive()
        assert message in response["error"]
        closed = await socket.receive()
        assert closed["close"] == 1008
        assert closed["reason"] == response["error"][:123]
    assert app.state.counts.of("connections_refused") == {"options": 1}
    app.state.counts.check_at_rest()


@pytest.mark.parametrize("binary", [False, True])
async def test_events_that_do_not_fit_the_network_refuse_only_their_sample(
    make_app, trains, expected, binary, no_leaks
):
    app = make_app()
    outside = SpikeTrain([0, 10], [3, 12])
    async with connect(app, "seed=5") as socket:
        socket.send_sample(trains[0], binary=binary)
        socket.send_sample(outside, binary=binary)
        socket.send_sample(trains[2], end=False, binary=binary)
        socket.send_sample(trains[2], binary=binary)  # earlier than the events before
        socket.send_sample(trains[3], binary=binary)
        responses = [await socket.receive() for _ in range(4)]
    assert_matches(responses[0], expected[0])
    assert "index[1]" in responses[1]["error"]
    assert "t_us[0]" in responses[2]["error"]
    assert [a["sample"] for a in responses] == [0, 1, 2, 3]
    assert not responses[1]["dropped"]
    assert_matches(responses[3], expected[3])
    assert app.state.counts.of("samples_refused") == {"invalid": 2}
    app.state.counts.check_at_rest()


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("nonsense", "malformed"),
        ('{"t_us": [0], "index": ["a"], "end": true}', "index[0]"),
        ('{"t_us": [5, 1], "index": [0, 0], "end": true}', "t_us[1]"),
        ('{"t_us": [5], "end": true}', "index"),
        (b"\xc1", "message"),
    ],
)
async def test_malformed_message_refuses_only_its_sample(
    make_app, trains, expected, message, error, no_leaks
):
    app = make_app()
    async with connect(app, "seed=5") as socket:
        socket.send_sample(trains[0])
        socket.send(message)
        socket.send_sample(trains[2])
        responses = {(a := await socket.receive())["sample"]: a for _ in range(3)}
    assert_matches(responses[0], expected[0])
    assert error in responses[1]["error"]
    assert responses[1].get("binary", False) is isinstance(message, bytes)
    assert_matches(responses[2], expected[2])
    assert app.state.counts.of("samples_refused") == {"malformed": 1}
    assert app.state.counts.sum("messages_malformed") == 1
    app.state.counts.check_at_rest()


async def test_malformed_chunk_refuses_its_sample_and_discards_the_rest(
    make_app, trains, expected, no_leaks
):
    app = make_app()
    async with connect(app, "seed=5") as socket:
        first, second, third = split(trains[0], (20, 40))
        socket.send_sample(first, end=False)
        socket.send('{"t_us": [0, "x"], "index": [0, 0]}')
        socket.send_sample(second, end=False)
        socket.send_sample(third)
        socket.send_sample(trains[1])
        responses = [await socket.receive() for _ in range(2)]
    assert [a["sample"] for a in responses] == [0, 1]
    assert "t_us[1]" in responses[0]["error"]
    assert_matches(responses[1], expected[1])
    app.state.counts.check_at_rest()


async def test_too_many_malformed_messages_in_a_row_close_the_connection(
    make_app, trains, expected, no_leaks
):
    app = make_app(max_malformed_in_a_row=3)
    async with connect(app, "seed=5") as socket:
        for message in ("a", "b"):
            socket.send(message)
        socket.send_sample(trains[2])  # a valid sample restarts the count
        for message in ("c", "d", "e", "f"):
            socket.send(message)
        responses = []
        while "close" not in (response := await socket.receive()):
            responses.append(response)
        assert response == {"close": 1008, "reason": "3 malformed messages in a row"}
    assert sorted(a["sample"] for a in responses) == list(range(6))
    [decided] = [a for a in responses if a["sample"] == 2]
    assert_matches(decided, expected[2])
    assert app.state.counts.of("connections_cut") == {"malformed": 1}
    app.state.counts.check_at_rest()


async def test_provisional_sample_can_be_refused_as_malformed_or_invalid(
    make_app, trains, expected, no_leaks
):
    app = make_app()
    async with connect(app, "seed=5&provisional=1") as socket:
        first, second = split(trains[0], (30,))
        for malformed_or_invalid in (
            '{"t_us": [9000, 1], "index": [0, 0]}',
            '{"t_us": [9000], "index": [12]}',
        ):
            socket.send_sample(first, end=False)
            socket.send(malformed_or_invalid)
            socket.send_sample(second)
            while "error" not in (response := await socket.receive()):
                assert not response["final"]
        socket.send_sample(trains[2])
        while not (response := await socket.receive())["final"]:
            pass
        assert_matches(response, expected[2])
    assert app.state.counts.of("samples_refused") == {"malformed": 1, "invalid": 1}
    app.state.counts.check_at_rest()


async def test_readable_malformed_messages_count_towards_closing(make_app, trains, no_leaks):
    app = make_app(max_malformed_in_a_row=3)
    malformed = '{"t_us": [5, 1], "index": [0, 0], "end": true}'
    async with connect(app) as socket:
        for message in (malformed, malformed, "unreadable"):
            socket.send(message)
            assert "error" in await socket.receive()
        socket.send(malformed)
        responses = [await socket.receive() for _ in range(2)]
    assert responses[0]["sample"] == 3
    assert responses[1] == {"close": 1008, "reason": "3 malformed messages in a row"}
    assert app.state.counts.sum("messages_malformed") == 4
    app.state.counts.check_at_rest()


async def test_closing_for_malformed_messages_refuses_the_open_sample(make_app, trains, no_leaks):
    app = make_app(max_malformed_in_a_row=1)
    # On a slow machine, the server would otherwise close before it reads the second message.
    app.state.server_state.read_slice = TimeSlice(1e9)
    async with connect(app) as socket:
        socket.send('{"t_us": [5, 1], "index": [0, 0], "end": true}')
        socket.send_sample(split(trains[0], (30,))[0], end=False)
        responses = [await socket.receive() for _ in range(3)]
    assert [a.get("sample") for a in responses] == [0, 1, None]
    assert responses[1]["error"] == responses[2]["reason"] == "1 malformed messages in a row"
    app.state.counts.check_at_rest()


@pytest.mark.parametrize("query", ["seed=5", "seed=5&provisional=1"])
async def test_samples_last_as_long_as_the_bundle_says(make_app, network, trains, query, no_leaks):
    expected = await network.decide_all(trains, seed=5, duration_us=30_000)
    late = SpikeTrain([30_000], [0])
    async with (
        Network(replace(network.bundle, duration_us=30_000)) as served,
        connect(app := make_app(served=served), query) as socket,
    ):
        socket.send_sample(trains[0])
        socket.send_sample(late)
        *chunks, last = split(late, (1,))
        for chunk in (*chunks, last):
            socket.send_sample(chunk, end=chunk is last)
        socket.send_sample(trains[3])
        answers = []
        while len(answers) < 4:
            if (response := await socket.receive()).get("final", True):
                answers.append(response)
    assert_matches(answers[0], expected[0])
    assert_matches(answers[3], expected[3])
    assert all("`duration_us` must be an integer above 30000" in a["error"] for a in answers[1:3])
    assert app.state.counts.of("samples_refused") == {"invalid": 2}
