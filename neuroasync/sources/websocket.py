"""A source that receives events as a websocket client."""

from typing import TYPE_CHECKING, Final

from neuroasync import limits
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.model.checks import check_int, must_be, shown
from neuroasync.errors import EventsError, MessageError, SourceError
from neuroasync.messages import EventMessage, parse_events
from neuroasync.sources.base import Source

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

__all__ = ["WebsocketSource"]

_CLOSE_TIMEOUT_S: Final = 1.0


class WebsocketSource(Source):
    """A client of a websocket server that sends events; needs the extra ``websocket``.

    Each message is one chunk in the format of :mod:`neuroasync.messages`; ``"end": true`` ends the
    stream. A message that violates the format, names an input that the network does not have, or
    goes back in time is skipped entirely and counted in ``counts.malformed``. A message above
    ``max_bytes`` ends the connection. At most about 16 messages are read ahead, so that a slow
    reader makes the server wait. Closing takes up to a second if the server does not respond or has
    more data in flight.

    Args:
        uri: address of the server, ``ws://..`` or ``wss://..``.
        inputs: number of inputs of the network, ``model.input_size``.
        max_bytes: maximum size of a message.

    Raises:
        ValueError: ``uri`` is not text, or a number is out of range.
        SourceError: the connection cannot be opened (on opening), or was lost (while reading).
        ImportError: on opening: websockets is not installed.
    """

    def __init__(self, uri: str, inputs: int, *, max_bytes: int = limits.MAX_MESSAGE_BYTES) -> None:
        super().__init__()
        if not isinstance(uri, str):
            raise ValueError(must_be("uri", "text such as 'ws://localhost:9000'", shown(uri)))
        self._uri = uri
        self._inputs = check_int("inputs", inputs, 1, limits.MAX_INPUTS, ValueError)
        self._max_bytes = check_int("max_bytes", max_bytes, 1, 2**62, ValueError)
        self._latest_us = 0
        self._has_ended = False
        self._connection: ClientConnection | None = None

    async def _open(self) -> None:
        try:
            from websockets.asyncio.client import connect
            from websockets.exceptions import InvalidURI, WebSocketException
        except ImportError as error:
            raise ImportError(
                "WebsocketSource needs websockets: pip install 'neuroasync[websocket]'"
            ) from error
        if "\0" in self._uri:  # uvloop would connect to what is before it
            raise self._not_an_address("it contains a null character")
        try:
            self._connection = await connect(
                self._uri, max_size=self._max_bytes, close_timeout=_CLOSE_TIMEOUT_S
            )
        except InvalidURI as error:
            raise self._not_an_address(error.msg) from error
        except (OSError, WebSocketException) as error:
            raise SourceError(f"{self._uri}: {error}; cannot connect") from error
        except ValueError as error:  # the host is not valid, or the port is out of range
            raise self._not_an_address(str(error)) from error

    async def _next(self) -> SpikeTrain | None:
        from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK

        while not self._has_ended and self._connection is not None:
            try:
                data = await self._connection.recv()
            except ConnectionClosedOK:
                break
            except ConnectionClosedError as error:
                raise SourceError(f"{self._uri}: {error}; the connection was lost") from error
            if (message := self._checked(data)) is not None:
                self._has_ended = message.end
                return message.events
        return None

    async def _close(self) -> None:
        if self._connection is not None:
            try:
                await self._connection.close()
            except BaseException:  # cancelled while the server does not respond
                self._connection.transport.abort()
                raise

    def _not_an_address(self, reason: str) -> SourceError:
        return SourceError(
            f"{self._uri!r:.200} is not a websocket address ({reason}); it must be one such as "
            "ws://localhost:9000"
        )

    def _checked(self, data: str | bytes) -> EventMessage | None:
        """Return the parsed message, or None if it is malformed."""
        try:
            message = parse_events(data, self._max_bytes)
            message.events.check_indices(self._inputs)
        except (MessageError, EventsError):
            self.counts.malformed += 1
            return None
        t_us = message.events.t_us
        if t_us.size:
            if t_us[0] < self._latest_us:
                self.counts.malformed += 1
                return None
            self._latest_us = int(t_us[-1])
        return message
