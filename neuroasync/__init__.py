"""An asyncio-native runtime for spiking neural networks without layer synchronization."""

from neuroasync.bundle import (
    Bundle,
    Golden,
    PolicySpec,
    dump_bundle,
    read_bundle,
    write_bundle,
)
from neuroasync.connections import Conv2d, Dense, Sparse
from neuroasync.decision import Decision, Progress, StopRule
from neuroasync.errors import (
    BundleError,
    ClosedError,
    ForwardStepLimitError,
    LimitError,
    ModelError,
    NeuroasyncError,
    PolicyError,
    PopulationError,
    RecordingError,
    ReplayError,
    SpikeFileError,
    StopRuleError,
)
from neuroasync.kernels.order import sample_seed
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
from neuroasync.population import Fired, Inbox, SpikeEvents
from neuroasync.session import Session
from neuroasync.spike_file import read_spikes, write_spikes
from neuroasync.spikes import SpikeTrain, SpikeTrains
from neuroasync.tap import Tap, TappedSpikes
