"""Event records: forward passes of a batch by the runtime's kernels, and their backward pass.

A batch is divided into a fixed number of chunks of samples, each with its own network state and
logs. The chunks run in parallel threads, since the kernels release the GIL. Gradients are summed in
their order, so the result does not depend on the number of threads, to the bit. Several workers can
divide the chunks; see ``neuroasync.train.parallel``.
"""

import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.cpu import cores
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedArrays, PackedNetwork
from neuroasync.core.engine.packed_neurons import neuron_arrays
from neuroasync.core.engine.policies import LayerSync, custom_policy, policy_name
from neuroasync.core.engine.run_settings import RunSettings, forward_step_limit_error
from neuroasync.core.immutable import immutable
from neuroasync.core.kernels.layout import Control, Dynamics, Interrupt
from neuroasync.core.large_arrays import aligned
from neuroasync.core.model.checks import check_fraction, check_int, must_be, shown
from neuroasync.core.model.model import Model
from neuroasync.core.model.neurons import Neuron
from neuroasync.train.batch import Batch
from neuroasync.train.event_chunk import Chunk
from neuroasync.train.kernels.backward import backward_samples
from neuroasync.train.kernels.backward_turns import backward_turns
from neuroasync.train.kernels.forward import forward_samples
from neuroasync.train.neurons.decays import DecayTables
from neuroasync.train.neurons.learned import LearnedParameters
from neuroasync.train.parallel.exchange import Exchange
from neuroasync.train.parallel.shares import (
    PassPlace,
    add_and_clear,
    complete,
    shares_of,
    sum_in_order,
)

__all__ = ["CHUNKS", "EventRecord", "EventRecordRunner", "check_settings", "check_trainable"]

_Result = TypeVar("_Result")

CHUNKS: Final = 8
"""Number of chunks, and so of threads and workers that a batch can use. Each thread needs a
gradient buffer as large as the weights."""

_NO_VALUES: Final = immutable(np.zeros(0, np.float32), np.float32)


def check_trainable(model: Model) -> None:
    """Raise ValueError if the trainer does not support the network."""
    if model.timestep_us == 0 and any(c.delay_us for c in model.connections):
        # The backward pass counts delays in passes, which needs passes of equal length.
        raise ValueError("`timestep_us` must be at least 1 to train a network with delays, got 0")


def check_settings(settings: RunSettings, dropout: float) -> None:
    """Raise ValueError if the trainer does not support the policy, the stop rule or the dropout."""
    if custom_policy(settings.policy) is not None:
        raise ValueError(must_be("policy", "built in", policy_name(settings.policy)))
    if callable(settings.until) or settings.until.name != "quiet":
        raise ValueError(must_be("until", "'quiet'", shown(str(settings.until))))
    check_fraction("dropout", dropout)


class EventRecord:
    """Everything about a batch's forward passes that the backward pass needs.

    Attributes:
        votes: f32[B, T, classes], spikes of the output population in each pass.
        spikes: f32[B, T, P], spikes of each population in each pass.
        potentials: f32[B, T, classes], membrane potentials of the output at the end of each pass
            if it consists of leaky integrators; otherwise f32[B, T, 0].
        labels: i64[B], decisions; -1 where there is none.
    """

    def __init__(
        self,
        batch: Batch,
        model: Model,
        arrays: PackedArrays,
        neurons: Sequence[Neuron],
        settings: RunSettings,
    ) -> None:
        self.batch = batch
        self.arrays = arrays
        self.neurons = neurons
        self.settings = settings
        samples, passes = len(batch), batch.timesteps
        classes = model.populations[model.index(model.output)].size
        self.votes = np.zeros((samples, passes, classes), np.float32)
        self.spikes = np.zeros((samples, passes, len(model.populations)), np.float32)
        columns = classes if model.decides_by_potential else 0
        self.potentials = np.zeros((samples, passes, columns), np.float32)
        self.labels = np.zeros(samples, np.int64)
        self.chunks: list[Chunk] = []

    def rows(self) -> list[NDArray[np.int64]]:
        """Return each sample's spikes in firing order, as i64[spikes, 3]: pass, step, neuron.

        With other workers, these are the samples of this worker.
        """
        return [rows for chunk in self.chunks for rows in chunk.sample_rows()]


