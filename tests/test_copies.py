"""Pickles and copies of public objects: each works like the original, or is refused."""

import asyncio
import copy
import dataclasses
import importlib
import inspect
import io
import pickle
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

import neuroasync as na
from neuroasync import sinks, sources
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.stop_rules import StopRule
from neuroasync.metrics import Stress, stress_test
from tests.helpers.recordings import record
from tests.helpers.small_networks import chain, sample
from tests.test_public_api import SUBMODULES

BUNDLE, SAMPLE = chain(), sample()
(DECISIONS,) = na.decide_over_time(
    BUNDLE,
    na.SpikeTrains.from_trains(
        [SAMPLE], (12,), labels_over_time=na.LabelsOverTime([-1] * 9, [0, 9], 1000)
    ),
    vote_window=na.VoteWindow(2000),
)


def pickled(value):
    return pickle.loads(pickle.dumps(value))


COPIES = [copy.copy, copy.deepcopy, pickled]
REFUSED = r"^a \w+ cannot be pickled or copied; [a-z]"


class Waiting(sources.Source):
    """A source of the user that never yields."""

    async def _next(self):
        await asyncio.Event().wait()


def all_public_classes():
    modules = [na, *(importlib.import_module(f"neuroasync.{name}") for name in SUBMODULES)]
    for module in modules:
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if inspect.isclass(value) and not issubclass(value, BaseException):
                yield value


