"""The exceptions that neuroasync raises, all with one root.

::

    NeuroasyncError
    ├── ModelError (ValueError)        a network description is inconsistent
    │   └── BundleError                a bundle is damaged, too large, or cannot run
    ├── EventsError (ValueError)       events in memory break a rule, for example of their order
    │   └── SpikeFileError             a spike file is missing, damaged, or breaks such a rule
    ├── MessageError (ValueError)      a stream message breaks the rules of its format
    ├── SourceError                    a source of events cannot be opened or read
    ├── DatasetError (ValueError)      a file of a data set is missing or damaged
    ├── RecordingError (ValueError)    a recording is damaged, or does not fit the bundle
    │   └── ReplayError                a replay differs from its recording
    ├── SnapshotError (ValueError)     a snapshot is damaged, or does not fit the session
    ├── InterchangeError (ValueError)  a network cannot be imported or exported
    ├── PolicyError (ValueError)       an ordering policy is unknown, or returned an invalid order
    ├── StopRuleError (ValueError)     a stop rule is unknown or misconfigured
    ├── LimitError                     a bound of ``neuroasync.limits`` was reached
    │   ├── CpuTimeLimitError          a sample used more CPU time than allowed
    │   ├── ForwardStepLimitError      a forward pass took more forward steps than allowed
    │   ├── PassLimitError             a sample needs more forward passes than allowed
    │   └── QueueFullError             a full queue rejected an item
    ├── ClosedError                    an object was used after it was closed
    └── PopulationError                a custom population failed or broke the protocol

Two tools define further errors with the same root, because the core does not know these tools:
``neuroasync.study.StudyError`` and ``neuroasync.train.CheckpointError``, both also ValueErrors.

A wrong argument in a caller's code, such as a negative group size, raises a plain ``ValueError`` or
``TypeError``.

There are two warnings, both a ``UserWarning``: :class:`TimeUnitWarning`, and
``neuroasync.train.TrainingWarning``.
"""

__all__ = [
    "BundleError",
    "ClosedError",
    "CpuTimeLimitError",
    "DatasetError",
    "EventsError",
    "ForwardStepLimitError",
    "InterchangeError",
    "LimitError",
    "MessageError",
    "ModelError",
    "NeuroasyncError",
    "PassLimitError",
    "PolicyError",
    "PopulationError",
    "QueueFullError",
    "RecordingError",
    "ReplayError",
    "SnapshotError",
    "SourceError",
    "SpikeFileError",
    "StopRuleError",
    "TimeUnitWarning",
]


class NeuroasyncError(Exception):
    """Root of all errors that neuroasync raises deliberately."""


class ModelError(NeuroasyncError, ValueError):
    """A network description is inconsistent. The message starts with the path of the field."""


class BundleError(ModelError):
    """A bundle is damaged, too large, or describes a network that cannot run."""


class EventsError(NeuroasyncError, ValueError):
    """Events in memory are invalid. The message names the field and the position, or a remedy."""


class SpikeFileError(EventsError):
    """A spike file is missing, damaged, or breaks the rules of its format."""


class MessageError(NeuroasyncError, ValueError):
    """A message is not valid JSON or MessagePack, or breaks the rules of the message format."""


class SourceError(NeuroasyncError):
    """A source of events cannot be opened or read. The message names the source and the reason."""


class DatasetError(NeuroasyncError, ValueError):
    """A file of a data set is missing or damaged. The message names it and how to get it."""


class RecordingError(NeuroasyncError, ValueError):
    """A recording is damaged, or was made with another bundle."""


class ReplayError(RecordingError):
    """A replay differs from its recording. The message names the first spike that differs."""


class SnapshotError(NeuroasyncError, ValueError):
    """A snapshot is damaged, or was taken with another network or other settings."""


class InterchangeError(NeuroasyncError, ValueError):
    """A network cannot be imported or exported. The message names the node and the reason."""


class PolicyError(NeuroasyncError, ValueError):
    """An ordering policy is unknown, misconfigured, or returned an invalid order."""


class StopRuleError(NeuroasyncError, ValueError):
    """A stop rule is unknown or misconfigured."""


class LimitError(NeuroasyncError):
    """A bound was reached. The message names it, its value, and how to raise it."""


class CpuTimeLimitError(LimitError):
    """A sample used more CPU time than its session allows."""


class ForwardStepLimitError(LimitError):
    """A forward pass reached its limit of forward steps. The message names what kept firing."""


class PassLimitError(LimitError):
    """A sample needs more forward passes than ``max_passes``."""


class QueueFullError(LimitError):
    """A bounded queue is full and must not drop items."""


class ClosedError(NeuroasyncError):
    """A network or session was used outside its ``async with`` block."""


class PopulationError(NeuroasyncError):
    """A custom population raised, ended early, or reported invalid neurons."""


class TimeUnitWarning(UserWarning):
    """The times of events from a camera look like ms or ns, although they have to be in µs.

    The warning is a guess from the rate at which pixels fire. If the times are right, silence it:
    ``warnings.simplefilter("ignore", neuroasync.TimeUnitWarning)``.
    """
