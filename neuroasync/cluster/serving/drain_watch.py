"""The end of a gateway that Ray Serve stops: its clients first get their answers."""

import asyncio
import logging
from typing import Any, Final

import ray
from ray import serve
from ray.exceptions import RayError

from neuroasync.serve.server_state import ServerState

__all__ = ["drain_when_stopped"]

log: Final = logging.getLogger("neuroasync.serve")

_PERIOD_S: Final = 1.0
"""Time between two questions to the controller, s."""


async def drain_when_stopped(server_state: ServerState) -> None:
    """Wait until Ray Serve stops this gateway, then drain its server.

    Ray Serve waits until the connections have ended, 20 s by default, but tells nothing to the code
    of a deployment. Its controller tells who asks for it.

    Cancellation: safe; if it was draining already, the server still refuses new work.
    """
    context = serve.get_replica_context()
    try:
        controller = ray.get_actor("SERVE_CONTROLLER_ACTOR", namespace="serve")
        while not await _is_stopping(controller, context):  # noqa: ASYNC110  # it has no event
            await asyncio.sleep(_PERIOD_S)
    except Exception:
        log.exception("the gateway will end without draining, because the controller has changed")
        return
    await server_state.drain()


async def _is_stopping(controller: Any, context: Any) -> bool:
    try:
        details = await controller.get_serve_instance_details.remote()
    except RayError:
        return False  # Ray restarts a controller that has died.
    application = details["applications"].get(context.app_name, {"deployments": {}})
    gateways = application["deployments"].get(context.deployment, {"replicas": []})["replicas"]
    states = {gateway["replica_id"]: gateway["state"] for gateway in gateways}
    return states.get(context.replica_tag) == "STOPPING"
