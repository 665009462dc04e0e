"""Workers of a data-parallel training in threads of one process."""

import threading
from concurrent.futures import ThreadPoolExecutor

import torch


class ThreadExchange:
    """The connection of one of several threads to the others.

    Attributes:
        messages: Number of messages of each worker so far.
    """

    def __init__(self, worker, workers, barrier, shared):
        self.worker, self.workers = worker, workers
        self._barrier, self._shared = barrier, shared
        self.messages = [0] * workers

    def broadcast(self, array, source):
        """Give all workers the array of one of them."""
        if self.worker == source:
            self._shared[:] = [array.copy()]
        self._barrier.wait()
        (sent,) = self._shared
        assert (sent.shape, sent.dtype) == (array.shape, array.dtype)
        array[...] = sent
        self.messages[source] += 1
        self._barrier.wait()


def in_threads(workers, work):
    """Call ``work(exchange)`` in a thread for each worker, and return the results in order.

    If a call raises, the others end, and the exception of the first worker that has one is raised.
    """
    # The number of threads holds for the whole process; the workers must not change it in turns.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    barrier, shared = threading.Barrier(workers, timeout=60), []

    def run(worker):
        try:
            return work(ThreadExchange(worker, workers, barrier, shared))
        except threading.BrokenBarrierError:
            raise
        except BaseException:
            barrier.abort()
            raise

    try:
        with ThreadPoolExecutor(workers) as pool:
            futures = [pool.submit(run, worker) for worker in range(workers)]
        errors = [e for future in futures if (e := future.exception()) is not None]
        for error in errors:
            if not isinstance(error, threading.BrokenBarrierError):
                raise error
        return [future.result() for future in futures]
    finally:
        torch.set_num_threads(before)
