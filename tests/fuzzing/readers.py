"""The readers under test: each reads its input, and uses what was accepted.

A reader raises only the documented errors of its target for damaged input. It raises
AssertionError if accepted input is not read again as the same value.
"""

import asyncio
import atexit
import contextlib
import struct
import tempfile
from functools import cache
from pathlib import Path
from unittest import mock

import msgpack
import numpy as np
from starlette.datastructures import QueryParams

import neuroasync as na
from neuroasync import limits
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import make_policy
from neuroasync.core.engine.run_sample import run_sample
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.formats.bundle import dump_bundle, read_bundle
from neuroasync.core.formats.spike_file import read_spikes
from neuroasync.core.model.topology import parse_topology, same_topology
from neuroasync.core.recording.file import read_recording
from neuroasync.errors import LimitError, MessageError, NeuroasyncError
from neuroasync.messages import format_events, parse_events
from neuroasync.runtime.option_resolver import OptionResolver
from neuroasync.serve.connection.message_peek import peek_message
from neuroasync.serve.page.request import parse_request
from neuroasync.serve.query_params import parse_query
from neuroasync.sources import CameraFileSource, UdpSource, View
from tests.fuzzing.seeds import (
    CHECKPOINT_PARAMETERS,
    CHECKPOINT_START,
    image_bundle,
    session_bundle,
)

__all__ = [
    "read_any_bundle",
    "read_any_message",
    "read_any_query",
    "read_any_recording",
    "read_any_snapshot",
    "read_any_spikes",
    "read_any_topology",
    "read_any_trace_request",
    "read_camera_file",
    "read_checkpoint",
    "read_packets",
]

_MAX_NEURONS = 5000
"""Neurons of an accepted network that is also run; larger ones would only take time."""

_MAX_WEIGHT_BYTES = 2**24
"""Weights of a network that a topology may describe here."""

_FORMATS = ("spif", "t64_x16_y16_on8", "t32_x16_y15_on1")


def read_any_bundle(data: bytes) -> None:
    """Read a bundle; write it and read it again; run its network."""
    bundle = read_bundle(data)
    written = dump_bundle(bundle)
    assert dump_bundle(read_bundle(written)) == written
    model = bundle.model
    if model.size + model.input_size > _MAX_NEURONS:
        return
    policy = make_policy(bundle.policy.name, bundle.policy.noise)
    run = RunSettings(policy, bundle.policy.group_size, bundle.policy.input, max_forward_steps=20)
    simulator = Simulator(ExecutionPlan(PackedNetwork(model), run))
    step_us = min(model.timestep_us, 10**6) or 500
    events = na.SpikeTrain([0, 0, 2 * step_us], [0, model.input_size - 1, 0])
    with contextlib.suppress(LimitError):
        decision = run_sample(simulator, events, seed=1)
        assert (decision.votes >= 0).all()


def read_any_spikes(data: bytes) -> None:
    """Read a spike file, and each of its samples."""
    spikes = read_spikes(data)
    assert sum(len(spikes[k]) for k in range(min(len(spikes), 50))) <= spikes.t_us.size
    assert len(spikes.offsets) == len(spikes) + 1


def read_any_recording(data: bytes) -> None:
    """Read a recording, and what it derives from its arrays."""
    recording = read_recording(data)
    recording.digest  # noqa: B018  # computes it
    for k in range(min(len(recording), 20)):
        recording.sample_digest(k), recording.events(k), recording.duration(k)
        recording.step_numbers(k)
    recording.spikes_by_population()
    repr(recording), recording._repr_html_()


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    atexit.register(loop.close)
    return loop


@cache
def _network() -> na.Network:
    network = na.Network(session_bundle())
    _loop().run_until_complete(network.__aenter__())
    return network


def read_any_snapshot(data: bytes) -> None:
    """Restore a snapshot, save it again, and let the session continue if it has not far to go."""
    _loop().run_until_complete(_restore(_network(), data))


async def _restore(network: na.Network, data: bytes) -> None:
    async with network.session() as session:
        session.restore(data)
        saved = session.snapshot()
        fields = msgpack.unpackb(msgpack.unpackb(saved)["session"])
        last_us, time_us = fields["last_us"], fields["counters"]["time_us"]
        if last_us - time_us > 10**6:
            return
        session.restore(saved)
        assert session.snapshot() == saved
        stream = fields["stream"]
        # What the snapshot says may be impossible to continue, but never fatal.
        with contextlib.suppress(NeuroasyncError, ValueError):
            if stream is None:
                await session.finish_sample()
                return
            decisions = session.stream(
                _no_events(), window=stream["window"], carry_state=stream["carries"]
            )
            async with contextlib.aclosing(decisions):
                for _ in range(3):
                    await anext(decisions, None)


