"""A gateway drains once the controller tells that it is being stopped."""

from types import SimpleNamespace

import pytest
import ray
from ray import serve
from ray.exceptions import RayActorError

from neuroasync.cluster.serving import drain_watch
from neuroasync.cluster.serving.drain_watch import drain_when_stopped


class Server:
    """The state of a server, as far as it drains."""

    def __init__(self):
        self.is_draining = False

    async def drain(self):
        self.is_draining = True


@pytest.fixture
def answers(monkeypatch):
    """The answers of the controller, which is asked without pauses."""
    found = []

    async def answer():
        result = found.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    controller = SimpleNamespace(get_serve_instance_details=SimpleNamespace(remote=answer))
    context = SimpleNamespace(app_name="app", deployment="Gateway", replica_tag="mine")
    missing = [ValueError("no such actor")]

    def get_actor(name, namespace):
        if missing:
            raise missing.pop()
        return controller

    monkeypatch.setattr(ray, "get_actor", get_actor)
    monkeypatch.setattr(serve, "get_replica_context", lambda: context)
    monkeypatch.setattr(drain_watch, "_PERIOD_S", 0.0)
    return found


def details(**states):
    """Return the answer of a controller whose gateways have these states."""
    replicas = [{"replica_id": name, "state": state} for name, state in states.items()]
    return {"applications": {"app": {"deployments": {"Gateway": {"replicas": replicas}}}}}


async def test_gateway_drains_when_it_is_stopped_and_not_before(answers, no_leaks):
    answers += [
        details(mine="RUNNING"),
        RayActorError(),
        {"applications": {}},
        {"applications": {"app": {"deployments": {}}}},
        details(mine="RUNNING", other="STOPPING"),
        details(mine="STOPPING", other="RUNNING"),
        details(),
    ]
    server = Server()
    await drain_when_stopped(server)
    assert server.is_draining
    assert len(answers) == 1


async def test_unexpected_errors_are_logged_once_and_do_not_end_the_watch(
    answers, caplog, no_leaks
):
    answers += [{"apps": {}}, {"applications": None}, details(mine="STOPPING")]
    server = Server()
    await drain_when_stopped(server)
    assert server.is_draining
    (record,) = caplog.records
    assert "may end without draining" in record.message
