"""A replica: it holds the networks, and runs samples for the gateway."""

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Mapping
from typing import Final, TypeVar

from neuroasync.cluster.serving.running_sample import RunningSample
from neuroasync.cluster.serving.steps import OtherNetworks, Reply, SampleOptions, SampleStep
from neuroasync.cluster.tasks import Failure
from neuroasync.core.engine.decision import Decision
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.errors import ClosedError, NeuroasyncError
from neuroasync.runtime.network import Network

__all__ = ["Replica"]

log: Final = logging.getLogger("neuroasync.serve")
Result = TypeVar("Result")

_MAX_IDLE_S: Final = 60.0
"""How long a sample may wait for its next chunk, s. The gateway then begins it again."""


class Replica:
    """The networks of one process, and the samples in chunks that it runs.

    It may forget a sample at any time, because the gateway can begin it again.

    Args:
        networks: the networks by name, which are not open.
        max_samples: number of samples in chunks from which another one replaces the sample that has
            waited longest for its next chunk. Samples that run are not replaced.
        digest: digest of the networks. Samples for others are refused.
    """

    def __init__(self, networks: Mapping[str, Network], max_samples: int, digest: str) -> None:
        self._networks = networks
        self._digest = digest
        self._max_samples = max_samples
        self._samples: OrderedDict[str, RunningSample] = OrderedDict()

    @property
    def samples(self) -> int:
        """The number of samples that were begun and have not ended."""
        return len(self._samples)

    async def open(self) -> None:
        """Open the networks, which loads their kernels.

        Cancellation: some networks may be open.
        """
        for network in self._networks.values():
            await network.open()

    async def check_health(self) -> None:
        """Forget samples that have waited too long. Ray Serve calls this regularly."""
        for name, sample in tuple(self._samples.items()):
            if sample.idle_s > _MAX_IDLE_S:
                self._forget(name)

    async def decide(
        self, options: SampleOptions, seed: int, events: SpikeTrain
    ) -> Decision | Failure | OtherNetworks:
        """Decide a complete sample.

        Cancellation: safe; the sample is abandoned.
        """
        if options.digest != self._digest:
            return OtherNetworks()
        network = self._networks[options.network]
        return await _caught(
            network.decide(events, seed=seed, max_cpu_s=options.max_cpu_s, **options.run)
        )

    async def run(self, step: SampleStep) -> Reply | Failure | OtherNetworks | None:
        """Run a step of a sample in chunks. Return None if it is not the next one of its sample.

        Cancellation: the sample is forgotten.
        """
        if step.start is not None and step.start.options.digest != self._digest:
            return OtherNetworks()
        return await _caught(self._run(step))

    async def release(self, session: str, sample: int) -> None:
        """Forget a sample of a session, if it is there.

        Cancellation: never suspends.
        """
        running = self._samples.get(session)
        if running is not None and running.number == sample:
            self._forget(session)

    async def _run(self, step: SampleStep) -> Reply | None:
        name = step.session
        if step.start is not None:
            self._forget(name)
            network = self._networks[step.start.options.network]
            self._make_room()
            sample = RunningSample(network, step.sample, step.position, step.start)
            self._samples[name] = sample
        else:
            known = self._samples.get(name)
            if known is None or not known.expects(step):
                return None
            sample = known
        has_ended = True
        try:
            reply = await sample.run(step)
            has_ended = reply.is_final
        except ClosedError:
            return None  # the sample was forgotten while it ran
        finally:
            # Meanwhile, the gateway may have begun the sample again.
            if self._samples.get(name) is sample:
                if has_ended:
                    self._forget(name)
                else:
                    self._samples.move_to_end(name)
        return reply

    def _make_room(self) -> None:
        """Forget samples that wait for their next chunk until another one may begin."""
        waiting = [name for name, sample in self._samples.items() if not sample.is_running]
        excess = len(self._samples) - self._max_samples + 1
        for name in waiting[: max(excess, 0)]:
            self._forget(name)

    def _forget(self, session: str) -> None:
        sample = self._samples.pop(session, None)
        if sample is not None:
            sample.close()


async def _caught(work: Awaitable[Result]) -> Result | Failure:
    """Return the result, or the exception, which Ray would wrap in another one."""
    try:
        return await work
    except (NeuroasyncError, ValueError) as error:
        return Failure(_portable(error))
    except Exception as error:
        log.exception("a decision failed")
        return Failure(RuntimeError(f"{type(error).__name__} in a replica; see its log"))


def _portable(error: NeuroasyncError | ValueError) -> Exception:
    """Return the error as one that the gateway can import, with the same text and notes."""
    # The code of a user may raise a subclass, and may attach anything to it.
    kind = next(
        base
        for base in type(error).__mro__
        if base is ValueError or base.__module__ == NeuroasyncError.__module__
    )
    portable: Exception = kind(str(error))
    for note in getattr(error, "__notes__", ()):
        portable.add_note(note)
    return portable