async def _no_events():
    for train in ():
        yield train


def read_checkpoint(data: bytes) -> None:
    """Read a checkpoint; write it and read it again."""
    from neuroasync.train import TrainConfig
    from neuroasync.train.checkpoint import load_checkpoint, save_checkpoint

    config, path = TrainConfig(epochs=3), _file(data)
    state = load_checkpoint(path, config, CHECKPOINT_START, CHECKPOINT_PARAMETERS)
    save_checkpoint(path, config, CHECKPOINT_START, state)
    again = load_checkpoint(path, config, CHECKPOINT_START, CHECKPOINT_PARAMETERS)
    assert again.history == state.history
    assert np.array_equal(again.parameters, state.parameters)


def read_any_message(data: bytes) -> None:
    """Parse a message as MessagePack and as JSON; what is peeked at it agrees."""
    forms = [data]
    with contextlib.suppress(UnicodeDecodeError):
        forms.append(data.decode())
    errors = []
    for form in forms:
        try:
            message = parse_events(form)
        except MessageError as error:
            errors.append(error)
            with contextlib.suppress(MessageError):
                peek_message(form, 2**20)
        else:
            for binary in (False, True):
                again = parse_events(format_events(message, binary=binary))
                assert again == message
            peeked = peek_message(form, 2**20)
            assert peeked == (len(message.events), message.end, message.provisional)
    if len(errors) == len(forms):
        raise errors[-1]


class _SteppedClock:
    time_us = 0

    def now_us(self) -> int:
        return self.time_us


def read_packets(data: bytes) -> None:
    """Receive packets: a byte chooses the format; each packet follows its length and a delay.

    The length is one byte, the delay before the packet two bytes, in ms.
    """
    clock = _SteppedClock()
    kind = _FORMATS[data[0] % len(_FORMATS)] if data else _FORMATS[0]
    source = UdpSource((2, 8, 8), clock=clock, packet_format=kind, capacity=4)
    at, sent, latest = 1, 0, 0
    while at + 3 <= len(data):
        length, delay_ms = struct.unpack_from("<BH", data, at)
        clock.time_us += 1000 * delay_ms
        source._receive(data[at + 3 : at + 3 + length])
        at += 3 + length
        sent += 1
    while len(source._queue):
        chunk = source._queue.pop()
        assert len(chunk)
        assert chunk.t_us[0] >= latest
        latest = chunk.t_us[-1]
        chunk.check_indices(128)
    assert source.counts.malformed <= sent


@cache
def _resolver() -> OptionResolver:
    return OptionResolver(session_bundle(), {}, ())


def read_any_query(data: bytes) -> None:
    """Parse a query, and resolve its options for a network."""
    options = parse_query(QueryParams(data).multi_items())
    settings = _resolver().resolve(options.run)
    assert settings.group_size >= 1


def read_any_topology(data: bytes) -> None:
    """Parse a topology; large networks are refused, because they take time and memory rightly."""
    with mock.patch.object(limits, "MAX_BUNDLE_BYTES", _MAX_WEIGHT_BYTES):
        model = parse_topology(data.decode("utf-8", "replace"))
    assert same_topology(model, model)


def read_any_trace_request(data: bytes) -> None:
    """Parse the body of a request of the live page."""
    request = parse_request(data, image_bundle())
    request.events.check_indices(64)


def read_camera_file(data: bytes) -> None:
    """Read a recording of a camera to its end."""
    source = CameraFileSource(_file(data), (2, 8, 16), view=View())
    latest = 0
    for chunk, _ in source._read():
        assert not len(chunk) or chunk.t_us[0] >= latest
        latest = chunk.t_us[-1] if len(chunk) else latest
        assert np.all(np.diff(chunk.t_us) >= 0)


@cache
def _folder() -> Path:
    # Files in memory, where the system has such a folder: a checkpoint waits for its disk.
    memory = Path("/dev/shm")
    folder = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
    atexit.register(folder.cleanup)
    return Path(folder.name)


def _file(data: bytes) -> Path:
    path = _folder() / "file"
    path.write_bytes(data)
    return path
