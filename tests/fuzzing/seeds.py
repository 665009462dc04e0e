"""Valid inputs of each reader, which mutations start from."""

import asyncio
import json
import struct
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

import neuroasync as na
from neuroasync.core.engine.policies import Fifo
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.formats.bundle import Calibration, dump_bundle
from neuroasync.core.formats.field_checks import array_map
from neuroasync.core.formats.orders.certificate import network_digest
from neuroasync.core.recording.file import write_recording
from neuroasync.messages import EventMessage, format_events
from tests.helpers.malformed_files import archive, rich_bundle, sealed, spike_members, unsealed
from tests.helpers.paths import DATA
from tests.helpers.recordings import record, relay, relay_recording
from tests.helpers.small_networks import chain, readout, sample

__all__ = [
    "CHECKPOINT_PARAMETERS",
    "CHECKPOINT_START",
    "bundles",
    "camera_files",
    "checkpoints",
    "event_stream_files",
    "image_bundle",
    "messages",
    "packet_sequences",
    "queries",
    "recordings",
    "session_bundle",
    "snapshots",
    "spike_files",
    "topologies",
    "trace_requests",
]

CHECKPOINT_PARAMETERS = 6
CHECKPOINT_START = bytes(32)


def bundles() -> list[bytes]:
    over_time = replace(chain((3, 2, 2)), vote_window=na.VoteWindow(2000))
    all_bundles = (rich_bundle(), over_time, certified_bundle(), session_bundle(), readout())
    return [dump_bundle(bundle) for bundle in all_bundles]


def certified_bundle() -> na.Bundle:
    """Return a network with a certificate of two run modes."""
    bundle = chain((3, 2, 2))
    modes = (
        na.CertifiedMode(na.PolicySpec("random", 2), (3, 2), 2),
        na.CertifiedMode(na.PolicySpec("momentum", 1, "queued", noise=0.5), (4,)),
    )
    digest = network_digest(bundle.model, None)
    certificate = na.OrderCertificate(digest, 5, bytes(32), 0, 7, "quiet", modes, 1)
    return replace(bundle, certificate=certificate)


def spike_files() -> list[bytes]:
    over_time = na.LabelsOverTime([0, 1, -1], [0, 1, 3], 1000)
    train = na.SpikeTrains([3, 900, 1500], [0, 2, 1], [0, 1, 3], None, (3,), over_time)
    values = na.SpikeTrains([3, 900], [0, 2], [0, 1, 2], [1, 0], (3,), value=[0.5, -2.0])
    return [
        archive(spike_members()),
        archive(spike_members(labels=None), 0),
        _written(lambda path: na.write_spikes(train, path)),
        _written(lambda path: na.write_spikes(values, path)),
    ]


def recordings() -> list[bytes]:
    train = na.SpikeTrain([0, 1000], [0, 1], [1.5, -0.5])
    values = record(relay(), [train], RunSettings(Fifo(), 1), targets=[1])
    return [
        _written(lambda path, recording=recording: write_recording(recording, path))
        for recording in (relay_recording(), values)
    ]


@cache
def session_bundle() -> na.Bundle:
    """Return a network with delays, and with neurons that fire more than once in a pass."""
    populations = (
        na.Population("hidden", (8,), na.LIF(5000.0, 0.5, refractory=False)),
        na.Population("output", (4,), na.LIF(sync_threshold=2)),
    )
    inner = chain().model.connections
    connections = (
        na.Dense("input", "hidden", inner[0].weight),
        na.Dense("hidden", "output", inner[2].weight, delay_us=2000),
        na.Dense("output", "hidden", np.full((8, 4), -0.25, np.float32), delay_us=1000),
    )
    model = na.Model(1000, (12,), populations, connections, "output")
    policy = na.PolicySpec("momentum", 2, noise=0.5)
    calibration = Calibration(0.9, 0.0, 1.0, 10, (3, 1), policy)
    return na.Bundle(model, policy=policy, calibration=(calibration,))


@cache
def image_bundle() -> na.Bundle:
    """Return a network that reads images, for requests of the live page."""
    network = chain((64, 4)).model
    return na.Bundle(replace(network, input_shape=(8, 8)), meta={"coding": "rate"})


def snapshots() -> list[bytes]:
    return asyncio.run(_snapshots())


async def _snapshots() -> list[bytes]:
    """Return snapshots within a sample, at its start, within a stream, and of values."""
    found = []
    train = sample(30, duration_us=5000)
    async with na.Network(session_bundle()) as network:
        async with network.session() as session:
            found.append(session.snapshot())
            await session.send(train)
            found.append(session.snapshot())
        async with network.session() as session:
            stream = session.stream(_as_source(train), window="time(2ms)")
            await anext(stream)
            found.append(session.snapshot())
        async with network.session() as session:
            value = np.linspace(-1, 2, len(train))
            await session.send(na.SpikeTrain(train.t_us, train.index, value))
            fields = unsealed(session.snapshot())
            spikes = fields["due"]["shape"][1]
            fields["due_value"] = array_map(np.full(spikes, 0.5), "<f4")
            found.append(sealed(fields))
    return found


