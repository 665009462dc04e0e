"""The exceptions that neuroasync raises, all under one root.

::

    NeuroasyncError
    ├── ModelError (ValueError)        a network description that cannot be run
    │   └── BundleError                a bundle that cannot be trusted or read
    ├── SpikeFileError (ValueError)    a spike file, or spike events, that break the rules
    ├── MessageError (ValueError)      a message of a stream that breaks the rules of its format
    ├── SourceError                    a source that cannot be opened, or that broke off
    ├── DatasetError (ValueError)      a data set whose files are missing or mangled
    ├── RecordingError (ValueError)    a recording that cannot be read or does not fit its bundle
    │   └── ReplayError                a replay whose spikes differ from its recording
    ├── SnapshotError (ValueError)     a snapshot that cannot be read or does not fit its session
    ├── PolicyError (ValueError)       an ordering policy that is unknown or answered nonsense
    ├── StopRuleError (ValueError)     a stop rule that cannot be parsed
    ├── LimitError                     a bound of ``neuroasync.limits`` was reached
    │   ├── ForwardStepLimitError      one pass took more forward steps than allowed
    │   └── QueueFullError             something was sent to a full queue that refuses it
    ├── ClosedError                    something was used after it was closed
    └── PopulationError                a population of the user's failed or broke the protocol

The tools' errors are under the same root and live with them, for the core knows neither:
``neuroasync.study.StudyError`` and ``neuroasync.train.CheckpointError``, both ValueErrors.

What a caller passes wrongly in code (a negative group size, say) is an ordinary ``ValueError``.
"""

__all__ = [
    "BundleError",
    "ClosedError",
    "DatasetError",
    "ForwardStepLimitError",
    "LimitError",
    "MessageError",
    "ModelError",
    "NeuroasyncError",
    "PolicyError",
    "PopulationError",
    "QueueFullError",
    "RecordingError",
    "ReplayError",
    "SnapshotError",
    "SourceError",
    "SpikeFileError",
    "StopRuleError",
]


class NeuroasyncError(Exception):
    """Root of everything that neuroasync raises on purpose."""


class ModelError(NeuroasyncError, ValueError):
    """A network description is inconsistent. The message starts with the field's path."""


class BundleError(ModelError):
    """A bundle is damaged, too large, or describes a network that cannot be run."""


class SpikeFileError(NeuroasyncError, ValueError):
    """A spike file or a spike train is damaged or breaks the rules of its format."""


class MessageError(NeuroasyncError, ValueError):
    """A message is no JSON or MessagePack, or not what was expected; the text names the field."""


class SourceError(NeuroasyncError):
    """A source of events cannot be opened, or broke off; the text names it and says why."""


class DatasetError(NeuroasyncError, ValueError):
    """A file of a data set is missing or mangled; the message names it and how to get it."""


class RecordingError(NeuroasyncError, ValueError):
    """A recording is damaged, or does not belong to the bundle at hand."""


class ReplayError(RecordingError):
    """A replay fired another spike than the recording, which the message names."""


class SnapshotError(NeuroasyncError, ValueError):
    """A snapshot is damaged, or is of another network or way to run it than the session."""


class PolicyError(NeuroasyncError, ValueError):
    """An ordering policy is unknown, misconfigured, or returned an impossible order."""


class StopRuleError(NeuroasyncError, ValueError):
    """A stop rule is unknown or misconfigured."""


class LimitError(NeuroasyncError):
    """A bound was reached; the message names it, its value, and how to raise it."""


class ForwardStepLimitError(LimitError):
    """A pass did not end within its limit of forward steps; names who kept firing."""


class QueueFullError(LimitError):
    """There is no room in a bounded queue, and nothing may be dropped."""


class ClosedError(NeuroasyncError):
    """A network or session was used outside its ``async with`` block."""


class PopulationError(NeuroasyncError):
    """A population of the user's raised, ended early, or fired what it does not have."""
