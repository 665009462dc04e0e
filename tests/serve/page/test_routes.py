"""What the live page asks of its server: /about, /trace, and its own files."""

import asyncio
import contextlib
import json
import re
from importlib.resources import files

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

import neuroasync as na
from neuroasync.datasets import load_dataset
from neuroasync.datasets.images import encode_image
from neuroasync.serve.page import page_routes
from neuroasync.serve.page import routes as page
from neuroasync.serve.page.drawing import drawing_of
from neuroasync.serve.page.request import read_request
from neuroasync.shipped import shipped_bundle, shipped_spikes
from tests.helpers.small_networks import chain, sample

STATIC = files("neuroasync.serve.page").joinpath("static")


@contextlib.asynccontextmanager
async def client(bundle, **options):
    """A client of an app that has the page's routes, and its network."""
    async with na.Network(bundle) as network:
        app = Starlette(routes=page_routes(network, **options))
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://page") as http:
            yield http, network


def as_json(events):
    return {"t_us": events.t_us.tolist(), "index": events.index.tolist()}


def golden_of(bundle, events):
    return na.Bundle(bundle.model, golden=(na.GoldenSample(events),), meta=bundle.meta)


async def test_a_trace_is_what_decide_gives():
    events = shipped_spikes()[17]
    run = {"policy": "momentum", "group_size": 4, "until": "margin(3)", "input": "queued"}
    async with client(shipped_bundle("unlayered")) as (http, network):
        answer = await http.post("/trace", json={"events": as_json(events), "number": 17, **run})
        decision = await network.decide(events, seed=na.sample_seed(0, 17), **run)
    assert answer.status_code == 200
    told = answer.json()
    assert told["decision"] == {
        "label": decision.label,
        "class_name": decision.class_name,
        "votes": decision.votes.tolist(),
        "stopped": True,
        "until": "margin(3)",
        "t_us": decision.t_us,
        "passes": decision.passes,
        "steps": decision.steps,
        "rounds": decision.rounds,
        "spikes": decision.total_spikes,
        "spikes_by_population": decision.spikes,
        "input_events": decision.input_events,
        "synops": decision.synops,
    }
    assert told["run"] == {**run, "seed": 0, "number": 17}
    assert told["moments"]["rounds"][-1] == decision.rounds
    assert len(told["spikes"]["neuron"]) == decision.total_spikes
    assert told["events"] == as_json(events)
    assert told["populations"][0] == {"name": "hidden1", "size": 64}


async def test_the_seed_and_the_number_decide_on_random_order():
    body = {"events": as_json(shipped_spikes()[17]), "policy": "random", "until": "quiet"}
    async with client(shipped_bundle("layered-paper")) as (http, network):
        for seed, number in ((0, 0), (0, 17), (5, 17)):
            answer = await http.post("/trace", json={**body, "seed": seed, "number": number})
            order_seed = na.sample_seed(seed, number)
            run = {"policy": "random", "until": "quiet"}
            decision = await network.decide(shipped_spikes()[17], seed=order_seed, **run)
            assert answer.json()["decision"]["spikes"] == decision.total_spikes


async def test_what_is_left_out_is_as_the_network_has_it():
    async with client(shipped_bundle("queued")) as (http, _):
        told = (await http.post("/trace", json={"events": as_json(shipped_spikes()[0])})).json()
    run = {"policy": "momentum", "group_size": 8, "until": "quiet", "input": "queued"}
    assert told["run"] == {**run, "seed": 0, "number": 0}


@pytest.mark.parametrize("coding", ["rate", "latency"])
def test_an_image_is_encoded_as_those_that_the_network_learned_from(coding):
    digits = load_dataset("digits", coding=coding)
    numbers = digits.split.test[:5]
    with np.load(files("neuroasync").joinpath("data/digits.npz")) as arrays:
        images = arrays["images"] / 16
    for k, number in enumerate(numbers.tolist()):
        assert encode_image(images[number], coding, number) == shipped_spikes(coding)[k]


