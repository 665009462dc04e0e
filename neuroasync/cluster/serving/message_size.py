"""The limit of the size of websocket messages, which Ray Serve's proxy does not apply."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["MessageSizeLimit"]

_TOO_BIG: Final = 1009


class MessageSizeLimit:
    """A middleware that closes websockets whose client sends a message that is too large.

    Args:
        app: the app that gets the other messages.
        max_bytes: maximum size of a message.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app with messages that are checked."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return

        async def receive_checked() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and self._is_too_large(message):
                reason = f"a message must have at most {self._max_bytes} bytes"
                await send({"type": "websocket.close", "code": _TOO_BIG, "reason": reason})
                return {"type": "websocket.disconnect", "code": _TOO_BIG}
            return message

        await self._app(scope, receive_checked, send)

    def _is_too_large(self, message: Message) -> bool:
        text: str | None = message.get("text")
        data: bytes = message["bytes"] if text is None else text.encode()
        return len(data) > self._max_bytes
