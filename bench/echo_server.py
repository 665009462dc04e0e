"""A websocket server of uvicorn that answers every message with one of a fixed size.

It is what a server costs that reads no message and decides nothing. Event loop, websocket library
and compression are those of ``neuroasync serve``::

    python -m bench.echo_server ANSWER_BYTES
"""

import asyncio
import socket
import sys
from typing import Any

import uvicorn

__all__ = ["main"]


def main(answer_bytes: int) -> None:
    """Listen at a free port, print the address, and serve until a signal arrives."""
    answer: Any = {"type": "websocket.send", "bytes": bytes(answer_bytes)}

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] == "websocket.receive":
            await send(answer)

    config = uvicorn.Config(
        echo, loop="uvloop", ws="websockets-sansio", ws_per_message_deflate=False,
        lifespan="off", log_config=None, access_log=False, server_header=False,
    )  # fmt: skip
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(uvicorn.Server(config).serve([listener]))


if __name__ == "__main__":
    main(int(sys.argv[1]))