async def test_a_drawn_image_becomes_events_and_a_decision():
    image = np.zeros((8, 8))
    image[1:7, 3:5] = 0.8
    body = {"image": image.tolist(), "seed": 3, "policy": "layer-sync"}
    async with client(shipped_bundle("unlayered")) as (http, network):
        told = (await http.post("/trace", json=body)).json()
        events = encode_image(image, "rate", 0, 3)
        decision = await network.decide(events, seed=na.sample_seed(3, 0), policy="layer-sync")
    assert told["events"] == as_json(events)
    assert told["decision"]["votes"] == decision.votes.tolist()


async def test_about_tells_the_network_and_how_it_runs():
    bundle = shipped_bundle("unlayered")
    async with client(bundle) as (http, _):
        told = (await http.get("/about")).json()
    assert told["digest"] == bundle.digest.hex()
    assert [p["name"] for p in told["populations"]] == ["hidden1", "hidden2", "hidden3", "output"]
    assert told["output"] == "output"
    assert told["classes"] == list("0123456789")
    assert told["input"] == {"shape": [8, 8], "size": 64}
    default = {"policy": "random", "group_size": 8, "input": "prioritised", "until": "quiet"}
    assert told["default"] == default
    assert told["chosen_until"] in told["until"]
    assert told["drawing"]["coding"] == "rate"
    assert [s["label"] for s in told["samples"]] == list("0123456789")
    labels, spikes = shipped_spikes().labels, shipped_spikes()
    for told_sample in told["samples"]:
        assert labels[told_sample["number"]] == int(told_sample["label"])
        assert told_sample["events"] == as_json(spikes[told_sample["number"]])


async def test_every_rule_and_policy_that_is_offered_is_taken():
    async with client(shipped_bundle("unlayered")) as (http, _):
        about = (await http.get("/about")).json()
        events = about["samples"][0]["events"]
        ways = [{"until": rule} for rule in about["until"]]
        ways += [{"policy": policy} for policy in about["policies"]]
        for way in ways:
            assert (await http.post("/trace", json={"events": events, **way})).status_code == 200


async def test_other_networks_show_their_golden_samples_and_cannot_be_drawn_for():
    bundle = golden_of(chain(), sample())
    async with client(bundle) as (http, _):
        told = (await http.get("/about")).json()
        answer = await http.post("/trace", json={"image": [[0.5] * 12]})
    assert told["samples"] == [
        {"name": "golden sample 0", "number": 0, "label": None, "events": as_json(sample())}
    ]
    assert told["drawing"] is None
    assert told["classes"] == list("0123")
    assert answer.status_code == 400
    assert answer.json() == {
        "error": "image: this network's input is no image of a known coding; send 'events'"
    }


def test_an_image_of_a_known_coding_can_be_drawn():
    model = chain(sizes=(784, 8, 4)).model
    shaped = na.Model(1000, (1, 28, 28), model.populations, model.connections, "output")
    drawing = drawing_of(na.Bundle(shaped, meta={"coding": "latency"}))
    assert (drawing.height, drawing.width, drawing.centre) == (28, 28, "mass")
    assert drawing_of(na.Bundle(shaped)) is None
    assert drawing_of(na.Bundle(shaped, meta={"coding": "delta"})) is None