def arrays_of(value, depth=4) -> Iterator[np.ndarray]:
    """Yield the arrays of a value and of its fields."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from arrays_of(item, depth)
    elif dataclasses.is_dataclass(value) and depth:
        for field in dataclasses.fields(value):
            yield from arrays_of(getattr(value, field.name), depth - 1)


VALUES = [
    SAMPLE,
    na.SpikeTrain([0, 5], [1, 0], [0.5, -2.0]),
    na.SpikeTrains.from_trains([SAMPLE, SAMPLE], (12,), [0, 1]),
    na.SpikeTrains([0, 5], [1, 0], [0, 2], None, (2,), na.LabelsOverTime([1], [0, 1], 9), [1, 2]),
    na.LabelsOverTime([0, 1, -1], [0, 2, 3], 50_000),
    na.VoteWindow(50_000),
    BUNDLE.model,
    BUNDLE,
    record(BUNDLE, [SAMPLE], RunSettings()),
    na.Window("time", 20_000),
    na.parse_run_modes("layer-sync; random F=1,8 queued x2"),
    na.OrderCertificate(
        bytes(32), 2, bytes(32), 0, 0, "quiet", (na.CertifiedMode(na.PolicySpec(), (1,)),), 1
    ),
    StopRule("votes", (2,)),
    Stress("input-loss", 0.1),
    stress_test(BUNDLE, na.SpikeTrains.from_trains([SAMPLE], (12,)), "weight-bits 4", seeds=1),
]


@pytest.mark.parametrize("duplicate", COPIES)
@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_copies_of_data_are_equal_and_nobody_can_write_their_arrays(value, duplicate):
    twin = duplicate(value)
    assert twin == value
    for array in (*arrays_of(value), *arrays_of(twin)):
        with pytest.raises(ValueError, match="cannot set WRITEABLE flag"):
            array.flags.writeable = True


@pytest.mark.parametrize("duplicate", COPIES)
def test_copies_of_decisions_over_time_are_equal(duplicate):
    assert duplicate(DECISIONS) == DECISIONS


@pytest.mark.parametrize("duplicate", COPIES)
async def test_a_copy_of_a_network_is_another_network(duplicate, no_leaks):
    network = na.Network(BUNDLE, seed=5, clock=na.ManualClock(), until="votes(3)")
    async with network:
        expected = await network.decide(SAMPLE)
    twin = duplicate(network)
    async with network:
        with pytest.raises(TypeError, match=r"^an open network and its sessions cannot be pickled"):
            duplicate(network)
        async with twin:  # both are open
            assert await twin.decide(SAMPLE) == expected
            assert (twin.seed, twin.settings) == (network.seed, network.settings)
            assert twin.counts.decisions == 1
    assert network.counts.decisions == 1


@pytest.mark.parametrize("duplicate", COPIES)
async def test_a_copy_of_a_used_network_keeps_its_calibrations(duplicate, no_leaks):
    calibration = na.Calibration(0.9, 0.05, 0.95, 100, (1,), na.PolicySpec("random", 2))
    network = na.Network(dataclasses.replace(BUNDLE, calibration=(calibration,)))
    async with network:
        expected = await network.decide(SAMPLE)  # the copy has what was prepared for this call
    async with duplicate(network) as twin:
        assert (await twin.decide(SAMPLE)).calibrations == expected.calibrations == (calibration,)


@pytest.mark.parametrize("duplicate", COPIES)
async def test_objects_of_an_event_loop_and_of_one_reader_refuse_to_be_copied(duplicate, no_leaks):
    async with na.Network(BUNDLE) as network, network.session() as session:
        queue = na.BoundedQueue(2)
        refused = [
            session,
            session.watch(SAMPLE),
            session.stream([SAMPLE]),
            network.tap("output"),
            queue,
            Waiting(),
            sources.ArraySource(np.zeros(2, [("t", "i8"), ("x", "i8")]), (4,)),
            sources.SpikeFileSource("spikes.npz"),
            sources.CameraFileSource("camera.raw", (2, 4, 4)),
            sources.Paced(Waiting(), na.VirtualClock()),
            sources.UdpSource((4,)),
            sources.WebsocketSource("ws://localhost", 4),
            sinks.JsonLines(io.StringIO()),
            sinks.WebsocketSink(SimpleNamespace(send=queue.put)),
        ]
        async with sources.buffered(Waiting()) as buffered:
            for value in (*refused, buffered):
                with pytest.raises(TypeError, match=REFUSED):
                    duplicate(value)


@pytest.mark.parametrize("duplicate", COPIES)
def test_a_clock_that_nothing_waits_for_can_be_copied(duplicate):
    async def run():
        manual, virtual, real = na.ManualClock(), na.VirtualClock(), na.RealTimeClock(2.5)
        await manual.advance(7)
        await virtual.sleep_until(9)
        real.now_us()
        twins = [duplicate(clock) for clock in (manual, virtual, real)]
        assert [twin.now_us() for twin in twins[:2]] == [7, 9]
        assert twins[2].speed == 2.5
        assert twins[2].now_us() < 1000  # it starts when it is first read
        await twins[0].advance(1)
        assert [manual.now_us(), twins[0].now_us()] == [7, 8]
        waiting = asyncio.create_task(manual.sleep_until(20))
        await asyncio.sleep(0)
        with pytest.raises(TypeError, match=r"^a ManualClock cannot be pickled or copied; a task"):
            duplicate(manual)
        await manual.advance(20)
        await waiting
        assert duplicate(manual).now_us() == 27

    asyncio.run(run())


@pytest.mark.parametrize("duplicate", [copy.deepcopy, pickled])
async def test_a_copy_of_a_recorder_continues_on_its_own(duplicate):
    async with na.Network(BUNDLE) as network:
        recorder = network.recorder()
        await network.decide(SAMPLE, recorder=recorder.for_sample(0))
        twin = duplicate(recorder)
        assert twin.finish() == recorder.finish()
        await network.decide(SAMPLE, recorder=recorder.for_sample(1))
        assert (len(recorder.finish()), len(twin.finish())) == (2, 1)


@pytest.mark.parametrize("learn", [None, "tau_mem,threshold"])
@pytest.mark.parametrize("duplicate", [copy.deepcopy, pickled])
def test_a_copy_of_a_network_in_training_computes_the_same(duplicate, learn):
    from neuroasync.train import SpikingNetwork

    network = SpikingNetwork(BUNDLE.model, device="cpu", threads=2, learn=learn)
    settings = RunSettings()
    trains = na.SpikeTrains.from_trains([SAMPLE], (12,))
    expected = network(network.batch(trains, [0], [1]), settings)
    twin = duplicate(network)
    del network
    found = twin(twin.batch(trains, [0], [1]), settings)
    assert found.votes.tolist() == expected.votes.tolist()


@pytest.mark.parametrize("duplicate", COPIES)
def test_a_copy_of_batches_yields_the_same(duplicate):
    from neuroasync.train import Batches

    trains = na.SpikeTrains.from_trains([SAMPLE] * 5, (12,), [0, 1, 0, 1, 1])
    batches = Batches(BUNDLE.model, trains, 2, seed=3, dropout=0.5)
    twin = duplicate(batches)
    pairs = zip(batches.epoch(1), twin.epoch(1), strict=True)
    assert len(batches) == len(twin) == 3
    for (batch, labels), (other, other_labels) in pairs:
        assert [a.tolist() for a in arrays_of(batch)] == [a.tolist() for a in arrays_of(other)]
        assert labels.tolist() == other_labels.tolist()


def test_every_public_class_with_behaviour_is_tested_here():
    has_behaviour = {
        value.__name__
        for value in all_public_classes()
        if not dataclasses.is_dataclass(value)
        and not issubclass(value, dict | tuple)
        and not getattr(value, "_is_protocol", False)
    }
    assert has_behaviour == {
        "ArraySource", "Batches", "BoundedQueue", "Buffered", "CameraFileSource", "JsonLines",
        "ManualClock", "Network", "Paced", "ProcessGroupExchange", "RealTimeClock", "Recorder",
        "Session", "Source", "SpikeFileSource", "SpikingNetwork", "Tap", "UdpSource",
        "VirtualClock", "WebsocketSink", "WebsocketSource",
    }  # fmt: skip
