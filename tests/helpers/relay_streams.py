"""Streams of a network of one neuron, which fires once in each pass that has an event."""

import asyncio

import numpy as np

import neuroasync as na

LIF = na.LIF(tau_mem_us=np.inf, v_threshold=0.5)
ONE = np.ones((1, 1), np.float32)


def relay(delay_us=5000, timestep_us=1000, weight=1.0, lif=LIF):
    """Return a network whose neuron fires ``delay_us`` after an event."""
    wire = na.Dense("input", "output", ONE * np.float32(weight), delay_us=delay_us)
    output = na.Population("output", (1,), lif)
    return na.Bundle(na.Model(timestep_us, (1,), (output,), (wire,), "output"))


RELAY = relay(delay_us=0)


def at(*times):
    """Return one event of input 0 at each time, in µs."""
    return np.array(times, np.int64), np.zeros(len(times), np.int64)


async def collected(stream):
    """Return all decisions of a stream."""
    return [d async for d in stream]


async def votes(bundle, parts, window, carry_state=None, **options):
    """Return the votes for class 0 in each window of a stream."""
    async with na.Network(bundle, **options) as network, network.session() as session:
        stream = session.stream(parts, window=window, carry_state=carry_state)
        return [int(d.votes[0]) async for d in stream]


class Feed:
    """A source that yields each chunk when the test passes it to :meth:`give`."""

    def __init__(self):
        self._parts = na.BoundedQueue(1000)

    def give(self, *times):
        self._parts.push((list(times), [0] * len(times)))

    def end(self):
        self._parts.close()

    def __aiter__(self):
        return self._parts


class Stream:
    """A stream of RELAY that a separate task reads, under a clock that the test advances."""

    def __init__(self, network, clock, feed, **options):
        self.decisions, self.clock, self.feed = [], clock, feed
        self.session = network.session()
        self._task = asyncio.create_task(self._read(options))

    async def _read(self, options):
        async with self.session as session:
            async for decision in session.stream(self.feed, **options):
                self.decisions.append((self.clock.now_us(), decision))

    @property
    def votes(self):
        return [(t_us, int(d.votes[0])) for t_us, d in self.decisions]

    @property
    def counts(self):
        return self.session.counts

    def cancel(self):
        self._task.cancel()

    async def ended(self):
        await self._task


async def opened(clock, bundle=RELAY, **options):
    """Return an open network and a stream that runs on the clock."""
    network = na.Network(bundle, clock=clock)
    await network.__aenter__()
    feed = Feed()
    return network, Stream(network, clock, feed, **options)


async def settle():
    """Let all tasks run until they wait."""
    for _ in range(20):
        await asyncio.sleep(0)
