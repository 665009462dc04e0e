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

    Ray Serve waits until the connections have ended, 20 s by default, but does not notify the code
    of a deployment. This function therefore asks the controller every second.

    Cancellation: safe; if it was draining already, the server still refuses new work.
    """
    context = serve.get_replica_context()
    controller: Any = None
    has_failed = False
    while True:
        try:
            controller = controller or ray.get_actor("SERVE_CONTROLLER_ACTOR", namespace="serve")
            if await _is_stopping(controller, context):
                break
        except RayError:
            pass  # Ray restarts a controller that has died.
        except Exception:
            if not has_failed:
                log.exception("the gateway may end without draining: its state is not known")
            has_failed = True
        await asyncio.sleep(_PERIOD_S)
    await server_state.drain()


async def _is_stopping(controller: Any, context: Any) -> bool:
    details = await controller.get_serve_instance_details.remote()
    application = details["applications"].get(context.app_name, {"deployments": {}})
    gateways = application["deployments"].get(context.deployment, {"replicas": []})["replicas"]
    states = {gateway["replica_id"]: gateway["state"] for gateway in gateways}
    return states.get(context.replica_tag) == "STOPPING"
