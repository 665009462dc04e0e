"""An asyncio-native runtime for spiking neural networks without layer synchronization."""

from neuroasync.bundle import (
    Bundle,
    Calibration,
    Golden,
    PolicySpec,
    dump_bundle,
    read_bundle,
    write_bundle,
)
from neuroasync.clock import Clock, ManualClock, RealTimeClock, VirtualClock
from neuroasync.connections import Conv2d, Dense, Sparse
from neuroasync.counts import Counts
from neuroasync.decision import Decision, Progress, StopRule
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
from neuroasync.kernels.order import order_key, sample_seed
from neuroasync.model import LIF, Model, Population
from neuroasync.network import Network
from neuroasync.policies import (
    Fifo,
    LayerSync,
    Momentum,
    OrderingPolicy,
    PendingSpikes,
    Random,
)
from neuroasync.population import Fired, Inbox, PopulationCoroutine, SpikeEvents
from neuroasync.queue import BoundedQueue
from neuroasync.recording import Recorder, Recording
from neuroasync.recording_file import read_recording, write_recording
from neuroasync.session import Session
from neuroasync.settings import RunOptions
from neuroasync.spike_file import read_spikes, write_spikes
from neuroasync.spikes import SpikeTrain, SpikeTrains
from neuroasync.tap import Tap, TappedSpikes
from neuroasync.topology import parse_topology
from neuroasync.windows import Window, parse_window

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
    "Golden",
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