EVENTS = {"t_us": [0], "index": [0]}
KEYS = ("events", "image", "policy", "group_size", "until", "input", "seed", "number")
NUMBERS = st.integers(-(2**70), 2**70) | st.integers(0, 70) | st.floats(allow_nan=False)
LEAVES = st.none() | st.booleans() | NUMBERS | st.text(max_size=8) | st.sampled_from(["fifo"])
EVENT_MAPS = st.fixed_dictionaries(
    {"t_us": st.lists(NUMBERS, max_size=3), "index": st.lists(NUMBERS, max_size=3)}
)
IMAGES = st.lists(st.lists(st.floats(0, 1), min_size=8, max_size=8), min_size=8, max_size=8)
JSON = EVENT_MAPS | IMAGES | st.recursive(LEAVES, lambda of: st.lists(of, max_size=3), max_leaves=6)
BAD = {
    "not json": ("{", r"^the body is not JSON: "),
    "not utf-8": (b"\xff\xfe\xfd", r"^the body is not JSON: "),
    "nan": ('{"events": NaN}', r"^the body is not JSON: NaN is not JSON"),
    "deep": ("[" * 100_000, r"^the body is nested too deeply, expected a JSON object"),
    "huge number": ("9" * 10_000, r"^the body is not JSON: "),
    "a list": ([], r"^the body is a JSON list, expected an object"),
    "unknown": ({"events": EVENTS, "polcy": 1}, r"^'polcy': unknown, expected some of events, "),
    "neither": ({}, r"^expected either 'events' or 'image'"),
    "both": ({"events": EVENTS, "image": []}, r"^expected either 'events' or 'image'"),
    "events": ({"events": [1]}, r"^events: \[1\], expected \{'t_us': \[..\], 'index': \[..\]\}"),
    "no list": ({"events": {"t_us": 0, "index": [0]}}, r"^events.t_us: expected a list of at most"),
    "many": (
        {"events": {"t_us": [0] * 20_001, "index": [0] * 20_001}},
        r"^events.t_us: expected a list of at most 20000 integers",
    ),
    "lengths": ({"events": {"t_us": [0], "index": []}}, r"^index: 0 events, expected 1"),
    "text": ({"events": {"t_us": ["a"], "index": [0]}}, r"^t_us: <U1 of shape \(1,\), expected"),
    "ragged": ({"events": {"t_us": [[0], 0], "index": [0]}}, r"^t_us: \[\[0\], 0\], expected a"),
    "index": ({"events": {"t_us": [0], "index": [64]}}, r"^index\[0\]: 64, expected 0 to 63"),
    "late": (
        {"events": {"t_us": [10**10], "index": [0]}},
        r"^events.t_us\[0\]: 10000000000, expected below 1000000: 1000 timesteps of 1000 µs",
    ),
    "rows": ({"image": [[0.0] * 8] * 7}, r"^image: expected 8 rows of 8 numbers from 0 to 1"),
    "columns": ({"image": [[0.0] * 8] * 7 + [[0.0]]}, r"^image\[7\]: expected 8 numbers"),
    "cell": ({"image": [[0.0] * 7 + [1.5]] * 8}, r"^image\[0\]\[7\]: 1.5, expected a number from"),
    "true": ({"image": [[True] * 8] * 8}, r"^image\[0\]\[0\]: True, expected a number from 0 to"),
    "policy": ({"events": EVENTS, "policy": "lifo"}, r"^policy 'lifo' is unknown, expected one of"),
    "policy type": ({"events": EVENTS, "policy": 1}, r"^policy: 1, expected text"),
    "F": ({"events": EVENTS, "group_size": 0}, r"^group_size: 0, expected an integer from 1"),
    "rule": ({"events": EVENTS, "until": "soon"}, r"^until: 'soon', expected quiet, "),
    "input": ({"events": EVENTS, "input": "last"}, r"^input: 'last', expected 'prioritised' or"),
    "seed": ({"events": EVENTS, "seed": -1}, r"^seed: -1, expected an integer from 0 to 2\*\*53"),
    "number": ({"events": EVENTS, "number": 0.5}, r"^number: 0.5, expected an integer from 0"),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_question_is_answered_with_what_would_be_right(name):
    body, message = BAD[name]
    raw = body if isinstance(body, str | bytes) else json.dumps(body)
    async with client(shipped_bundle("unlayered")) as (http, _):
        answer = await http.post("/trace", content=raw)
        after = await http.post("/trace", json={"events": EVENTS})
    assert answer.status_code == 400
    assert re.match(message, answer.json()["error"]), answer.json()
    assert after.status_code == 200


@pytest.mark.parametrize("value", [0, -1, 2.5, 8.0, True, "8", "", [1], {}, 2**62 + 1])
async def test_a_group_size_is_judged_as_the_library_judges_it(value):
    async with client(shipped_bundle("unlayered")) as (http, network):
        with pytest.raises(ValueError, match=r"^group_size: ") as refusal:
            await network.decide(shipped_spikes()[0], group_size=value)
        answer = await http.post("/trace", json={"events": EVENTS, "group_size": value})
    assert answer.status_code == 400
    assert answer.json() == {"error": str(refusal.value)}


@pytest.mark.parametrize("name", ["group_size", "policy", "seed", "events", "image"])
def test_a_field_nested_as_deep_as_json_is_read_is_explained(name):
    bundle = shipped_bundle("unlayered")
    for depth in range(500, 1100):
        body = {"events": EVENTS, name: 0} if name != "image" else {"image": 0}
        raw = json.dumps(body).replace(f'"{name}": {json.dumps(body[name])}', f'"{name}": @')
        with pytest.raises(ValueError, match=rf"^({name}: |the body is nested too deeply)"):
            read_request(raw.replace("@", "[" * depth + "]" * depth).encode(), bundle)


async def test_the_largest_group_size_is_taken():
    async with client(shipped_bundle("unlayered")) as (http, _):
        answer = await http.post("/trace", json={"events": EVENTS, "group_size": 2**62})
    assert answer.status_code == 200
    assert answer.json()["run"]["group_size"] == 2**62


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), JSON, max_size=4))
def test_any_json_is_a_question_or_explained(fields):
    body = json.dumps(fields).encode()
    with contextlib.suppress(ValueError):  # what it says is the table's above
        asked = read_request(body, shipped_bundle("unlayered"))
        assert set(fields) <= set(KEYS)
        assert asked.events.index.max(initial=0) < 64


