"""Ownership of a session's current sample: one user at a time, by revocable leases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from types import TracebackType
from typing import Literal, Protocol, Self

from neuroasync.core.snapshot.stream_snapshot import StreamState
from neuroasync.runtime.loop_guard import LoopGuard, running_loop

__all__ = ["Lease", "Owner", "SampleOwnership"]


class Owner(Enum):
    """The user of a session's current sample.

    While a call, or one step of a watch or a stream, is running, the session is busy: every
    other call raises RuntimeError. Each member says what a new
    call does while the session is not busy.
    """

    NOBODY = "nobody"
    """No call is running and no watch or stream is open. The sample may already have events from
    :meth:`Session.send`. A call or a watch continues it; a stream discards it."""

    CALL = "call"
    """A call such as ``send`` or ``decide`` is running, so the session is busy. When the call
    returns, the owner is NOBODY again; an exception or a cancellation also discards the sample."""

    WATCH = "watch"
    """A :meth:`Session.watch` iterator uses the sample until it has yielded the final decision.
    Between two steps, a new call evicts it: the sample is discarded, and the next step of the
    iterator raises RuntimeError."""

    STREAM = "stream"
    """A :meth:`Session.stream` iterator uses this sample and the ones that follow, until the
    stream ends. A new call evicts it in the same way as a watch."""

    SNAPSHOT = "snapshot"
    """The sample was restored from a snapshot that was taken within a stream. A stream takes it
    over and continues it (the owner becomes STREAM); every other call discards it."""


class SavableStream(Protocol):
    """A stream with a window; a snapshot can save its state."""

    def save(self) -> StreamState:
        """Return the state from which another session can continue the stream."""


class SampleOwnership:
    """The state that decides who may use the current sample of a session.

    It is the context manager around the step of a call, after :meth:`acquire_for_call`. Leaving the
    block by an exception abandons the sample.

    Args:
        check_open: raises ClosedError if the session is closed.
        loop_guard: the guard of the network's event loop.
        abandon: discards the current sample and starts a new one from rest.
    """

    __slots__ = ("_abandon", "_call_lease", "_check_open", "_is_busy", "_lease", "_loop_guard")

    def __init__(
        self,
        check_open: Callable[[], None],
        loop_guard: LoopGuard,
        abandon: Callable[[], None],
    ) -> None:
        self._check_open = check_open
        self._loop_guard = loop_guard
        self._abandon = abandon
        self._is_busy = False
        # All calls share one lease, which is the current one while there is no other owner.
        self._call_lease = Lease(self, Owner.CALL)
        self._lease = self._call_lease

    @property
    def owner(self) -> Owner:
        """The current owner of the sample."""
        if self._lease is self._call_lease and not self._is_busy:
            return Owner.NOBODY
        return self._lease.owner

    @property
    def lease(self) -> Lease:
        """The current lease: the one of all calls if no watch or stream owns the sample."""
        return self._lease

    @property
    def is_busy(self) -> bool:
        """Whether a call, or a step of a watch or a stream, is running."""
        return self._is_busy

    def check_usable(self) -> None:
        """Check that a call to the session may begin now.

        Raises:
            ClosedError: the session is closed.
            RuntimeError: the session is busy, or the network is open in another event loop.
        """
        self._check_open()
        # Every call of a session passes here; the test first avoids a call of a method.
        if running_loop() is not self._loop_guard.loop:
            self._loop_guard.check_caller()
        if self._is_busy:
            raise RuntimeError(
                "the session is busy with a call from another task; open a session for each task"
            )

    def check_loop(self) -> None:
        """Check that the network's event loop is running here, as a watch or a stream requires.

        Raises:
            ClosedError: another loop is running, and the session is closed.
            RuntimeError: another loop is running, and the network is open in its own.
        """
        if running_loop() is not self._loop_guard.loop:
            self._check_open()
            self._loop_guard.check_running()

    def acquire_for_call(self) -> Self:
        """Make a call the owner of the sample, and return the context manager of its step.

        A watch, a stream or a restored stream that owned the sample is evicted, and its sample is
        abandoned. The step must begin before the caller awaits anything.

        Raises:
            ClosedError: the session is closed.
            RuntimeError: the session is busy, or the network is open in another event loop.
        """
        self.check_usable()
        if self._lease is not self._call_lease:
            self._abandon()
            self._lease = self._call_lease
        return self

    def __enter__(self) -> None:
        """Begin the step of a call, which was checked when it became the owner."""
        self._is_busy = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the step of the call, and abandon the sample if there was an exception."""
        self._is_busy = False
        if kind is not None:
            self.abandon(self._call_lease)

    def acquire(self, owner: Literal[Owner.WATCH, Owner.STREAM, Owner.SNAPSHOT]) -> Lease:
        """Make ``owner`` the owner of the sample and return a new lease.

        The owner before it is evicted as by :meth:`acquire_for_call`. A stream always starts with
        a new sample, unless it continues a restored one.

        Raises:
            ClosedError: the session is closed.
            RuntimeError: the session is busy, or the network is open in another event loop.
        """
        self.check_usable()
        if owner is Owner.STREAM:
            if self._lease.owner is not Owner.SNAPSHOT:
                self._abandon()
        elif self._lease is not self._call_lease:
            self._abandon()
        self._lease = Lease(self, owner)
        return self._lease

    def check(self, lease: Lease) -> None:
        """Check that ``lease`` may be used now.

        Raises:
            ClosedError: the session is closed.
            RuntimeError: the session is busy, another call has taken over the sample, or the
                network is open in another event loop.
        """
        self.check_usable()
        if self._lease is not lease:
            raise RuntimeError(
                "the session was used by another call while this watch or stream was running; "
                "its current sample was discarded"
            )

    def begin_step(self, lease: Lease) -> None:
        """Mark the session as busy for the owner of ``lease``; raise as :meth:`check`."""
        self.check(lease)
        self._is_busy = True

    def end_step(self, lease: Lease, has_failed: bool) -> None:
        """Mark the session as idle; discard the sample if the step failed."""
        self._is_busy = False
        if has_failed:
            self.abandon(lease)

    def release(self, lease: Lease) -> None:
        """Leave the sample without an owner, if ``lease`` is the current one."""
        if self._lease is lease:
            self._lease = self._call_lease

    def abandon(self, lease: Lease) -> None:
        """Discard the sample, if ``lease`` is the current one and the session is open."""
        if self._lease is not lease:
            return
        self._lease = self._call_lease
        self._abandon()


