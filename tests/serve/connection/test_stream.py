"""A websocket from end to end, but for the socket: answers are those of ``run``."""

import itertools
import re

import pytest

from neuroasync import MessageError, SpikeTrain
from neuroasync.messages import EventMessage, format_events
from neuroasync.serve.connection.message_peek import peek_message
from tests.helpers.asgi_client import RefusedError, connect, until


def cut(train, at):
    """The parts of a sample before and after these positions."""
    bounds = [0, *at, len(train)]
    return [SpikeTrain(train.t_us[a:b], train.index[a:b]) for a, b in itertools.pairwise(bounds)]


def same(answer, decision):
    assert answer["label"] == decision.label
    assert answer["votes"] == decision.votes.tolist()
    assert answer["spikes"] == decision.total_spikes
    assert answer["rounds"] == decision.rounds
    assert answer["final"] is True
    assert answer["latency_ms"] >= 0


@pytest.mark.parametrize("binary", [False, True])
async def test_every_sample_gets_the_decision_of_run(make_app, trains, expected, binary, no_leaks):
    app = make_app()
    async with connect(app, "seed=5") as socket:
        for train in trains:
            socket.send_sample(train, binary=binary)
        for n, decision in enumerate(expected):
            answer = await socket.receive()
            assert answer["sample"] == n
            assert answer.get("binary", False) is binary
            same(answer, decision)
    assert app.state.counts.of("samples_accepted") == {"answered": len(trains)}
    app.state.counts.check_at_rest()


async def test_an_answer_comes_in_the_kind_in_which_its_sample_was_sent(make_app, trains, no_leaks):
    async with connect(make_app()) as socket:
        for n in range(6):
            socket.send_sample(trains[n], binary=n % 2 == 0)
        assert [("binary" in await socket.receive()) for _ in range(6)] == [True, False] * 3


async def test_a_sample_in_parts_is_the_same_sample(make_app, trains, expected, no_leaks):
    app = make_app()
    async with connect(app, "seed=5") as socket:
        for train, decision in zip(trains, expected, strict=True):
            *parts, last = cut(train, (7, 7, 30, len(train)))
            for part in parts:
                socket.send_sample(part, end=False)
            assert not len(last)
            socket.send_sample(last)
            same(await socket.receive(), decision)
    app.state.counts.check_at_rest()


async def test_passes_run_before_the_sample_ends(make_app, trains, network, no_leaks):
    app = make_app()
    first, _ = cut(trains[0], (40,))
    async with connect(app) as socket:
        socket.send_sample(first, end=False)
        await until(lambda: app.state.counts.sum("events_waiting") == 0)
        [session] = network._sessions
        await until(lambda: session._simulator.passes > 1)


async def test_an_early_decision_is_answered_before_the_end_and_the_rest_passed_over(
    make_app, network, trains, no_leaks
):
    until_first = await network.decide_all(trains, seed=5, until="first-spike")
    app = make_app()
    first, rest = cut(trains[0], (50,))
    async with connect(app, "seed=5&until=first-spike") as socket:
        socket.send_sample(first, end=False)
        same(await socket.receive(), until_first[0])
        socket.send_sample(rest, end=False)
        socket.send("nonsense" * 3)  # ends the sample, which is decided already
        answer = await socket.receive()
        assert answer["sample"] is None
        assert "malformed" in answer["error"]
        socket.send_sample(trains[1])
        answer = await socket.receive()
        assert answer["sample"] == 1
        same(answer, until_first[1])
    assert app.state.counts.of("samples_accepted") == {"answered": 2}
    app.state.counts.check_at_rest()


@pytest.mark.parametrize("by_message", [False, True])
async def test_provisional_decisions_come_first_if_asked_for(
    make_app, network, trains, by_message, no_leaks
):
    async with network.session(seed=5) as session:
        watched = [decision async for decision in session.watch(trains[0])]
    app = make_app()
    async with connect(app, "seed=5" + "&provisional=1" * (not by_message)) as socket:
        socket.send(format_events(EventMessage(trains[0], True, by_message)))
        answers = [await socket.receive() for _ in watched]
    assert len(answers) > 1
    for answer, decision in zip(answers, watched, strict=True):
        assert answer["final"] is decision.is_final
        assert (answer["label"], answer["spikes"]) == (decision.label, decision.total_spikes)
    assert app.state.counts.sum("decisions") == 1
    app.state.counts.check_at_rest()


