"""The static files of the page, with headers that restrict the page to them."""

import hashlib
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

__all__ = ["HEADERS", "asset_routes"]

_MEDIA_TYPES: Final = {
    "css": "text/css",
    "html": "text/html",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}

_POLICY: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}

HEADERS: Final = {
    "Content-Security-Policy": "; ".join(f"{key} {value}" for key, value in _POLICY.items()),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # The browser revalidates each file, so that the files of a page always match its server. The
    # entity tag makes this cheap.
    "Cache-Control": "no-cache",
}
"""Headers of all responses for the page. The page may load from and connect to its server only."""


def asset_routes() -> list[Route]:
    """Return routes for the page at ``/`` and its files at ``/page/PATH``, held in memory."""
    bodies = dict(_read_files(files(__package__).joinpath("static")))
    pages = [_route("/", "index.html", bodies.pop("index.html"))]
    return pages + [_route(f"/page/{path}", path, body) for path, body in sorted(bodies.items())]


def _read_files(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    """Yield the path below the folder and the content of each file."""
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _read_files(entry, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry.read_bytes()


def _route(path: str, name: str, body: bytes) -> Route:
    media_type = _MEDIA_TYPES[name.rpartition(".")[2]]
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {**HEADERS, "ETag": tag}

    async def serve(request: Request) -> Response:
        if request.headers.get("If-None-Match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type=media_type, headers=headers)

    return Route(path, serve, methods=["GET"], name=f"page:{name}")