class EventRecordRunner:
    """Runner of batches on one network: forward passes with an event record, and backward passes.

    Args:
        model: The network. Its weights are not used.
        threads: Maximum number of threads, at least 1. None takes the number of available cores.
        learned: Parameters of neurons that are learned, if any; ``model`` must be the one of
            ``learned``.
        exchange: Connection to other workers, each of which runs a share of every batch. None runs
            all samples here.

    Raises:
        ValueError: The network cannot be trained, ``threads`` is out of range, or there are too
            many workers.
    """

    def __init__(
        self,
        model: Model,
        threads: int | None = None,
        learned: LearnedParameters | None = None,
        exchange: Exchange | None = None,
    ) -> None:
        check_trainable(model)
        if exchange is not None and exchange.workers > CHUNKS:
            requirement = f"at most {CHUNKS}, because a batch has as many chunks"
            raise ValueError(must_be("workers", requirement, str(exchange.workers)))
        self._exchange = exchange
        self.model = model
        self.learned = learned
        self.packed = PackedNetwork(model, contiguous=True)
        if threads is not None:
            threads = check_int("threads", threads, 1, limits.MAX_TIME_US, ValueError)
        self.threads = min(CHUNKS, threads or cores())
        self._pool = ThreadPoolExecutor(self.threads) if self.threads > 1 else None
        self._idle: dict[tuple[RunSettings, float], tuple[ExecutionPlan, list[Chunk]]] = {}
        self._decays = DecayTables(model, learns=learned is not None)
        self._buffers: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        sizes = [p.size for p in model.populations]
        self._owner = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        ranked = sorted((rank, p) for p, rank in enumerate(model.ranks))
        self._by_rank = np.array([p for _, p in ranked], np.int64)
        timestep = max(model.timestep_us, 1)
        adapts = any(p.neuron.adaptation is not None for p in model.populations)
        self._needs_states = learned is not None or adapts
        self._increments = np.zeros(model.size, np.float32)
        if (dynamics := self.packed.arrays.dynamics).size:
            self._increments = dynamics[Dynamics.INCREMENT].astype(np.float32)
        self._lags = np.array([c.delay_us // timestep for c in model.connections], np.int64)

    def __reduce__(self) -> tuple[type[Self], tuple[Model, int, LearnedParameters | None]]:
        """Return how to make a pickle or a copy, because addresses hold in this process only.

        A copy has no connection to other workers, and runs all samples.
        """
        return type(self), (self.model, self.threads, self.learned)

    def run(
        self,
        weights: NDArray[np.float32],
        batch: Batch,
        settings: RunSettings,
        dropout: float = 0.0,
        keep: bool = True,
        logs: NDArray[np.float32] | None = None,
    ) -> EventRecord:
        """Run the forward passes of a batch.

        Args:
            weights: f32[..], laid out like ``PackedArrays.weights``. They must not change while
                the record is in use.
            batch: The samples.
            settings: Ordering policy, group size and input mode. The stop rule must be
                ``quiet``.
            dropout: Probability that a neuron does not become refractory when it fires.
            keep: Whether :meth:`backward` will be called with the record.
            logs: f32[..], logarithms of the learned parameters; required if there are any.

        Raises:
            ValueError: The batch was made for another network, the policy is custom, the stop
                rule is not ``quiet``, or ``dropout`` is not from 0 to 1.
            ForwardStepLimitError: A pass took more forward steps than the settings allow.
            LimitError: The samples of a chunk have 2^31 deliveries or more.
            ExchangeError: The connection to another worker was lost.
        """
        batch.check_fits(self.model)
        check_settings(settings, dropout)
        arrays, neurons = self.packed.arrays, [p.neuron for p in self.model.populations]
        if self.learned is not None and logs is not None:
            neurons = self.learned.neurons(logs)
            arrays = arrays._replace(**neuron_arrays(self.model, neurons)._asdict())
        arrays = arrays._replace(weights=weights)
        record = EventRecord(batch, self.model, arrays, neurons, settings)
        if (key := (settings, dropout)) not in self._idle:
            self._idle[key] = ExecutionPlan(self.packed, settings, dropout=dropout), []
        plan, idle = self._idle[key]
        exchange = self._exchange
        workers, worker = (1, 0) if exchange is None else (exchange.workers, exchange.worker)
        shares = shares_of(len(batch), CHUNKS, workers)
        passes = batch.timesteps if keep else 0
        for samples in shares[worker]:
            chunk = idle.pop() if idle else Chunk(plan)
            chunk.open(samples, passes, keep and self._needs_states)
            record.chunks.append(chunk)
        # When the record is garbage-collected, a later batch can reuse its chunks.
        weakref.finalize(record, idle.extend, list(record.chunks))
        ran = self._each(lambda chunk: self._forward(record, chunk), record.chunks)
        endless = next((place for place in ran if place is not None), None)
        if exchange is not None:
            results = record.labels, record.votes, record.spikes, record.potentials
            endless = complete(exchange, shares, results, endless)
        if endless is not None:
            sample, number, owner = endless
            place = f"sample {sample} of the batch: pass {number}"
            raise forward_step_limit_error(place, settings, self.model, owner)
        return record

    def backward(
        self,
        record: EventRecord,
        grad_votes: NDArray[np.float32],
        grad_spikes: NDArray[np.float32],
        grad_potentials: NDArray[np.float32],
        surrogate: tuple[int, float],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the gradient of the loss with respect to the weights and learned parameters.

        Under layer-sync, this is backpropagation through time; see
        ``neuroasync.train.kernels.backward_turns``. Otherwise the gradient follows the peak rule;
        see ``neuroasync.train.kernels.backward``.

        Args:
            record: Record of a :meth:`run` with ``keep=True``.
            grad_votes: f32[B, T, classes], gradient with respect to ``record.votes``.
            grad_spikes: f32[B, T, P], gradient with respect to ``record.spikes``.
            grad_potentials: f32[B, T, ..], gradient with respect to ``record.potentials``.
            surrogate: ``Surrogate.code`` of the surrogate derivative.

        Returns:
            f32[..], laid out like the weights; and f32[learned parameters].

        Raises:
            ExchangeError: The connection to another worker was lost.
        """
        kind, slope = surrogate[0], np.float32(surrogate[1])
        decays, slopes, decay_of = self._decays.tables(record.neurons, record.batch)
        size, columns = record.arrays.weights.size, 0 if self.learned is None else self.model.size
        output = self.model.index(self.model.output)

        network = (*record.arrays[:5], self._increments, self._owner)
        in_turns = isinstance(record.settings.policy, LayerSync)

        def backward_chunk(chunk: Chunk) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            grad, neuron_grad = self._cleared_gradients(size, columns)
            logs, at = chunk.scratch, chunk.samples
            target = (
                chunk.states, grad_votes[at], grad_spikes[at], grad_potentials[at], output, kind,
                slope, grad, neuron_grad,
            )  # fmt: skip
            deliveries = chunk.origins, chunk.factors, chunk.runs
            if in_turns:
                backward_turns(
                    *network, self._lags, decays, slopes, decay_of[at], logs.spike_log, *deliveries,
                    chunk.turn_log, chunk.turn_potentials, chunk.ends, *target,
                )  # fmt: skip
            else:
                backward_samples(
                    *network, self._by_rank, self._lags, decays, slopes, decay_of[at],
                    logs.spike_log, logs.spike_log_momentum, *deliveries, chunk.ends, chunk.peaks,
                    chunk.peak_steps, *target,
                )  # fmt: skip
            return grad, neuron_grad

        total, of_neurons = np.zeros(size, np.float32), np.zeros((3, columns), np.float32)
        gradients = self._each(backward_chunk, record.chunks)
        if self._exchange is not None:
            # They are all computed before this worker waits for those before it.
            computed = list(gradients)
            sum_in_order(self._exchange, (total, of_neurons), computed)
            self._buffers += computed
        else:
            for of_chunk in gradients:
                add_and_clear((total, of_neurons), of_chunk)
                # A single thread visits the next chunk now, whose buffer stays in the cache.
                self._buffers.append(of_chunk)
        if self.learned is None:
            return total, np.zeros(0, np.float32)
        thresholds = record.arrays.thresholds
        of_neurons[2] *= np.where(np.isinf(thresholds), 0, thresholds)
        return total, self.learned.gathered(of_neurons)

    def _cleared_gradients(
        self, size: int, columns: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return zeros f32[size] and f32[3, columns] for the gradients of a chunk."""
        with suppress(IndexError):  # Buffers were cleared when they were added to the sum.
            return self._buffers.pop()
        # Vectors that cross cache lines take twice the time.
        return aligned(np.zeros(size, np.float32)), np.zeros((3, columns), np.float32)

    def _each(self, work: Callable[[Chunk], _Result], chunks: list[Chunk]) -> Iterator[_Result]:
        """Apply ``work`` to all chunks, in threads if there are several; yield in their order."""
        return map(work, chunks) if self._pool is None else self._pool.map(work, chunks)

    def _forward(self, record: EventRecord, chunk: Chunk) -> PassPlace | None:
        """Run the samples of a chunk, and enlarge its logs whenever they are full.

        Returns:
            The pass that took too many forward steps, if there is one.
        """
        batch, at, state, arrays = record.batch, chunk.samples, chunk.state, record.arrays
        value = _NO_VALUES if batch.value is None else batch.value
        network = (
            arrays.weights, arrays.thresholds, arrays.factors, arrays.taus, arrays.uniform,
            arrays.dynamics,
        )  # fmt: skip
        k, resumes = 0, False
        while True:
            k, interrupt = forward_samples(
                state.context, k, resumes, network, batch.t_us, batch.index, value,
                batch.end_us[at], batch.seeds[at], batch.offsets[at.start : at.stop + 1],
                chunk.peak_addresses, chunk.ends, self._owner, chunk.keeps, chunk.origins,
                chunk.factors, chunk.runs, chunk.states, record.votes[at], record.spikes[at],
                record.potentials[at], record.labels[at],
            )  # fmt: skip
            control, resumes = state.control, True
            if interrupt == Interrupt.NEEDS_ROOM:
                chunk.grow()
            elif interrupt == Interrupt.STEP_LIMIT:
                return at.start + k, int(control[Control.PASS]), int(control[Control.LAST_OWNER])
            else:
                return None
