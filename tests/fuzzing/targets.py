"""The table of all targets: what is read, how it is mutated, and which errors are documented."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from neuroasync.core.formats.bundle import BundleError
from neuroasync.errors import (
    EventsError,
    MessageError,
    ModelError,
    PolicyError,
    RecordingError,
    SnapshotError,
    SourceError,
    SpikeFileError,
    StopRuleError,
)
from neuroasync.serve.query_params import QueryError
from tests.fuzzing import mutate_files, readers, seeds
from tests.fuzzing.mutate_bytes import Mutation

__all__ = ["TARGETS", "Target"]


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        name: name on the command line and of the corpus.
        read: reads data and uses what was accepted.
        errors: documented errors of the reader; a subclass is not enough.
        seeds: valid inputs.
        mutate: changes data, with a function that changes bytes.
        requires: modules that the reader needs.
    """

    name: str
    read: Callable[[bytes], None]
    errors: tuple[type[Exception] | str, ...]
    seeds: Callable[[], list[bytes]]
    mutate: Callable[[bytes, Random, Mutation], bytes]
    requires: tuple[str, ...] = ()

    def missing(self) -> str | None:
        """Return a required module that is not installed."""
        return next((name for name in self.requires if not importlib.util.find_spec(name)), None)


def _bytes(data: bytes, rng: Random, mutate: Mutation) -> bytes:
    return mutate(data, rng)


_ALL = (
    Target("bundle", readers.read_any_bundle, (BundleError,), seeds.bundles,
           mutate_files.mutate_bundle),
    Target("spikes", readers.read_any_spikes, (SpikeFileError,), seeds.spike_files,
           mutate_files.mutate_npz),
    Target("recording", readers.read_any_recording, (RecordingError,), seeds.recordings,
           mutate_files.mutate_recording),
    Target("snapshot", readers.read_any_snapshot, (SnapshotError,), seeds.snapshots,
           mutate_files.mutate_snapshot),
    Target("checkpoint", readers.read_checkpoint, ("CheckpointError",), seeds.checkpoints,
           mutate_files.mutate_checkpoint, ("torch",)),
    Target("message", readers.read_any_message, (MessageError,), seeds.messages,
           mutate_files.mutate_message),
    Target("udp", readers.read_packets, (), seeds.packet_sequences, _bytes),
    Target("query", readers.read_any_query, (QueryError, PolicyError, StopRuleError, ValueError),
           seeds.queries, mutate_files.mutate_query),
    Target("topology", readers.read_any_topology, (ModelError,), seeds.topologies,
           mutate_files.mutate_text),
    Target("trace", readers.read_any_trace_request, (ValueError, EventsError),
           seeds.trace_requests, mutate_files.mutate_message),
    Target("camera", readers.read_camera_file, (SourceError,), seeds.camera_files, _bytes),
    Target("event-stream", readers.read_camera_file, (SourceError,), seeds.event_stream_files,
           _bytes, ("faery",)),
)  # fmt: skip

TARGETS = {target.name: target for target in _ALL}
"""All targets by name. The first nine are the readers of the package's own formats."""