async def test_how_to_run_is_the_querys_to_say(make_app, network, trains, no_leaks):
    asked = {"policy": "momentum", "group_size": 3, "input": "queued", "until": "votes(2)"}
    decisions = await network.decide_all(trains[:3], seed=9, **asked)
    query = "policy=momentum&group_size=3&input=queued&until=votes(2)&seed=9"
    async with connect(make_app(), query) as socket:
        for train, decision in zip(trains, decisions, strict=False):
            socket.send_sample(train)
            same(await socket.receive(), decision)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("policy=best", "policy 'best' is unknown, expected one of"),
        ("group_size=0", "group_size: 0, expected an integer from 1"),
        ("group_size=two", "group_size: 'two', expected an integer"),
        ("until=soon", "until: 'soon', expected quiet, first-spike"),
        ("until=confidence(0.9)", "needs a calibration, the bundle has none"),
        ("input=last", "input: 'last', expected 'prioritised' or 'queued'"),
        ("seed=-1", "seed: '-1', expected an integer"),
        ("seed=18446744073709551616", "seed: 18446744073709551616, expected an integer from 0"),
        ("provisional=maybe", "provisional: 'maybe', expected 0 or 1"),
        ("polcy=random", "'polcy' is unknown, expected policy, group_size, until, input, seed"),
        ("seed=1&seed=2", "seed is given twice, expected once"),
    ],
)
async def test_a_bad_query_is_answered_and_closed_with_1008(make_app, query, says, no_leaks):
    app = make_app()
    async with connect(app, query) as socket:
        answer = await socket.receive()
        assert says in answer["error"]
        closed = await socket.receive()
        assert closed["close"] == 1008
        assert closed["reason"] == answer["error"][:123]
    assert app.state.counts.of("connections_refused") == {"options": 1}
    app.state.counts.check_at_rest()


@pytest.mark.parametrize("binary", [False, True])
async def test_events_that_the_network_does_not_read_refuse_their_sample_alone(
    make_app, trains, expected, binary, no_leaks
):
    app = make_app()
    outside = SpikeTrain([0, 10], [3, 12])
    async with connect(app, "seed=5") as socket:
        socket.send_sample(trains[0], binary=binary)
        socket.send_sample(outside, binary=binary)
        socket.send_sample(trains[2], end=False, binary=binary)
        socket.send_sample(trains[2], binary=binary)  # back in time
        socket.send_sample(trains[3], binary=binary)
        answers = [await socket.receive() for _ in range(4)]
    same(answers[0], expected[0])
    assert answers[1]["error"] == "index[1]: 12, expected 0 to 11, the network's inputs"
    assert answers[2]["error"].startswith("t_us[0]: ")
    assert [a["sample"] for a in answers] == [0, 1, 2, 3]
    assert not answers[1]["dropped"]
    same(answers[3], expected[3])
    assert app.state.counts.of("samples_refused") == {"invalid": 2}
    app.state.counts.check_at_rest()


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("nonsense", "malformed"),
        ('{"t_us": [0], "index": ["a"], "end": true}', "index[0]: expected `int`, got `str`"),
        ('{"t_us": [5, 1], "index": [0, 0], "end": true}', "t_us[1]: 1 after 5"),
        ('{"t_us": [5], "end": true}', "index: missing"),
        (b"\xc1", "message: "),
    ],
)
async def test_a_malformed_message_refuses_its_sample_and_the_next_goes_on(
    make_app, trains, expected, message, says, no_leaks
):
    app = make_app()
    async with connect(app, "seed=5") as socket:
        socket.send_sample(trains[0])
        socket.send(message)
        socket.send_sample(trains[2])
        answers = {(a := await socket.receive())["sample"]: a for _ in range(3)}
    same(answers[0], expected[0])
    assert says in answers[1]["error"]
    assert answers[1].get("binary", False) is isinstance(message, bytes)
    same(answers[2], expected[2])
    assert app.state.counts.of("samples_refused") == {"malformed": 1}
    assert app.state.counts.sum("messages_malformed") == 1
    app.state.counts.check_at_rest()


async def test_a_malformed_part_takes_its_sample_with_it_up_to_its_end(
    make_app, trains, expected, no_leaks
):
    app = make_app()
    async with connect(app, "seed=5") as socket:
        first, second, third = cut(trains[0], (20, 40))
        socket.send_sample(first, end=False)
        socket.send('{"t_us": [0, "x"], "index": [0, 0]}')
        socket.send_sample(second, end=False)
        socket.send_sample(third)
        socket.send_sample(trains[1])
        answers = [await socket.receive() for _ in range(2)]
    assert [a["sample"] for a in answers] == [0, 1]
    assert "t_us[1]" in answers[0]["error"]
    same(answers[1], expected[1])
    app.state.counts.check_at_rest()


async def test_too_many_malformed_messages_in_a_row_close_the_connection(
    make_app, trains, expected, no_leaks
):
    app = make_app(malformed_in_a_row=3)
    async with connect(app, "seed=5") as socket:
        for message in ("a", "b"):
            socket.send(message)
        socket.send_sample(trains[2])  # a good one: counting begins anew
        for message in ("c", "d", "e", "f"):
            socket.send(message)
        got = []
        while "close" not in (answer := await socket.receive()):
            got.append(answer)
        assert answer == {"close": 1008, "reason": "3 malformed messages in a row"}
    assert sorted(a["sample"] for a in got) == list(range(6))
    [decided] = [a for a in got if a["sample"] == 2]
    same(decided, expected[2])
    assert app.state.counts.of("connections_cut") == {"malformed": 1}
    app.state.counts.check_at_rest()


