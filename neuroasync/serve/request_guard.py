"""Refuse requests that a web page of another origin makes a browser send.

Without a token, everyone who reaches a server may use it. A browser reaches servers that others do
not, such as those of its own machine, and sends requests for every page that it shows. The headers
``Origin`` and ``Host`` tell such requests apart, and no page can choose them.

Starlette has a middleware for ``Host``, but it knows neither addresses nor websockets, and its
response does not say what to do.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Collection, Iterable
from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from neuroasync.core.model.checks import must_be, shown
from neuroasync.runtime.cpu_time.time_slice import TimeSlice

__all__ = ["RequestGuard", "check_hosts", "check_origins"]

_DENIAL: Final = "websocket.http.response"
"""Extension of ASGI for refusing a websocket with a whole response."""

_RESPONSE_STARTS: Final = ("http.response.start", f"{_DENIAL}.start")
_NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
_POLICY_VIOLATION: Final = 1008
_SLICE_S: Final = 2e-3
"""How long requests may take to begin in one turn of the event loop, in seconds."""

_HOST_PATTERN: Final = re.compile(r"(\*\.)?[\w-]+(\.[\w-]+)*|\[[0-9A-Fa-f:.]+\]", re.ASCII)
_HOST_HEADER: Final = re.compile(r"(\[[^\]]*\]|[^:]*)(:\d*)?")
_ORIGIN_PATTERN: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#@\s]+")


class RequestGuard:
    """A middleware that checks ``Host`` and ``Origin``, and forbids guessing of content types.

    A request without ``Origin`` does not come from a page of another origin. These hosts are
    accepted, because no other site can have them: IP addresses, names without a dot, names that end
    with ``.localhost``, and the name of this machine.

    Args:
        app: The app that answers the accepted requests.
        allow_hosts: Further names, such as ``"neuro.example.com"`` or ``"*.example.com"``, or
            ``"*"`` for all.
        allow_origins: Origins such as ``"https://example.com"``, or ``"*"`` for all.
        on_refused: Called with ``"host"`` or ``"origin"`` and the address of a refused client.

    Raises:
        ValueError: A name or an origin is invalid.
    """

    def __init__(
        self,
        app: ASGIApp,
        allow_hosts: Collection[str],
        allow_origins: Collection[str],
        on_refused: Callable[[str, str], None],
    ) -> None:
        self._app = app
        self._hosts = check_hosts(allow_hosts)
        self._origins = check_origins(allow_origins)
        self._machine = socket.gethostname().lower()
        self._on_refused = on_refused
        # Thousands of requests may arrive in one turn of the event loop. It must not take long,
        # because open websockets and the health check wait for its end.
        self._slice = TimeSlice(_SLICE_S)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def send_checked(message: Message) -> None:
            if message["type"] in _RESPONSE_STARTS:
                headers = message["headers"] = list(message.get("headers", ()))
                if _NOSNIFF not in headers:
                    headers.append(_NOSNIFF)
            await send(message)

        refusal = self._refusal(scope["headers"])
        if refusal is None:
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            if path != "/health" and self._slice.must_wait():
                await self._slice.wait_turn()
            await self._app(scope, receive, send_checked)
            return
        reason, error = refusal
        client = scope.get("client")
        self._on_refused(reason, "" if client is None else "{}:{}".format(*client))
        if scope["type"] == "websocket" and _DENIAL not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        else:
            await JSONResponse({"error": error}, 403)(scope, receive, send_checked)

    def _refusal(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, str] | None:
        """Return a reason and an error, or None if the request is accepted."""
        host = origin = None
        for key, value in headers:
            if key == b"host":
                host = value.decode("latin-1")
            elif key == b"origin":
                origin = value.decode("latin-1")
        # HTTP/1.0 knows no header ``Host``. Browsers always send it.
        if host is not None and not self._is_host_allowed(_host_name(host)):
            return "host", (
                f"the host {_host_name(host)!r:.200} is not allowed; allow it with the option "
                "--allow-host of the server (`allow_hosts` of create_app)"
            )
        if origin is not None and not self._is_origin_allowed(origin, host):
            return "origin", (
                f"pages of the origin {origin!r:.200} may not use this server; allow it with the "
                "option --allow-origin of the server (`allow_origins` of create_app)"
            )
        return None

    def _is_host_allowed(self, name: str) -> bool:
        if _is_local_name(name) or name in self._hosts or "*" in self._hosts:
            return True
        if name in (self._machine, f"{self._machine}.local"):
            return True
        return any(h.startswith("*.") and name.endswith(h[1:]) for h in self._hosts)

    def _is_origin_allowed(self, origin: str, host: str | None) -> bool:
        if "*" in self._origins or origin.lower() in self._origins:
            return True
        # The scheme may differ, because a proxy may have received the request over TLS.
        _, found, authority = origin.lower().partition("://")
        return bool(found) and host is not None and authority == host.lower()


def check_hosts(names: Collection[str]) -> frozenset[str]:
    """Return host names in lower case.

    Raises:
        ValueError: A value is no host name.
    """
    for name in _listed("allow_hosts", names):
        if name != "*" and not _HOST_PATTERN.fullmatch(name):
            raise ValueError(
                f"a host must be a name such as example.com or *.example.com, without a scheme and "
                f"a port, got {name!r:.80}"
            )
    return frozenset(name.lower() for name in names)


def check_origins(origins: Collection[str]) -> frozenset[str]:
    """Return origins in lower case.

    Raises:
        ValueError: A value is no origin.
    """
    for origin in _listed("allow_origins", origins):
        if origin not in ("*", "null") and not _ORIGIN_PATTERN.fullmatch(origin):
            raise ValueError(
                f"an origin must have a scheme, a host and no path, such as "
                f"https://example.com or http://localhost:3000, got {origin!r:.80}"
            )
    return frozenset(origin.lower() for origin in origins)


def _listed(name: str, texts: Collection[str]) -> Collection[str]:
    """Return texts; a single one would be read as a list of letters."""
    is_list = isinstance(texts, Collection) and not isinstance(texts, str)
    if not is_list or not all(isinstance(text, str) for text in texts):
        raise ValueError(must_be(name, "a list of texts", shown(texts)))
    return texts


def _host_name(host: str) -> str:
    """Return the name in a header ``Host``, without the port and a final dot."""
    match = _HOST_HEADER.fullmatch(host.lower())
    return host if match is None else match[1].removesuffix(".")


def _is_local_name(name: str) -> bool:
    """Return whether no web site can have a name: an address, or a name outside the public DNS."""
    if "." not in name and ":" not in name:
        return True
    if name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