class Lease:
    """A revocable right to use the current sample of a session.

    A lease is a context manager around one step (everything that must not overlap with another
    call). Leaving the block by an exception abandons the sample. A watch or a stream keeps its
    lease between steps; if another call evicts it, the next step raises RuntimeError.

    Attributes:
        owner: the kind of user that the lease was given to.
        stream: the open stream that a snapshot must include, or None. It is stored here so that
            it is released together with the lease.
        restored: the stream of a restored snapshot that nothing has continued yet, or None.
    """

    __slots__ = ("_ownership", "owner", "restored", "stream")

    def __init__(self, ownership: SampleOwnership, owner: Owner) -> None:
        self._ownership = ownership
        self.owner = owner
        self.stream: SavableStream | None = None
        self.restored: StreamState | None = None

    def check(self) -> None:
        """Check that the lease is current and the session idle.

        Raises:
            ClosedError: the session is closed.
            RuntimeError: the session is busy, another call has taken over the sample, or the
                network is open in another event loop.
        """
        self._ownership.check(self)

    @contextmanager
    def reserve(self) -> Iterator[None]:
        """Keep other calls away while the arguments of a call are checked.

        The block must not change the sample. An error in it leaves the sample as it is; a
        cancellation abandons it.

        Raises:
            ClosedError: the session was closed meanwhile.
        """
        self._ownership.begin_step(self)
        is_cancelled = True
        try:
            yield
            is_cancelled = False
        except Exception:
            is_cancelled = False
            raise
        finally:
            self._ownership.end_step(self, is_cancelled)
        self._ownership.check(self)

    def __enter__(self) -> None:
        """Begin a step; raise as :meth:`check`."""
        self._ownership.begin_step(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the step, and abandon the sample if there was an exception."""
        self._ownership.end_step(self, kind is not None)

    def release(self) -> None:
        """Give up the lease; the sample stays as it is. Does nothing if the lease was revoked."""
        self._ownership.release(self)

    def abandon(self) -> None:
        """Give up the lease and discard the sample. Does nothing if the lease was revoked."""
        self._ownership.abandon(self)
