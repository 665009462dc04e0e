"""A source that reads a spike file."""

import os
from collections.abc import Generator

from neuroasync import limits
from neuroasync.core.durations import Duration, microseconds
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.values import taken_values
from neuroasync.core.formats.spike_file import read_spikes
from neuroasync.errors import SpikeFileError
from neuroasync.sources.base import Source
from neuroasync.sources.worker_thread import ThreadedItems

__all__ = ["SpikeFileSource"]


class SpikeFileSource(Source):
    """The samples of a spike file as one stream, as fast as possible.

    Sample number k begins at ``k * period_us``. The whole file is read in a thread when the first
    chunk is requested. Use :class:`~neuroasync.sources.Paced` to replay it in real time or N times
    as fast. To decide on each sample separately, no source is needed:
    ``session.stream(read_spikes(path))``.

    Args:
        path: path of the file.
        period_us: time from the start of one sample to the start of the next, µs or such as
            ``"20ms"``. Required if the file has more than one sample.
        max_bytes: maximum size of the file, see :func:`neuroasync.read_spikes`.

    Raises:
        ValueError: ``period_us`` is out of range.
        SpikeFileError: while reading: the file is missing, damaged or too large, a sample is longer
            than the period, or the stream would last too long.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        period_us: Duration | None = None,
        max_bytes: int = limits.MAX_SPIKE_FILE_BYTES,
    ) -> None:
        super().__init__()
        self._period_us = None if period_us is None else microseconds(period_us, "period_us", 1)
        self._path = os.fspath(path)
        self._max_bytes = max_bytes
        self._chunks = ThreadedItems(self._read)

    async def _next(self) -> SpikeTrain | None:
        return await self._chunks.next()

    async def _close(self) -> None:
        await self._chunks.close()

    def _read(self) -> Generator[SpikeTrain, None, None]:
        spikes = read_spikes(self._path, self._max_bytes)
        longest_us = int(spikes.t_us.max(initial=0)) + 1
        period_us = self._period_us or longest_us
        if longest_us > period_us or (len(spikes) > 1 and self._period_us is None):
            raise SpikeFileError(
                f"{self._path!r}: the file has {len(spikes)} samples of up to {longest_us} µs; "
                f"`period_us` must be at least {longest_us} to read them as one stream"
            )
        if (last_us := (len(spikes) - 1) * period_us + longest_us - 1) > limits.MAX_TIME_US:
            raise SpikeFileError(
                f"{self._path!r}: the file has {len(spikes)} samples; with a `period_us` of "
                f"{period_us}, the stream lasts until {last_us} µs, the limit is "
                f"{limits.MAX_TIME_US}"
            )
        for number, sample in enumerate(spikes):
            t_us = sample.t_us + number * period_us
            for start in range(0, len(sample), limits.MAX_CHUNK_EVENTS):
                chunk = slice(start, start + limits.MAX_CHUNK_EVENTS)
                yield SpikeTrain(
                    t_us[chunk], sample.index[chunk], taken_values(sample.value, chunk)
                )
