"""An asyncio-native runtime for spiking neural networks without layer synchronization.

``import neuroasync`` is fast: a public name or submodule is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

# Type checkers and editors read these imports; at run time, ``__getattr__`` makes them one by one.
if TYPE_CHECKING:
    from neuroasync.core.durations import Duration
    from neuroasync.core.engine.decision import Decision
    from neuroasync.core.engine.policies import (
        Fifo,
        LayerSync,
        Momentum,
        OrderingPolicy,
        PendingSpikes,
        PolicyName,
        Random,
    )
    from neuroasync.core.engine.run_settings import Engine, InputMode, RunOptions
    from neuroasync.core.engine.stop_rules import Progress, StopRule, Until
    from neuroasync.core.events.labels_over_time import LabelsOverTime
    from neuroasync.core.events.spike_train import Events, SpikeTrain
    from neuroasync.core.events.spike_trains import SpikeTrains
    from neuroasync.core.events.window import Window, parse_window
    from neuroasync.core.formats.bundle import (
        Bundle,
        Calibration,
        GoldenSample,
        OrderCertificate,
        PolicySpec,
        VoteWindow,
        dump_bundle,
        read_bundle,
        write_bundle,
    )
    from neuroasync.core.formats.orders.certificate import CertifiedMode
    from neuroasync.core.formats.orders.run_modes import RunModes, parse_run_modes
    from neuroasync.core.formats.spike_file import read_spikes, write_spikes
    from neuroasync.core.kernels.order_keys import order_key, sample_seed
    from neuroasync.core.model.connections import Conv1d, Conv2d, Dense, Pool, Sparse
    from neuroasync.core.model.model import Model, Population
    from neuroasync.core.model.neurons import LI, LIF, Adaptation
    from neuroasync.core.model.topology import parse_topology
    from neuroasync.core.recording.file import read_recording, write_recording
    from neuroasync.core.recording.recorder import Recorder
    from neuroasync.core.recording.recording import Recording
    from neuroasync.errors import (
        BundleError,
        ClosedError,
        CpuTimeLimitError,
        DatasetError,
        EventsError,
        ForwardStepLimitError,
        InterchangeError,
        LimitError,
        MessageError,
        ModelError,
        NeuroasyncError,
        PassLimitError,
        PolicyError,
        PopulationError,
        QueueFullError,
        RecordingError,
        ReplayError,
        SnapshotError,
        SourceError,
        SpikeFileError,
        StopRuleError,
        TimeUnitWarning,
    )
    from neuroasync.runtime.bounded_queue import BoundedQueue
    from neuroasync.runtime.clock import Clock, ManualClock, RealTimeClock, VirtualClock
    from neuroasync.runtime.counts import Counts
    from neuroasync.runtime.network import Network
    from neuroasync.runtime.over_time.decide import decide_over_time
    from neuroasync.runtime.over_time.decisions import DecisionsOverTime
    from neuroasync.runtime.over_time.stream import stream_over_time
    from neuroasync.runtime.populations.coroutine import (
        Fired,
        Inbox,
        PopulationCoroutine,
        SpikeEvents,
    )
    from neuroasync.runtime.session import Session
    from neuroasync.runtime.streams.late_events import Late
    from neuroasync.runtime.tap import Tap, TappedSpikes

__all__ = [
    "LI",
    "LIF",
    "Adaptation",
    "BoundedQueue",
    "Bundle",
    "BundleError",
    "Calibration",
    "CertifiedMode",
    "Clock",
    "ClosedError",
    "Conv1d",
    "Conv2d",
    "Counts",
    "CpuTimeLimitError",
    "DatasetError",
    "Decision",
    "DecisionsOverTime",
    "Dense",
    "Duration",
    "Engine",
    "Events",
    "EventsError",
    "Fifo",
    "Fired",
    "ForwardStepLimitError",
    "GoldenSample",
    "Inbox",
    "InputMode",
    "InterchangeError",
    "LabelsOverTime",
    "Late",
    "LayerSync",
    "LimitError",
    "ManualClock",
    "MessageError",
    "Model",
    "ModelError",
    "Momentum",
    "Network",
    "NeuroasyncError",
    "OrderCertificate",
    "OrderingPolicy",
    "PassLimitError",
    "PendingSpikes",
    "PolicyError",
    "PolicyName",
    "PolicySpec",
    "Pool",
    "Population",
    "PopulationCoroutine",
    "PopulationError",
    "Progress",
    "QueueFullError",
    "Random",
    "RealTimeClock",
    "Recorder",
    "Recording",
    "RecordingError",
    "ReplayError",
    "RunModes",
    "RunOptions",
    "Session",
    "SnapshotError",
    "SourceError",
    "Sparse",
    "SpikeEvents",
    "SpikeFileError",
    "SpikeTrain",
    "SpikeTrains",
    "StopRule",
    "StopRuleError",
    "Tap",
    "TappedSpikes",
    "TimeUnitWarning",
    "Until",
    "VirtualClock",
    "VoteWindow",
    "Window",
    "decide_over_time",
    "dump_bundle",
    "order_key",
    "parse_run_modes",
    "parse_topology",
    "parse_window",
    "read_bundle",
    "read_recording",
    "read_spikes",
    "sample_seed",
    "stream_over_time",
    "write_bundle",
    "write_recording",
    "write_spikes",
]

__version__ = "0.1.0"

_MODULE_OF: Final = {
    "LI": "core.model.neurons",
    "LIF": "core.model.neurons",
    "Adaptation": "core.model.neurons",
    "BoundedQueue": "runtime.bounded_queue",
    "Bundle": "core.formats.bundle",
    "BundleError": "errors",
    "Calibration": "core.formats.bundle",
    "CertifiedMode": "core.formats.orders.certificate",
    "Clock": "runtime.clock",
    "ClosedError": "errors",
    "Conv1d": "core.model.connections",
    "Conv2d": "core.model.connections",
    "Counts": "runtime.counts",
    "CpuTimeLimitError": "errors",
    "DatasetError": "errors",
    "Decision": "core.engine.decision",
    "DecisionsOverTime": "runtime.over_time.decisions",
    "Dense": "core.model.connections",
    "Duration": "core.durations",
    "Engine": "core.engine.run_settings",
    "Events": "core.events.spike_train",
    "EventsError": "errors",
    "Fifo": "core.engine.policies",
    "Fired": "runtime.populations.coroutine",
    "ForwardStepLimitError": "errors",
    "GoldenSample": "core.formats.bundle",
    "Inbox": "runtime.populations.coroutine",
    "InputMode": "core.engine.run_settings",
    "InterchangeError": "errors",
    "LabelsOverTime": "core.events.labels_over_time",
    "Late": "runtime.streams.late_events",
    "LayerSync": "core.engine.policies",
    "LimitError": "errors",
    "ManualClock": "runtime.clock",
    "MessageError": "errors",
    "Model": "core.model.model",
    "ModelError": "errors",
    "Momentum": "core.engine.policies",
    "Network": "runtime.network",
    "NeuroasyncError": "errors",
    "OrderCertificate": "core.formats.bundle",
    "OrderingPolicy": "core.engine.policies",
    "PassLimitError": "errors",
    "PendingSpikes": "core.engine.policies",
    "PolicyError": "errors",
    "PolicyName": "core.engine.policies",
    "PolicySpec": "core.formats.bundle",
    "Pool": "core.model.connections",
    "Population": "core.model.model",
    "PopulationCoroutine": "runtime.populations.coroutine",
    "PopulationError": "errors",
    "Progress": "core.engine.stop_rules",
    "QueueFullError": "errors",
    "Random": "core.engine.policies",
    "RealTimeClock": "runtime.clock",
    "Recorder": "core.recording.recorder",
    "Recording": "core.recording.recording",
    "RecordingError": "errors",
    "ReplayError": "errors",
    "RunModes": "core.formats.orders.run_modes",
    "RunOptions": "core.engine.run_settings",
    "Session": "runtime.session",
    "SnapshotError": "errors",
    "SourceError": "errors",
    "Sparse": "core.model.connections",
    "SpikeEvents": "runtime.populations.coroutine",
    "SpikeFileError": "errors",
    "SpikeTrain": "core.events.spike_train",
    "SpikeTrains": "core.events.spike_trains",
    "StopRule": "core.engine.stop_rules",
    "StopRuleError": "errors",
    "Tap": "runtime.tap",
    "TappedSpikes": "runtime.tap",
    "TimeUnitWarning": "errors",
    "Until": "core.engine.stop_rules",
    "VirtualClock": "runtime.clock",
    "VoteWindow": "core.formats.bundle",
    "Window": "core.events.window",
    "decide_over_time": "runtime.over_time.decide",
    "dump_bundle": "core.formats.bundle",
    "order_key": "core.kernels.order_keys",
    "parse_run_modes": "core.formats.orders.run_modes",
    "parse_topology": "core.model.topology",
    "parse_window": "core.events.window",
    "read_bundle": "core.formats.bundle",
    "read_recording": "core.recording.file",
    "read_spikes": "core.formats.spike_file",
    "sample_seed": "core.kernels.order_keys",
    "stream_over_time": "runtime.over_time.stream",
    "write_bundle": "core.formats.bundle",
    "write_recording": "core.recording.file",
    "write_spikes": "core.formats.spike_file",
}
"""The module in which each public name is defined, relative to this package."""

_SUBMODULES: Final = (
    "cluster",
    "cochlea",
    "datasets",
    "encoders",
    "errors",
    "explain",
    "interchange",
    "limits",
    "messages",
    "metrics",
    "plot",
    "replay",
    "serve",
    "shipped",
    "sinks",
    "sources",
    "study",
    "train",
)
"""The public submodules."""

_NEED_EXTRAS: Final = frozenset({"cluster", "plot", "serve", "study", "train"})
"""Submodules whose import fails unless an extra is installed, so that ``help`` must skip them."""


def __getattr__(name: str) -> Any:
    """Import a public name or submodule when it is first used (PEP 562)."""
    if name in _MODULE_OF:
        value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        globals()[name] = value  # From now on, Python finds the name without this function.
        return value
    if name in _SUBMODULES:
        try:
            return import_module(f"{__name__}.{name}")
        except ModuleNotFoundError as error:
            # ``hasattr`` and ``help`` expect this error. An import statement raises the other one.
            raise AttributeError(f"module {__name__!r} has no {name!r} here: {error}") from error
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names, the version, and the submodules that need no extra."""
    return sorted((*__all__, *(set(_SUBMODULES) - _NEED_EXTRAS), "__version__"))