async def test_a_provisional_sample_may_be_malformed_or_invalid_too(
    make_app, trains, expected, no_leaks
):
    app = make_app()
    async with connect(app, "seed=5&provisional=1") as socket:
        first, second = cut(trains[0], (30,))
        for wrong in ('{"t_us": [9000, 1], "index": [0, 0]}', '{"t_us": [9000], "index": [12]}'):
            socket.send_sample(first, end=False)
            socket.send(wrong)
            socket.send_sample(second)
            while "error" not in (answer := await socket.receive()):
                assert not answer["final"]
        socket.send_sample(trains[2])
        while not (answer := await socket.receive())["final"]:
            pass
        same(answer, expected[2])
    assert app.state.counts.of("samples_refused") == {"malformed": 1, "invalid": 1}
    app.state.counts.check_at_rest()


async def test_messages_that_can_be_read_but_are_wrong_count_too(make_app, trains, no_leaks):
    app = make_app(malformed_in_a_row=3)
    wrong = '{"t_us": [5, 1], "index": [0, 0], "end": true}'
    async with connect(app) as socket:
        for message in (wrong, wrong, "unreadable"):
            socket.send(message)
            assert "error" in await socket.receive()
        socket.send(wrong)
        got = [await socket.receive() for _ in range(2)]
    assert got[0]["sample"] == 3
    assert got[1] == {"close": 1008, "reason": "3 malformed messages in a row"}
    assert app.state.counts.sum("messages_malformed") == 4
    app.state.counts.check_at_rest()


async def test_an_open_sample_ends_with_a_connection_that_is_closed_for_the_one_before(
    make_app, trains, no_leaks
):
    app = make_app(malformed_in_a_row=1)
    async with connect(app) as socket:
        socket.send('{"t_us": [5, 1], "index": [0, 0], "end": true}')
        socket.send_sample(cut(trains[0], (30,))[0], end=False)
        got = [await socket.receive() for _ in range(3)]
    assert [a.get("sample") for a in got] == [0, 1, None]
    assert got[1]["error"] == got[2]["reason"] == "1 malformed messages in a row"
    app.state.counts.check_at_rest()


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("events", [0, 1, 2, 15, 16, 300, 70_000])
def test_a_glance_knows_how_many_events_there_are(events, binary):
    train = SpikeTrain(list(range(events)), [0] * events)
    for end in (False, True):
        data = format_events(EventMessage(train, end, not end), binary=binary)
        assert peek_message(data, 2**20) == (events, end, not end)


@pytest.mark.parametrize(
    ("data", "events"),
    [("{}", 0), ('{"t_us": [ ], "index": []}', 0), ('{"t_us": null}', 0), (b"\x80", 0),
     ('{"t_us": "x"}', 0), (b"\x81\xa4t_us\xa1x", 0), ('{"more": [1, 2, [3]]}', 0)],
)  # fmt: skip
def test_a_glance_takes_what_it_can_pass_over(data, events):
    assert peek_message(data, 100) == (events, False, False)


@pytest.mark.parametrize(
    ("data", "says"),
    [("{", "message: "), ("[]", "message: expected `object`"), (b"\xc1", "message: "),
     ('{"end": 1}', "end: expected `bool`"), (b"\x81\xa4t_us\xdd\xff\xff\xff\xff", "message: "),
     ("\ud800", "message: "), (" " * 101, "message: 101 bytes, the limit is 100")],
)  # fmt: skip
def test_what_a_glance_cannot_read_is_told_as_by_who_reads_it_all(data, says):
    with pytest.raises(MessageError, match=f"^{re.escape(says)}"):
        peek_message(data, 100)


async def test_without_the_token_nobody_gets_in(make_app, trains, no_leaks):
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


async def test_one_session_too_many_is_refused_until_another_leaves(make_app, no_leaks):
    app = make_app(sessions=2)
    async with connect(app):
        async with connect(app):
            with pytest.raises(RefusedError, match="503"):
                async with connect(app):
                    pass
        async with connect(app):
            assert app.state.counts.sum("sessions_open") == 2
    assert app.state.counts.of("connections_refused") == {"sessions": 1}
    app.state.counts.check_at_rest()


async def test_a_network_that_is_not_open_says_so(bundle, no_leaks):
    from neuroasync import Network
    from neuroasync.serve import create_app

    async with connect(create_app(Network(bundle))) as socket:
        assert "the network is not open" in (await socket.receive())["error"]
        assert (await socket.receive())["close"] == 1013
