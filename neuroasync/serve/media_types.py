"""The content types and encodings of request bodies."""

from collections.abc import Collection
from typing import Final

from starlette.requests import Request

__all__ = ["JSON", "MSGPACK", "UnsupportedMediaError", "check_media_type"]

JSON: Final = "application/json"
MSGPACK: Final = "application/msgpack"
_MSGPACK_NAMES: Final = ("application/vnd.msgpack", "application/x-msgpack")
_CHARSETS: Final = ("utf-8", "utf8")


class UnsupportedMediaError(ValueError):
    """A body has a content type or an encoding that the server does not understand (status 415)."""


def check_media_type(request: Request, allowed: Collection[str]) -> str:
    """Return the content type of a request, which is JSON if there is none.

    Args:
        request: A request with a body.
        allowed: Types that the route accepts.

    Raises:
        UnsupportedMediaError: The server does not understand the body.
    """
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.strip().lower() != "identity":
        raise UnsupportedMediaError(
            f"the body must not have a content encoding, got {encoding!r:.80}"
        )
    content_type = request.headers.get("content-type", JSON)
    name, _, parameters = content_type.partition(";")
    name = name.strip().lower()
    if name in _MSGPACK_NAMES:
        name = MSGPACK
    if name not in allowed:
        names = " or ".join(allowed)
        raise UnsupportedMediaError(f"the content type must be {names}, got {content_type!r:.80}")
    key, _, charset = parameters.partition(";")[0].partition("=")
    if key.strip().lower() == "charset" and charset.strip('" ').lower() not in _CHARSETS:
        raise UnsupportedMediaError(f"the text must be in UTF-8, got {content_type!r:.80}")
    return name
