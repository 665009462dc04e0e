"""What the actors of a schedule share: the network, the disturbances, and the rules for errors."""

from collections.abc import Awaitable
from dataclasses import dataclass
from random import Random
from typing import Any

from neuroasync import ClosedError, Network, PopulationError
from tests.simulation.disturbances import Disturbances, Outcome, PlannedError

__all__ = ["Actor", "LeftError", "Setting", "World"]


@dataclass(frozen=True)
class Setting:
    """The network of a schedule.

    Attributes:
        name: name of its bundle in :mod:`tests.simulation.expected`.
        has_population: whether a custom coroutine replaces the population ``hidden2``.
    """

    name: str
    has_population: bool


class LeftError(Exception):
    """The network was closed on purpose, so that the actor has nothing left to do."""


class World:
    """What the actors of a schedule share.

    Args:
        network: an open network.
        disturbances: the disturbances of the schedule.

    Attributes:
        network, disturbances: as given.
        is_closing: whether the network was closed on purpose.
    """

    def __init__(self, network: Network, disturbances: Disturbances) -> None:
        self.network = network
        self.disturbances = disturbances
        self.is_closing = False

    @property
    def random(self) -> Random:
        """The random numbers of the schedule."""
        return self.disturbances.random

    async def attempt(self, work: Awaitable[Any]) -> Outcome:
        """Run ``work`` under disturbances; raise an error that no disturbance explains.

        Raises:
            LeftError: the network was closed meanwhile.
        """
        outcome = await self.disturbances.attempt(work)
        if outcome.error is not None:
            self.check_planned(outcome.error)
        return outcome

    async def result(self, start: Any) -> Any:
        """Call ``start`` and await the result, again and again until no disturbance prevents it."""
        while True:
            outcome = await self.attempt(start())
            if not outcome.is_cancelled and outcome.error is None:
                return outcome.value

    def check_planned(self, error: BaseException) -> None:
        """Raise ``error`` unless a disturbance has caused it.

        Raises:
            LeftError: it says that the network was closed, which is true.
        """
        if isinstance(error, ClosedError) and self.is_closing:
            raise LeftError from error
        cause = error.__cause__ if isinstance(error, PopulationError) else error
        # The clock may jump by more than a population has time to report.
        if not isinstance(cause, PlannedError | TimeoutError):
            raise error


class Actor:
    """A user of the network, who does one kind of work and checks every result.

    An actor draws its parameters, and computes what it expects, before the schedule begins.
    """

    def __init__(self, random: Random, setting: Setting) -> None:
        """Draw the parameters."""

    async def run(self, world: World) -> None:
        """Do the work."""
        raise NotImplementedError
