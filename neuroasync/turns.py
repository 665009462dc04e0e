"""How long the event loop may be held: one time budget, shared by all sessions of a loop.

A budget for each session would add up: 100 busy sessions of 1 ms each make a turn of the loop
last 100 ms. Here a turn of the loop runs sessions for one budget in all; the others wait their
turn, first come, first served.
"""

import asyncio
import time
from collections import deque
from typing import ClassVar, Final
from weakref import WeakKeyDictionary

__all__ = ["Turns"]

BUDGET_S: Final = 1e-3
_LEAST_WORK: Final = 2000


class Turns:
    """The turns of one event loop. Get it by :meth:`of_running_loop`.

    Attributes:
        deadline: of the turn that is open, by ``time.perf_counter``.
    """

    _by_loop: ClassVar["WeakKeyDictionary[asyncio.AbstractEventLoop, Turns]"] = WeakKeyDictionary()

    def __init__(self) -> None:
        # No reference to the loop: it is the weak key that this is kept by.
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.deadline = 0.0
        self._is_open = False
        self._rate = 1e8

    @classmethod
    def of_running_loop(cls) -> "Turns":
        """The turns of the event loop that runs now."""
        loop = asyncio.get_running_loop()
        turns = cls._by_loop.get(loop)
        if turns is None:
            turns = cls._by_loop[loop] = cls()
        return turns

    def spent(self) -> bool:
        """Whether this turn of the loop has used its budget. Opens a turn if none is."""
        if not self._is_open:
            if self._waiting:
                return True
            self._open()
        return time.perf_counter() > self.deadline

    def work(self) -> int:
        """How many synaptic operations fit into what is left of this turn's budget, at a guess."""
        left = self.deadline - time.perf_counter()
        return max(_LEAST_WORK, int(left * self._rate))

    def measured(self, work: int, seconds: float) -> None:
        """Learn how fast this machine is: ``work`` synaptic operations took ``seconds``."""
        if seconds > 0 and work >= _LEAST_WORK:
            self._rate += (work / seconds - self._rate) / 8

    async def pause(self) -> None:
        """Let the event loop run, and wait for a turn. Cancellation: safe."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        if not self._is_open:
            self._open()
        await turn
        self.deadline = time.perf_counter() + BUDGET_S

    def _open(self) -> None:
        self._is_open = True
        self.deadline = time.perf_counter() + BUDGET_S
        asyncio.get_running_loop().call_soon(self._close)

    def _close(self) -> None:
        """At the next turn of the loop: hand it to whoever waits longest."""
        self._is_open = False
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self._open()
                return
