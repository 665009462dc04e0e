"""The refusal of objects that cannot be pickled or copied."""

__all__ = ["cannot_copy"]


def cannot_copy(owner: object, remedy: str) -> TypeError:
    """Return the error that ``owner.__reduce__`` raises; ``remedy`` says what to do instead.

    Such an object has addresses of memory, a thread, or belongs to an event loop. A copy would
    share them, or they would mean something else in another process.
    """
    return TypeError(f"a {type(owner).__name__} cannot be pickled or copied; {remedy}")
