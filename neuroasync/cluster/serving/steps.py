"""The messages between a gateway and a replica about a sample that arrives in chunks."""

from dataclasses import dataclass

from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.run_settings import RunOptions
from neuroasync.core.events.spike_train import SpikeTrain

__all__ = ["OtherNetworks", "Reply", "SampleOptions", "SampleStart", "SampleStep"]


@dataclass(frozen=True, slots=True)
class SampleOptions:
    """The options of the samples of a session.

    Attributes:
        digest: digest of the networks of the gateway. A replica with others refuses the sample.
        network: name of the network.
        seed: seed of the session: sample number i runs with ``sample_seed(seed, i)``.
        max_cpu_s: maximum CPU time of the passes of one sample, s, or None.
        run: options that differ from the network's.
    """

    digest: str
    network: str
    seed: int
    max_cpu_s: float | None
    run: RunOptions


@dataclass(frozen=True, slots=True)
class SampleStart:
    """The state from which a replica begins a sample, or continues it in place of another replica.

    Attributes:
        options: how to run the sample.
        is_watched: whether to return provisional decisions.
        snapshot: state of the session from which to continue, or None to start from rest.
        chunks: chunks that were sent since then.
    """

    options: SampleOptions
    is_watched: bool
    snapshot: bytes | None
    chunks: tuple[SpikeTrain, ...]


@dataclass(frozen=True, slots=True)
class SampleStep:
    """A part of a sample to run.

    Attributes:
        session: name of the session, unique in the deployment.
        sample: number of the sample.
        position: number of steps that the replica must have run already, or whose chunks it has to
            run first if there is a ``start``.
        chunk: the next chunk, or None.
        is_last: whether the sample ends with this step.
        wants_snapshot: whether to return a snapshot.
        start: how to begin the sample. None if the replica is expected to have it.
    """

    session: str
    sample: int
    position: int
    chunk: SpikeTrain | None
    is_last: bool
    wants_snapshot: bool
    start: SampleStart | None


@dataclass(frozen=True, slots=True)
class OtherNetworks:
    """The answer of a replica whose networks are not those of the gateway. It has run nothing."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The result of a step.

    Attributes:
        decisions: provisional decisions, and the final one if the step has ended the sample. With a
            ``start``, they begin with those of its chunks.
        is_decided: whether the stop rule has ended the sample.
        waiting_events: number of events of the sample that no pass has read yet.
        snapshot: state of the session after the step, if it was wanted and can be saved.
    """

    decisions: tuple[Decision, ...]
    is_decided: bool
    waiting_events: int
    snapshot: bytes | None

    @property
    def is_final(self) -> bool:
        """Whether the step has ended the sample: the last decision is the final one."""
        return bool(self.decisions) and self.decisions[-1].is_final
