"""A cluster decides a data set like a network on one machine, whatever happens to its workers."""

import asyncio
import copy
import os
import signal
import socket
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroasync as na
from tests.helpers.small_networks import chain, loop
from tests.helpers.strategies import dyadic, models, spike_trains

pytest.importorskip("ray", reason="needs ray: pip install 'neuroasync[ray]'")

import ray

from neuroasync.cluster import Cluster, ClusterError, tasks
from neuroasync.cluster.worker import pickled
from neuroasync.shipped import load_spikes

BUNDLE = chain()
DIGITS = load_spikes("digits")


def data_set(size, seed=0):
    """Return random samples for ``BUNDLE``."""
    rng = np.random.default_rng(seed)
    inputs = BUNDLE.model.input_size
    return [
        na.SpikeTrain(np.sort(rng.integers(0, 8000, 60)), rng.integers(0, inputs, 60))
        for _ in range(size)
    ]


async def decide_all(network, samples, **options):
    """Return the decisions of a network, which is open meanwhile."""
    async with network:
        return await network.decide_all(samples, **options)


def running_tasks():
    """Return the number of CPUs that tasks hold at the moment."""
    return 2 - ray.available_resources().get("CPU", 0)


async def until_idle():
    """Wait until Ray reports that no task runs; it updates the report a few times a second."""
    async with asyncio.timeout(30):
        while running_tasks():
            await asyncio.sleep(0.05)


async def test_decisions_on_a_shipped_network_are_those_of_one_machine(cluster, no_leaks):
    options = {"seed": 5, "first": 7, "until": "margin(3)", "policy": "momentum", "group_size": 4}
    expected = await decide_all(na.Network.load("unlayered"), DIGITS, **options)
    counts = []
    found = await decide_all(
        na.Network.load("unlayered"), DIGITS, on_decision=counts.append, cluster=cluster, **options
    )
    assert found == expected
    assert len({d.total_spikes for d in found}) > 10
    assert counts == list(range(1, len(DIGITS) + 1))


def test_decisions_on_random_networks_are_those_of_one_machine(cluster):
    @settings(max_examples=15)
    @given(
        data=st.data(), model=models(weights=dyadic()), policy=st.sampled_from(["random", "fifo"])
    )
    def check(data, model, policy):
        trains = data.draw(st.lists(spike_trains(model), max_size=6))
        network = na.Network(na.Bundle(model), seed=3, policy=policy, max_forward_steps=1000)
        outcomes = []
        for decide in (decide_all, partial(decide_all, cluster=cluster)):
            try:
                outcomes.append(asyncio.run(decide(network, trains)))
            except na.NeuroasyncError as error:
                outcomes.append((type(error), str(error), error.__notes__))
        assert outcomes[0] == outcomes[1]

    check()


async def test_custom_rules_and_options_of_the_network_reach_the_workers(cluster):
    def after_ten(progress):
        return progress.spikes >= 10

    network = na.Network(BUNDLE, seed=9, until=after_ten, group_size=3)
    samples = data_set(5)
    found = await decide_all(network, samples, cluster=cluster)
    assert found == await decide_all(network, samples)


async def test_the_first_sample_with_an_error_is_reported_as_on_one_machine(cluster, no_leaks):
    samples = data_set(40)
    samples[11] = samples[30] = na.SpikeTrain([0, 5], [0, 99])
    messages = []
    for decide in (decide_all, partial(decide_all, cluster=cluster)):
        with pytest.raises(na.EventsError) as error:
            await decide(na.Network(BUNDLE), samples, first=100)
        messages.append((str(error.value), error.value.__notes__))
    assert messages[0] == messages[1]
    assert messages[1][1] == ["in sample 111"]
    await until_idle()


async def test_a_limit_is_reported_as_on_one_machine(cluster):
    messages = []
    for decide in (decide_all, partial(decide_all, cluster=cluster)):
        with pytest.raises(na.ForwardStepLimitError) as error:
            await decide(na.Network(loop(), max_forward_steps=50), [na.SpikeTrain([0], [0])])
        messages.append((str(error.value), error.value.__notes__))
    assert messages[0] == messages[1]


async def test_arguments_are_checked_before_a_task_starts(cluster):
    async with na.Network(BUNDLE) as network:
        decide = partial(network.decide_all, cluster=cluster)
        assert await decide([]) == []
        with pytest.raises(na.StopRuleError, match="got 'soon'"):
            await decide([], until="soon")
        with pytest.raises(TypeError, match="'device' is not an option"):
            await decide([], device="cuda")
        with pytest.raises(ValueError, match="`first` must be"):
            await decide([], first=-1)
        with pytest.raises(na.EventsError, match="`samples` must be SpikeTrains"):
            await decide(3)


async def test_a_bundle_of_spike_trains_with_and_without_values_is_decided_alike(cluster):
    plain = data_set(3)
    samples = [*plain, na.SpikeTrain([0, 40], [1, 2], [0.5, 2.0]), na.SpikeTrain([], [])]
    for data in (samples, plain, na.SpikeTrains.from_trains(samples, (BUNDLE.model.input_size,))):
        found = await decide_all(na.Network(BUNDLE), data, cluster=cluster)
        assert found == await decide_all(na.Network(BUNDLE), data)


