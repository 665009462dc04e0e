"""Threads that work on the samples of a data set, a chunk at a time."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Generic, TypeAlias, TypeVar

__all__ = ["SampleThreads", "Worker"]

_Result = TypeVar("_Result")

Worker: TypeAlias = Callable[[range], Iterator[tuple[int, _Result]]]
"""Works on the samples at some positions, and yields the position and result of each in order."""

_MAX_CHUNK: Final = 32
_MAX_THREADS: Final = 64


class SampleThreads(Generic[_Result]):
    """Works on all samples of a data set. Results do not depend on the number of threads.

    Args:
        size: number of samples.
        threads: maximum number of threads, at least 1.
        first: number of the first sample, for the note of an error.
    """

    def __init__(self, size: int, threads: int, first: int = 0) -> None:
        self._size = size
        self._threads = threads = min(threads, max(size, 1), _MAX_THREADS)
        self._first = first
        # Chunks are small enough that no thread is idle for long at the end.
        self._chunk = max(1, min(_MAX_CHUNK, size // (4 * threads)))
        self._next = 0
        self._results: dict[int, _Result] = {}
        self._errors: dict[int, BaseException] = {}
        self._on_result: Callable[[int], object] | None = None
        self._is_stopped = False
        self.lock = threading.Lock()

    @property
    def is_stopped(self) -> bool:
        """Whether :meth:`stop` was called."""
        return self._is_stopped

    def run(
        self,
        new_worker: Callable[[], Worker[_Result]],
        on_result: Callable[[int], object] | None = None,
    ) -> list[_Result]:
        """Work on all samples. Blocks the calling thread until the threads have ended.

        Args:
            new_worker: called once in each thread; returns what works on samples.
            on_result: called in one of the threads with the number of results so far.

        Returns:
            The results in the order of the samples; some are missing after :meth:`stop`.

        Raises:
            BaseException: the error of the first sample that has one, with a note of its number.
        """
        self._on_result = on_result
        with ThreadPoolExecutor(self._threads, "neuroasync") as pool:
            try:
                for thread in [pool.submit(self._work, new_worker) for _ in range(self._threads)]:
                    thread.result()
            except BaseException:  # an interrupt of the caller
                self.stop()
                raise
        if self._errors:
            first = min(self._errors)
            self._errors[first].add_note(f"in sample {self._first + first}")
            raise self._errors[first]
        return [self._results[k] for k in sorted(self._results)]

    def stop(self) -> None:
        """Make all threads end soon; samples in progress are discarded."""
        self._is_stopped = True

    def check(self) -> None:
        """Leave the sample in progress if the threads are to end. Workers call it often."""
        if self._is_stopped:
            raise _StoppedError

    def _next_chunk(self) -> range:
        """Return the positions of the next samples; empty if none is left."""
        with self.lock:
            first = self._next
            stop = min(first + self._chunk, self._size)
            if not self._is_stopped:
                self._next = max(first, stop)
                return range(first, stop)
            return range(0)

    def _work(self, new_worker: Callable[[], Worker[_Result]]) -> None:
        worker = new_worker()
        while samples := self._next_chunk():
            done = samples.start
            try:
                for k, result in worker(samples):
                    done = k + 1
                    with self.lock:
                        self._results[k] = result
                        if self._on_result is not None:
                            self._on_result(len(self._results))
            except _StoppedError:
                return
            except BaseException as error:  # run() raises it, unless an earlier sample failed too
                with self.lock:
                    self._errors[done] = error
                    self._next = self._size
                return


class _StoppedError(Exception):
    """Raised in a thread to leave a sample after :meth:`SampleThreads.stop`."""
