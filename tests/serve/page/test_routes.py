"""The routes of the live page: /about, /trace, and its static files."""

import asyncio
import json
import re
from importlib.resources import files
from pathlib import Path

import httpx
import numpy as np
import pytest
from starlette.applications import Starlette

import neuroasync as na
from neuroasync.datasets import load_dataset
from neuroasync.datasets.images import encode_image
from neuroasync.serve.page import page_routes, routes
from neuroasync.serve.page.drawing import drawing_for
from neuroasync.shipped import shipped_bundle, shipped_spikes
from tests.helpers.page_client import page_client
from tests.helpers.small_networks import chain, sample

STATIC = Path(str(files("neuroasync.serve.page").joinpath("static")))
FILES = {file.relative_to(STATIC).as_posix(): file for file in STATIC.rglob("*.*")}


def as_json(events):
    """Return a train as the JSON object of a request."""
    return {"t_us": events.t_us.tolist(), "index": events.index.tolist()}


def golden_of(bundle, events):
    """Return the bundle with the events as its only golden sample."""
    return na.Bundle(bundle.model, golden=(na.GoldenSample(events),), meta=bundle.meta)


async def test_trace_has_the_decision_of_decide():
    events = shipped_spikes()[17]
    run = {"policy": "momentum", "group_size": 4, "until": "margin(3)", "input": "queued"}
    async with page_client(shipped_bundle("unlayered")) as (http, network):
        answer = await http.post("/trace", json={"events": as_json(events), "number": 17, **run})
        decision = await network.decide(events, seed=na.sample_seed(0, 17), **run)
    assert answer.status_code == 200
    response = answer.json()
    assert response["decision"] == {
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
    assert response["run"] == {**run, "seed": 0, "number": 17}
    assert response["moments"]["rounds"][-1] == decision.rounds
    assert len(response["spikes"]["neuron"]) == decision.total_spikes
    assert response["events"] == as_json(events)
    assert response["populations"][0] == {"name": "hidden1", "size": 64}


async def test_seed_and_number_determine_the_random_order():
    body = {"events": as_json(shipped_spikes()[17]), "policy": "random", "until": "quiet"}
    async with page_client(shipped_bundle("layered-paper")) as (http, network):
        for seed, number in ((0, 0), (0, 17), (5, 17)):
            answer = await http.post("/trace", json={**body, "seed": seed, "number": number})
            order_seed = na.sample_seed(seed, number)
            run = {"policy": "random", "until": "quiet"}
            decision = await network.decide(shipped_spikes()[17], seed=order_seed, **run)
            assert answer.json()["decision"]["spikes"] == decision.total_spikes


async def test_run_options_default_to_those_of_the_network():
    async with page_client(shipped_bundle("queued")) as (http, _):
        response = (await http.post("/trace", json={"events": as_json(shipped_spikes()[0])})).json()
    run = {"policy": "momentum", "group_size": 8, "until": "quiet", "input": "queued"}
    assert response["run"] == {**run, "seed": 0, "number": 0}


@pytest.mark.parametrize("coding", ["rate", "latency"])
def test_image_is_encoded_like_those_of_the_data_set(coding):
    digits = load_dataset("digits", coding=coding)
    numbers = digits.split.test[:5]
    with np.load(files("neuroasync").joinpath("data/digits.npz")) as arrays:
        images = arrays["images"] / 16
    for k, number in enumerate(numbers.tolist()):
        assert (
            encode_image(images[number], coding, number)
            == shipped_spikes("digits" if coding == "rate" else "digits-latency")[k]
        )


async def test_drawn_image_becomes_events_and_a_decision():
    image = np.zeros((8, 8))
    image[1:7, 3:5] = 0.8
    body = {"image": image.tolist(), "seed": 3, "policy": "layer-sync"}
    async with page_client(shipped_bundle("unlayered")) as (http, network):
        response = (await http.post("/trace", json=body)).json()
        events = encode_image(image, "rate", 0, 3)
        decision = await network.decide(events, seed=na.sample_seed(3, 0), policy="layer-sync")
    assert response["events"] == as_json(events)
    assert response["decision"]["votes"] == decision.votes.tolist()


async def test_about_describes_the_network_and_its_default_run():
    bundle = shipped_bundle("unlayered")
    async with page_client(bundle) as (http, _):
        response = (await http.get("/about")).json()
    assert response["digest"] == bundle.digest.hex()
    assert [p["name"] for p in response["populations"]] == [
        "hidden1",
        "hidden2",
        "hidden3",
        "output",
    ]
    assert response["output"] == "output"
    assert response["classes"] == list("0123456789")
    assert response["input"] == {"shape": [8, 8], "size": 64}
    default = {"policy": "random", "group_size": 8, "input": "prioritised", "until": "quiet"}
    assert response["default"] == default
    assert response["chosen_until"] in response["until"]
    assert response["drawing"]["coding"] == "rate"
    assert [s["label"] for s in response["samples"]] == list("0123456789")
    labels, spikes = shipped_spikes().labels, shipped_spikes()
    for listed_sample in response["samples"]:
        assert labels[listed_sample["number"]] == int(listed_sample["label"])
        assert listed_sample["events"] == as_json(spikes[listed_sample["number"]])


async def test_every_offered_stop_rule_and_policy_is_accepted():
    async with page_client(shipped_bundle("unlayered")) as (http, _):
        about = (await http.get("/about")).json()
        events = about["samples"][0]["events"]
        runs = [{"until": rule} for rule in about["until"]]
        runs += [{"policy": policy} for policy in about["policies"]]
        for run in runs:
            assert (await http.post("/trace", json={"events": events, **run})).status_code == 200


async def test_network_of_other_data_offers_golden_samples_and_refuses_images():
    bundle = golden_of(chain(), sample())
    async with page_client(bundle) as (http, _):
        response = (await http.get("/about")).json()
        answer = await http.post("/trace", json={"image": [[0.5] * 12]})
    assert response["samples"] == [
        {"name": "golden sample 0", "number": 0, "label": None, "events": as_json(sample())}
    ]
    assert response["drawing"] is None
    assert response["classes"] == list("0123")
    assert answer.status_code == 400
    assert answer.json() == {
        "error": "`image` needs a network whose input is an image of a known coding; send `events`"
    }


def test_only_images_of_a_known_coding_can_be_drawn():
    model = chain(sizes=(784, 8, 4)).model
    shaped = na.Model(1000, (1, 28, 28), model.populations, model.connections, "output")
    drawing = drawing_for(na.Bundle(shaped, meta={"coding": "latency"}))
    assert (drawing.height, drawing.width, drawing.centre) == (28, 28, "mass")
    assert drawing_for(na.Bundle(shaped)) is None
    assert drawing_for(na.Bundle(shaped, meta={"coding": "delta"})) is None


EVENTS = {"t_us": [0], "index": [0]}


async def test_too_large_body_is_refused():
    async with page_client(shipped_bundle("unlayered")) as (http, _):
        answer = await http.post("/trace", content=b" " * (2**20 + 1))
    assert answer.status_code == 413
    assert answer.json() == {
        "error": "the body must have at most 1048576 bytes; send a smaller sample"
    }


async def test_traces_above_the_limit_wait_for_their_turn(monkeypatch):
    monkeypatch.setattr(routes, "_MAX_CONCURRENT_TRACES", 1)
    body = {"events": as_json(shipped_spikes()[0])}
    async with page_client(shipped_bundle("unlayered")) as (http, _):
        answers = await asyncio.gather(*(http.post("/trace", json=body) for _ in range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4


class RawRequest:
    """A request to ``/trace`` whose body arrives when the test sends it."""

    def __init__(self, app):
        self.to_app, self.answers = asyncio.Queue(), []
        scope = {"type": "http", "method": "POST", "path": "/trace", "query_string": b"",
                 "headers": [], "client": ("test", 1)}  # fmt: skip
        self.task = asyncio.create_task(app(scope, self.to_app.get, self.send))

    async def send(self, message):
        self.answers.append(message)

    def send_body(self, body, more):
        self.to_app.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def leave(self):
        self.to_app.put_nowait({"type": "http.disconnect"})


async def test_half_sent_bodies_take_no_place(monkeypatch, no_leaks):
    monkeypatch.setattr(routes, "_MAX_CONCURRENT_TRACES", 1)
    async with na.Network(shipped_bundle("unlayered")) as network:
        app = Starlette(routes=page_routes(network))
        halves = [RawRequest(app) for _ in range(8)]
        for half in halves:
            half.send_body(b"{", more=True)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://page") as http:
            answer = await http.post("/trace", json={"events": EVENTS})
        assert answer.status_code == 200
        for half in halves:
            half.leave()
            await half.task


async def test_client_that_leaves_takes_its_trace_with_it(monkeypatch, no_leaks):
    monkeypatch.setattr(routes, "_MAX_CONCURRENT_TRACES", 1)
    computing, ended = asyncio.Event(), asyncio.Event()

    async def decide_forever(*args, **options):
        computing.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with na.Network(shipped_bundle("unlayered")) as network:
        monkeypatch.setattr(network, "decide", decide_forever)
        app = Starlette(routes=page_routes(network))
        first, second = RawRequest(app), RawRequest(app)
        body = json.dumps({"events": EVENTS}).encode()
        first.send_body(body, more=False)
        await computing.wait()
        second.send_body(body, more=False)  # it waits for its turn, and leaves before that
        second.leave()
        await second.task
        first.leave()
        await first.task
    assert ended.is_set()


async def test_trace_that_uses_too_much_cpu_time_gets_an_error():
    body = {"events": as_json(shipped_spikes()[0])}
    async with page_client(shipped_bundle("unlayered"), max_cpu_s=1e-9) as (http, _):
        answer = await http.post("/trace", json=body)
    assert answer.status_code == 400
    assert "more than 1e-09 s of CPU time" in answer.json()["error"]


async def test_trace_of_a_network_that_is_not_open_gets_status_503():
    network = na.Network(shipped_bundle("unlayered"))
    transport = httpx.ASGITransport(app=Starlette(routes=page_routes(network)))
    async with httpx.AsyncClient(transport=transport, base_url="http://page") as http:
        answer = await http.post("/trace", json={"events": EVENTS})
    assert answer.status_code == 503
    assert "not open" in answer.json()["error"]


async def test_unauthorized_requests_get_nothing_about_the_network():
    def is_authorized(request):
        return request.headers.get("authorization") == "Bearer open sesame"

    headers = {"Authorization": "Bearer open sesame"}
    async with page_client(shipped_bundle("unlayered"), is_authorized=is_authorized) as (http, _):
        assert (await http.get("/")).status_code == 200
        assert (await http.get("/about", headers=headers)).status_code == 200
        for answer in (
            await http.get("/about"),
            await http.post("/trace", json={"events": EVENTS}),
        ):
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json()["error"].endswith("open the page as /?token=TOKEN")


async def test_every_file_has_a_strict_security_policy_and_is_revalidated():
    async with page_client(shipped_bundle("unlayered")) as (http, _):
        for path in ["/", "/about", *(f"/page/{name}" for name in FILES)]:
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


def test_page_refers_to_no_other_host_and_to_no_missing_file():
    for name, file in FILES.items():
        text = file.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"^\s*//.*$|\s// .*$", "", text, flags=re.M), name
        for path in re.findall(r'"page/([\w./]+)"', text):
            assert path in FILES
        for path in re.findall(r'from "(\.[\w./]+)"', text):
            assert (file.parent / path).resolve() in map(Path.resolve, FILES.values())


def test_every_script_and_style_is_used():
    scripts = {"app.js"}
    for file in FILES.values():
        for path in re.findall(r'from "(\.[\w./]+)"', file.read_text("utf-8")):
            scripts.add((file.parent / path).resolve().relative_to(STATIC.resolve()).as_posix())
    assert scripts == {name for name in FILES if name.endswith(".js")}
    styles = set(re.findall(r'"page/([\w./]+\.css)"', FILES["index.html"].read_text("utf-8")))
    assert styles == {name for name in FILES if name.endswith(".css")}