async def test_a_large_body_is_refused_before_it_is_read():
    async with client(shipped_bundle("unlayered")) as (http, _):
        answer = await http.post("/trace", content=b" " * (2**20 + 1))
    assert answer.status_code == 413
    assert answer.json() == {"error": "a body above 1048576 bytes; send a smaller sample"}


async def test_more_traces_than_there_may_be_are_told_to_come_again(monkeypatch):
    monkeypatch.setattr(page, "_MAX_AT_ONCE", 1)
    body = {"events": as_json(shipped_spikes()[0])}
    async with client(shipped_bundle("unlayered")) as (http, _):
        answers = await asyncio.gather(*(http.post("/trace", json=body) for _ in range(4)))
        after = await http.post("/trace", json=body)
    assert sorted(answer.status_code for answer in answers) == [200, 503, 503, 503]
    assert after.status_code == 200


async def test_a_network_that_is_not_open_answers_503():
    network = na.Network(shipped_bundle("unlayered"))
    transport = httpx.ASGITransport(app=Starlette(routes=page_routes(network)))
    async with httpx.AsyncClient(transport=transport, base_url="http://page") as http:
        answer = await http.post("/trace", json={"events": EVENTS})
    assert answer.status_code == 503
    assert "not open" in answer.json()["error"]


async def test_who_is_not_known_sees_nothing_of_the_network():
    def knows(request):
        return request.headers.get("authorization") == "Bearer open sesame"

    shown = {"Authorization": "Bearer open sesame"}
    async with client(shipped_bundle("unlayered"), knows=knows) as (http, _):
        assert (await http.get("/")).status_code == 200
        assert (await http.get("/about", headers=shown)).status_code == 200
        for answer in (
            await http.get("/about"),
            await http.post("/trace", json={"events": EVENTS}),
        ):
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json()["error"].endswith("opened as /?token=TOKEN")


async def test_every_file_is_served_under_a_strict_policy_and_revalidated():
    async with client(shipped_bundle("unlayered")) as (http, _):
        for path in ["/", "/about", *(f"/page/{file.name}" for file in STATIC.iterdir())]:
            if path == "/page/index.html":
                continue
            answer = await http.get(path)
            assert answer.status_code == 200
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            if path == "/about":
                continue
            again = await http.get(path, headers={"If-None-Match": answer.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
        assert (await http.get("/page/nothing.js")).status_code == 404
        assert (await http.get("/page/../routes.py")).status_code == 404


def test_the_page_names_no_outside_host_and_no_file_that_is_not_there():
    names = {file.name for file in STATIC.iterdir()}
    for file in STATIC.iterdir():
        text = file.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"^\s*//.*$|\s// .*$", "", text, flags=re.M), file.name
        for name in re.findall(r'(?:page/|from "\./)([\w.]+)"', text):
            assert name in names