async def test_closing_the_network_ends_the_call_and_its_tasks(cluster, no_leaks):
    network = await na.Network.load("unlayered").open()
    work = asyncio.create_task(network.decide_all(DIGITS, cluster=cluster))
    await asyncio.sleep(0)
    await network.close()
    assert work.done()
    with pytest.raises(na.ClosedError, match="closed while it was deciding"):
        await work
    await until_idle()


async def test_killed_workers_change_no_decision(cluster, tmp_path, no_leaks):
    expected = await decide_all(na.Network(BUNDLE), data_set(60))
    pids = tmp_path / "pids"

    def noted(progress):
        # Writes the worker's process, so that the test can kill it while it decides.
        with Path(pids).open("a") as file:
            file.write(f"{os.getpid()}\n")
        return False

    killed = set()

    def kill(count):
        if count % 15 == 0:
            pid = int(pids.read_text().split()[-1])
            killed.add(pid)
            with suppress(ProcessLookupError):  # Ray has ended it meanwhile
                os.kill(pid, signal.SIGKILL)

    found = await decide_all(
        na.Network(BUNDLE), data_set(60), until=noted, on_decision=kill, cluster=cluster
    )
    assert found == expected
    assert killed
    assert os.getpid() not in killed


async def test_cancelled_call_leaves_no_task_behind(cluster, no_leaks):
    deciding = asyncio.current_task()

    def cancel(count):
        if count == 3:
            deciding.cancel()

    with pytest.raises(asyncio.CancelledError):
        await decide_all(na.Network.load("unlayered"), DIGITS, on_decision=cancel, cluster=cluster)
        await asyncio.sleep(0)
    await until_idle()
    assert len(await decide_all(na.Network(BUNDLE), data_set(3), cluster=cluster)) == 3


async def test_exception_of_the_callback_ends_the_call(cluster, no_leaks):
    with pytest.raises(ZeroDivisionError):
        await decide_all(
            na.Network(BUNDLE), data_set(50), on_decision=lambda n: 1 // 0, cluster=cluster
        )
    await until_idle()


def test_error_of_a_pickle_without_a_message_is_named():
    class Unpicklable:
        def __reduce__(self):
            raise KeyError

    with pytest.raises(TypeError, match=r"^`until` cannot be sent to the workers .*: KeyError$"):
        pickled("`until`", Unpicklable())


async def test_options_that_cannot_be_pickled_are_named(cluster, no_leaks):
    lock = threading.Lock()
    with pytest.raises(
        TypeError, match=r"^`until` cannot be sent to the workers .*: cannot pickle"
    ):
        await decide_all(
            na.Network(BUNDLE), data_set(1), until=lambda _: lock.locked(), cluster=cluster
        )
    with pytest.raises(
        TypeError, match=r"^the network cannot be sent to the workers .*: cannot pi"
    ):
        await decide_all(
            na.Network(BUNDLE, until=lambda _: lock.locked()), data_set(1), cluster=cluster
        )


async def test_worker_that_dies_each_time_is_an_error(cluster, monkeypatch):
    monkeypatch.setattr(tasks, "_remote", tasks._remote.options(max_retries=1))
    with pytest.raises(ClusterError, match=r"Ray could not run a task: .*died"):
        await decide_all(
            na.Network(BUNDLE), data_set(1), until=lambda _: os._exit(1), cluster=cluster
        )


async def test_cluster_that_is_not_connected_says_so(cluster):
    unused = Cluster()
    with pytest.raises(na.ClosedError, match="use it inside `with`"):
        await decide_all(na.Network(BUNDLE), [], cluster=unused)
    assert repr(unused) == "<Cluster 'local', not connected>"
    with unused, pytest.raises(RuntimeError, match="connected already"):
        unused.__enter__()
    assert cluster.cpus == 2  # a second connection has not ended the first


def test_a_cluster_cannot_be_copied():
    with pytest.raises(TypeError, match="a Cluster cannot be pickled or copied; create another"):
        copy.copy(Cluster())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"address": 3}, "`address` must be"),
        ({"address": "ray://host:1"}, "ray job submit"),
        ({"address": "auto", "cpus": 2}, "`cpus` is for a local cluster only"),
        ({"cpus": 0}, "`cpus` must be"),
    ],
)
def test_invalid_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Cluster(**arguments)


def test_a_port_at_which_nothing_answers_is_an_error_at_once(monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(ClusterError, match=f"^cannot connect to the Ray cluster '{address}': "):
            Cluster(address).__enter__()


def test_a_cluster_that_refuses_the_program_may_require_a_token(monkeypatch):
    def refuse(**_):
        raise ConnectionError("Failed to connect")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    with socket.create_server(("127.0.0.1", 0)) as server:
        cluster = Cluster(f"127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(ClusterError, match=r"Failed to connect; .* set RAY_AUTH_MODE=token$"):
            cluster.__enter__()
