"""Streams that another session continues, with a source that it takes over."""

import asyncio

from tests.helpers.small_networks import chain, sample

BUNDLE = chain()
TRAIN = sample(events=120, duration_us=60_000)
WINDOWS = ["time(5000)", "events(9)", "silence(2000)", "decided"]


class Source:
    """An async source of the chunks of a train; it continues where it was left."""

    def __init__(self, train, at):
        self._parts = [
            (train.t_us[k : k + at], train.index[k : k + at]) for k in range(0, len(train), at)
        ]
        self.taken = 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(0)
        if self.taken == len(self._parts):
            raise StopAsyncIteration
        self.taken += 1
        return self._parts[self.taken - 1]
