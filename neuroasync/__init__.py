"""An asyncio-native runtime for spiking neural networks without layer synchronization."""

from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.policies import (
    Fifo,
    LayerSync,
    Momentum,
    OrderingPolicy,
    PendingSpikes,
    Random,
)
from neuroasync.core.engine.run_settings import RunOptions
from neuroasync.core.engine.stop_rules import Progress, StopRule
from neuroasync.core.events.spike_train import SpikeTrain, SpikeTrains
from neuroasync.core.events.window import Window, parse_window
from neuroasync.core.formats.bundle import (
    Bundle,
    Calibration,
    GoldenSample,
    PolicySpec,
    dump_bundle,
    read_bundle,
    write_bundle,
)
from neuroasync.core.formats.spike_file import read_spikes, write_spikes
from neuroasync.core.kernels.order_keys import order_key, sample_seed
from neuroasync.core.model.connections import Conv2d, Dense, Sparse
from neuroasync.core.model.model import LIF, Model, Population
from neuroasync.core.model.topology import parse_topology
from neuroasync.core.recording.file import read_recording, write_recording
from neuroasync.core.recording.recorder import Recorder
from neuroasync.core.recording.recording import Recording
from neuroasync.errors import (
    BundleError,
    ClosedError,
    DatasetError,
    ForwardStepLimitError,
    LimitError,
    MessageError,
    ModelError,
    NeuroasyncError,
    PolicyError,
    PopulationError,
    QueueFullError,
    RecordingError,
    ReplayError,
    SnapshotError,
    SourceError,
    SpikeFileError,
    StopRuleError,
)
from neuroasync.runtime.bounded_queue import BoundedQueue
from neuroasync.runtime.clock import Clock, ManualClock, RealTimeClock, VirtualClock
from neuroasync.runtime.counts import Counts
from neuroasync.runtime.network import Network
from neuroasync.runtime.populations.coroutine import Fired, Inbox, PopulationCoroutine, SpikeEvents
from neuroasync.runtime.session import Session
from neuroasync.runtime.tap import Tap, TappedSpikes

__all__ = [
    "LIF",
    "BoundedQueue",
    "Bundle",
    "BundleError",
    "Calibration",
    "Clock",
    "ClosedError",
    "Conv2d",
    "Counts",
    "DatasetError",
    "Decision",
    "Dense",
    "Fifo",
    "Fired",
    "ForwardStepLimitError",
    "GoldenSample",
    "Inbox",
    "LayerSync",
    "LimitError",
    "ManualClock",
    "MessageError",
    "Model",
    "ModelError",
    "Momentum",
    "Network",
    "NeuroasyncError",
    "OrderingPolicy",
    "PendingSpikes",
    "PolicyError",
    "PolicySpec",
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
    "VirtualClock",
    "Window",
    "dump_bundle",
    "order_key",
    "parse_topology",
    "parse_window",
    "read_bundle",
    "read_recording",
    "read_spikes",
    "sample_seed",
    "write_bundle",
    "write_recording",
    "write_spikes",
]

__version__ = "0.1.0"
