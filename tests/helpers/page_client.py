"""An HTTP client of the live page, without sockets."""

import contextlib
from collections.abc import AsyncIterator

import httpx
from starlette.applications import Starlette

import neuroasync as na
from neuroasync.serve.page import page_routes


@contextlib.asynccontextmanager
async def page_client(
    bundle: na.Bundle, **options: object
) -> AsyncIterator[tuple[httpx.AsyncClient, na.Network]]:
    """Open a network, and yield a client of an app with the routes of the page, and the network."""
    async with na.Network(bundle) as network:
        app = Starlette(routes=page_routes(network, **options))
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://page") as http:
            yield http, network
