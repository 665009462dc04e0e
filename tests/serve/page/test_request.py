"""A wrong ``POST /trace`` request gets an error that says what is allowed."""

import contextlib
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroasync.serve.page.request import parse_request
from neuroasync.shipped import shipped_bundle, shipped_spikes
from tests.helpers.page_client import page_client

EVENTS = {"t_us": [0], "index": [0]}
KEYS = ("events", "image", "policy", "group_size", "until", "input", "seed", "number")
NUMBERS = st.integers(-(2**70), 2**70) | st.integers(0, 70) | st.floats(allow_nan=False)
LEAVES = st.none() | st.booleans() | NUMBERS | st.text(max_size=8) | st.sampled_from(["fifo"])
EVENT_MAPS = st.fixed_dictionaries(
    {"t_us": st.lists(NUMBERS, max_size=3), "index": st.lists(NUMBERS, max_size=3)}
)
IMAGES = st.lists(st.lists(st.floats(0, 1), min_size=8, max_size=8), min_size=8, max_size=8)
JSON = EVENT_MAPS | IMAGES | st.recursive(LEAVES, lambda of: st.lists(of, max_size=3), max_leaves=6)
WRONG_REQUESTS = {
    "not json": ("{", r"^the body is not JSON: "),
    "not utf-8": (b"\xff\xfe\xfd", r"^the body is not JSON: "),
    "nan": ('{"events": NaN}', r"^the body is not JSON: NaN is not JSON"),
    "deep": ("[" * 100_000, r"^the body is nested too deeply"),
    "huge number": ("9" * 10_000, r"^the body is not JSON: "),
    "a list": ([], r"^the body must be a JSON object, got a list"),
    "unknown": (
        {"events": EVENTS, "polcy": 1},
        r"^unknown field 'polcy'; known fields are events, ",
    ),
    "neither": ({}, r"^the request must have either `events` or `image`"),
    "both": ({"events": EVENTS, "image": []}, r"^the request must have either `events` or `image`"),
    "events": ({"events": [1]}, r"^`events` must be an object .*, got \[1\]"),
    "no list": ({"events": {"t_us": 0, "index": [0]}}, r"^`events.t_us` must be a list of at most"),
    "many": (
        {"events": {"t_us": [0] * 20_001, "index": [0] * 20_001}},
        r"^`events.t_us` must be a list of at most 20000 integers",
    ),
    "lengths": ({"events": {"t_us": [0], "index": []}}, r"index"),
    "text": ({"events": {"t_us": ["a"], "index": [0]}}, r"t_us"),
    "ragged": ({"events": {"t_us": [[0], 0], "index": [0]}}, r"t_us"),
    "index": ({"events": {"t_us": [0], "index": [64]}}, r"index\[0\]"),
    "late": (
        {"events": {"t_us": [10**10], "index": [0]}},
        r"^`events.t_us\[0\]` must be below 1000000 \(1000 timesteps of 1000 µs\), got 10000000000",
    ),
    "rows": (
        {"image": [[0.0] * 8] * 7},
        r"^`image` must be a list of 8 rows of 8 numbers from 0 to 1",
    ),
    "columns": ({"image": [[0.0] * 8] * 7 + [[0.0]]}, r"^`image\[7\]` must be a list of 8 numbers"),
    "cell": (
        {"image": [[0.0] * 7 + [1.5]] * 8},
        r"^`image\[0\]\[7\]` must be a number from 0 to 1, got 1.5",
    ),
    "true": (
        {"image": [[True] * 8] * 8},
        r"^`image\[0\]\[0\]` must be a number from 0 to 1, got True",
    ),
    "policy": ({"events": EVENTS, "policy": "lifo"}, r".*'lifo'"),
    "policy type": ({"events": EVENTS, "policy": 1}, r"^`policy` must be a string, got 1"),
    "F": ({"events": EVENTS, "group_size": 0}, r".*group_size"),
    "rule": ({"events": EVENTS, "until": "soon"}, r".*'soon'"),
    "input": ({"events": EVENTS, "input": "last"}, r".*'last'"),
    "seed": (
        {"events": EVENTS, "seed": -1},
        r"^`seed` must be an integer from 0 to 2\*\*53 - 1, got -1",
    ),
    "number": (
        {"events": EVENTS, "number": 0.5},
        r"^`number` must be an integer from 0 to 2\*\*53 - 1, got 0.5",
    ),
}


@pytest.mark.parametrize("name", WRONG_REQUESTS)
async def test_invalid_request_gets_an_error_with_the_allowed_values(name):
    body, message = WRONG_REQUESTS[name]
    raw = body if isinstance(body, str | bytes) else json.dumps(body)
    async with page_client(shipped_bundle("unlayered")) as (http, _):
        answer = await http.post("/trace", content=raw)
        after = await http.post("/trace", json={"events": EVENTS})
    assert answer.status_code == 400
    assert re.search(message, answer.json()["error"]), answer.json()
    assert after.status_code == 200


@pytest.mark.parametrize("value", [0, -1, 2.5, 8.0, True, "8", "", [1], {}, 2**62 + 1])
async def test_group_size_is_checked_as_in_decide(value):
    async with page_client(shipped_bundle("unlayered")) as (http, network):
        with pytest.raises(ValueError, match=r"group_size") as refusal:
            await network.decide(shipped_spikes()[0], group_size=value)
        answer = await http.post("/trace", json={"events": EVENTS, "group_size": value})
    assert answer.status_code == 400
    assert answer.json() == {"error": str(refusal.value)}


@pytest.mark.parametrize("name", ["group_size", "policy", "seed", "events", "image"])
def test_deeply_nested_field_is_refused(name):
    bundle = shipped_bundle("unlayered")
    for depth in range(500, 1100):
        body = {"events": EVENTS, name: 0} if name != "image" else {"image": 0}
        raw = json.dumps(body).replace(f'"{name}": {json.dumps(body[name])}', f'"{name}": @')
        with pytest.raises(ValueError, match=rf"({name}|^the body is nested too deeply)"):
            parse_request(raw.replace("@", "[" * depth + "]" * depth).encode(), bundle)


async def test_largest_group_size_is_accepted():
    async with page_client(shipped_bundle("unlayered")) as (http, _):
        answer = await http.post("/trace", json={"events": EVENTS, "group_size": 2**31 - 1})
    assert answer.status_code == 200
    assert answer.json()["run"]["group_size"] == 2**31 - 1


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), JSON, max_size=4))
def test_any_json_is_a_valid_request_or_raises_value_error(fields):
    body = json.dumps(fields).encode()
    with contextlib.suppress(ValueError):
        request = parse_request(body, shipped_bundle("unlayered"))
        assert set(fields) <= set(KEYS)
        assert request.events.index.max(initial=0) < 64