async def _as_source(train):
    yield train


def checkpoints() -> list[bytes]:
    """Return checkpoints of trainings with and without validation samples."""
    from neuroasync.train import EpochResult, TrainConfig
    from neuroasync.train.checkpoint import TrainingState, save_checkpoint

    found = []
    for validation in ((None, None), (0.25, 4.0)):
        history = tuple(EpochResult(k, "fifo", 0.5, 0.5, 3.0, *validation, 1.0) for k in range(2))
        weights = np.arange(CHECKPOINT_PARAMETERS, dtype=np.float32)
        state = TrainingState(weights, weights / 2, weights, history)
        arguments = TrainConfig(epochs=3), CHECKPOINT_START, state
        found.append(_written(lambda path, rest=arguments: save_checkpoint(path, *rest)))
    return found


def messages() -> list[bytes]:
    """Return messages in JSON and in MessagePack."""
    values = na.SpikeTrain([0, 140], [3, 17], [0.25, -3.0])
    events = (na.SpikeTrain([], []), na.SpikeTrain([0, 140, 900], [3, 17, 3]), values, sample(20))
    kinds = [EventMessage(train, end, end) for train in events for end in (False, True)]
    texts = [format_events(message).encode() for message in kinds]
    return texts + [format_events(message, binary=True) for message in kinds] + [b"{}"]


def packet_sequences() -> list[bytes]:
    """Return packets as :func:`tests.fuzzing.readers.read_packets` takes them, in each format."""
    spif = np.array([3 << 16 | 2, 1000, 5 << 16 | 1 << 15 | 1, 1010], "<u4").tobytes()
    plain = np.array([1 << 31 | 3 << 16 | 2, 1 << 31 | 5 << 16], "<u4").tobytes()
    t64 = struct.pack("<QHHB", 1000, 3, 2, 1) * 2
    t32 = struct.pack("<IHH", 1000, 3, 2 << 1 | 1) * 2
    return [
        bytes([kind]) + b"".join(struct.pack("<BH", len(packet), 20) + packet for packet in packets)
        for kind, packets in ((0, [spif, plain, spif]), (1, [t64] * 2), (2, [t32] * 3))
    ]


def queries() -> list[bytes]:
    return [
        b"",
        b"policy=random&group_size=4&until=votes(2)&input=queued&seed=7&provisional=1",
        b"network=digits&until=confidence(0.9)&token=a",
        b"until=margin(3,1,2)&policy=momentum&seed=18446744073709551615",
        b"until=steps(100)&policy=fifo&input=prioritised",
    ]


def topologies() -> list[bytes]:
    return [
        b"timestep_us=1000 decay=0.9 v_threshold=1.0\ninput  2x34x34\n"
        b"conv1  c8k5s2p1  # a comment\nconv2  c16k3x1s2\nhidden d64 v_threshold=0.5\noutput d10\n"
        b"conv1 -> output\nhidden -> hidden delay_us=1000\nhidden -> conv2",
        b"timestep_us=500; input 16; hidden d8 tau_mem_us=20000 reset=subtract refractory=false\n"
        b"output d4",
        b"timestep_us=0; input 1x4x4; a c2k2 sync_threshold=2; b d3; input -> b;b->b delay_us=300",
    ]


def trace_requests() -> list[bytes]:
    return [
        b'{"events": {"t_us": [0, 1500], "index": [3, 11]}, "policy": "fifo", "seed": 3}',
        b'{"events": {"t_us": [], "index": []}, "group_size": 2, "until": "votes(2)", "number": 1}',
        b'{"events": {"t_us": [0, 1500], "index": [3, 11], "value": [0.5, -2]}, "seed": 3}',
        json.dumps({"image": [[0, 0.5, 1, 0] * 2] * 8, "input": "queued"}).encode(),
    ]


def camera_files() -> list[bytes]:
    """Return Prophesee files of each encoding."""
    dat = np.array([[10 * k, 1 << 28 | k << 14 | k] for k in range(9)], "<u4").tobytes()
    evt2 = np.array([8 << 28 | 1, 1 << 28 | 5 << 22 | 3 << 11 | 2, 1 << 11 | 7], "<u4").tobytes()
    evt21 = np.array([8 << 28 | 1, 1, 1 << 28 | 1 << 11, 0x8001], "<u4").tobytes()
    evt3 = np.array(
        [0x8001, 0x6005, 0x0003, 0x2802, 0x3804, 0x4FFF, 0x5081, 0x8002, 0x2003], "<u2"
    ).tobytes()
    return [
        b"% Version 2\n% Width 16\n% Height 8\n\x00\x08" + dat,
        b"% evt 2.0\n% geometry 16x8\n% end\n" + evt2 * 3,
        b"% format EVT21;endianness=legacy;width=16;height=8\n% end\n" + evt21 * 3,
        b"% evt 3.0\n% geometry 16x8\n% end\n" + evt3 * 3,
    ]


def event_stream_files() -> list[bytes]:
    """Return the beginning of a recording in the format Event Stream."""
    return [(DATA / "camera" / "dvs.es").read_bytes()[:600]]


def _written(write) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        write(path)
        return path.read_bytes()
