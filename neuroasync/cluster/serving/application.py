"""The application for a config file of Ray Serve: ``neuroasync.cluster.serving:app``."""

import os
import socket
from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any, Final

from ray.serve import Application
from ray.serve.exceptions import RayServeException

from neuroasync.cluster.serving.deployment import deployment
from neuroasync.errors import BundleError
from neuroasync.serve import ServerLimits

__all__ = ["app"]

_ARGUMENTS: Final = ("networks", "limits", "when_full", "allow_hosts", "allow_origins")
_ELSEWHERE: Final = {
    "replicas": "set `num_replicas` of the deployment `Replica` instead",
    "token": "set the environment variable NEUROASYNC_TOKEN instead, because Ray logs arguments",
}


def app(args: dict[str, Any]) -> Application:
    """Return the application that a config file or ``serve run`` describes.

    ``serve deploy`` calls this on a machine of the cluster, which reads the bundles and sends them
    to the others. The token that clients must present is ``NEUROASYNC_TOKEN`` in the environment
    of that machine's Ray. The number of replicas is that of the deployment ``Replica`` in the
    config file, by default 2.

    Args:
        args: the ``args`` of the config file: ``networks``, which is a path, the name of a shipped
            network, or a map from names to these; and optionally ``limits``, a map with fields of
            :class:`neuroasync.serve.ServerLimits`, and ``when_full``, ``allow_hosts`` and
            ``allow_origins``, as for :func:`neuroasync.cluster.serving.deployment`.

    Raises:
        RayServeException: a bundle cannot be read, or an argument is missing, unknown or invalid.
            Ray Serve shows this text, and no call stack.
    """
    try:
        _check_names("argument", args, _ARGUMENTS)
        options = dict(args)
        networks = _networks(options.pop("networks", None))
        if "limits" in options:
            options["limits"] = _limits(options["limits"])
        return deployment(networks, token=os.environ.get("NEUROASYNC_TOKEN"), **options)
    except BundleError as error:
        raise RayServeException(
            f"{error} (read on {socket.gethostname()}; use an absolute path that each machine of "
            "the cluster can read)"
        ) from error
    except ValueError as error:
        raise RayServeException(str(error)) from error


def _check_names(kind: str, given: Mapping[str, object], known: Collection[str]) -> None:
    for name in given:
        if name not in known:
            hint = _ELSEWHERE.get(name, f"known are {', '.join(known)}")
            raise ValueError(f"unknown {kind} {name!r:.80}: {hint}")


def _networks(given: object) -> str | dict[str, str]:
    if given is None:
        raise ValueError("`networks` is missing; give the path of a bundle")
    if isinstance(given, str) and given:
        return given
    if isinstance(given, dict) and given and all(isinstance(v, str) for v in given.values()):
        return given
    raise ValueError(
        "`networks` must be the path of a bundle, the name of a shipped network, or a map from "
        f"names to these, got {given!r:.80}"
    )


def _limits(given: object) -> ServerLimits:
    if not isinstance(given, dict):
        raise ValueError(f"`limits` must be a map from names to numbers, got {given!r:.80}")
    _check_names("limit", given, [each.name for each in fields(ServerLimits)])
    return ServerLimits(**given)
