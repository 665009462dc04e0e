"""Event records: forward passes of a batch by the runtime's kernels, and their backward pass.

A batch is divided into a fixed number of chunks of samples. Each chunk has its own network state,
logs and gradient buffer. The chunks run in parallel threads, since the kernels release the GIL.
Gradients are summed in the order of the chunks, so the result does not depend on the number of
threads, to the bit.
"""

import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.cpu import cores
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.network_state import NetworkState
from neuroasync.core.engine.packed_network import PackedArrays, PackedNetwork
from neuroasync.core.engine.policies import LayerSync
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.scratch_buffers import grown
from neuroasync.core.kernels.layout import Context, Control, Interrupt, SpikeLog, TurnLog
from neuroasync.core.model.model import Model
from neuroasync.core.model.neurons import LI
from neuroasync.errors import ForwardStepLimitError
from neuroasync.train.batch import Batch, decay_table
from neuroasync.train.kernels.backward import backward_samples
from neuroasync.train.kernels.backward_turns import backward_turns
from neuroasync.train.kernels.forward import forward_samples

__all__ = ["EventRecord", "EventRecordRunner", "check_trainable"]

_CHUNKS: Final = 8
"""Number of chunks, and so of threads that a batch can use. Each needs a gradient buffer as large
as the weights."""


def check_trainable(model: Model) -> None:
    """Raise ValueError if the trainer does not support the network."""
    for population in model.populations:
        neuron = population.neuron
        features = {
            "leaky integrators (`LI`)": isinstance(neuron, LI),
            "a delayed reset (`reset_delayed`)": neuron.reset_delayed,
            "its own amount to subtract (`reset_amount`)": neuron.reset_amount is not None,
            "no reset (`reset='none'`)": neuron.reset == "none",
            "a synaptic current (`tau_syn_us`)": neuron.tau_syn_us is not None,
            "an adaptive threshold (`adaptation`)": neuron.adaptation is not None,
        }
        for feature, is_there in features.items():
            if is_there:
                raise ValueError(
                    f"population {population.name!r} has {feature}, which the trainer does not "
                    "support; train it in another framework and import it"
                )
    if model.timestep_us == 0 and any(c.delay_us for c in model.connections):
        # The backward pass counts delays in passes, which needs passes of equal length.
        raise ValueError("`timestep_us` must be at least 1 to train a network with delays, got 0")


class EventRecord:
    """Everything about a batch's forward passes that the backward pass needs.

    Attributes:
        votes: f32[B, T, classes], spikes of the output population in each pass.
        spikes: f32[B, T, P], spikes of each population in each pass.
        labels: i64[B], decisions; -1 where there is none.
    """

    def __init__(
        self, batch: Batch, model: Model, arrays: PackedArrays, settings: RunSettings
    ) -> None:
        self.batch = batch
        self.arrays = arrays
        self.settings = settings
        samples, passes = len(batch), batch.timesteps
        classes = model.populations[model.index(model.output)].size
        self.votes = np.zeros((samples, passes, classes), np.float32)
        self.spikes = np.zeros((samples, passes, len(model.populations)), np.float32)
        self.labels = np.zeros(samples, np.int64)
        self.chunks: list[_Chunk] = []

    def rows(self) -> list[NDArray[np.int64]]:
        """Return each sample's spikes in firing order, as i64[spikes, 3]: pass, step, neuron."""
        return [rows for chunk in self.chunks for rows in chunk.sample_rows()]


class _Chunk:
    """Network state, logs and gradient buffer of some samples, reused by later batches."""

    def __init__(self, plan: ExecutionPlan) -> None:
        self.state = NetworkState(plan)
        self.peaks = np.zeros((0, 0, 0), np.float32)
        self.peak_steps = np.zeros((0, 0, 0), np.int32)
        self.turn_log = np.zeros((len(TurnLog), 0), np.int64)
        self.turn_potentials = np.zeros(0, np.float32)
        self.ends = np.zeros((4, 0), np.int64)
        self.samples = slice(0, 0)
        self.grad = np.zeros(0, np.float32)

    def open(self, samples: slice, passes: int, arrays: PackedArrays) -> None:
        """Prepare the chunk for ``samples``.

        Args:
            samples: Range of samples in the batch.
            passes: Passes whose potentials are recorded; 0 records none, for forward passes
                without a backward pass.
            arrays: The network with the weights to use.
        """
        count, plan = samples.stop - samples.start, self.state.plan
        has_turns = isinstance(plan.run.policy, LayerSync)
        neurons, populations = plan.packed.model.size, len(plan.packed.model.populations)
        shape = (count, passes, neurons) if passes and not has_turns else (count, 0, 0)
        if self.peaks.shape != shape:
            self.peaks, self.peak_steps = np.empty(shape, np.float32), np.empty(shape, np.int32)
        if passes and has_turns:
            # One turn of each population in a pass; back edges may add others, for which the
            # logs grow. Kernels want room for one more turn.
            self._grow_turns((count * passes + 1) * populations, (count * passes + 1) * neurons)
        else:
            self.turn_log = np.zeros((len(TurnLog), 0), np.int64)
            self.turn_potentials = np.zeros(0, np.float32)
        self.samples = samples
        self.ends = np.zeros((4, count), np.int64)
        self.state.keep = True
        context = self.state.acquire_scratch().context
        context[Context.WEIGHTS] = arrays.weights.ctypes.data
        context[Context.PEAK_PASSES] = passes
        context[Context.PEAKS] = self.peaks.ctypes.data if self.peaks.size else 0
        context[Context.TURNS] = 0
        self._place_turns()
        control = self.state.control
        control[Control.SPIKE_LOG] = control[Control.DELIVERY_LOG] = 0

    def peak_addresses(self) -> NDArray[np.int64]:
        """Return the addresses of the peaks and of their steps, and the bytes per sample."""
        size = self.peaks[0].nbytes if self.peaks.size else 0
        return np.array([self.peaks.ctypes.data, self.peak_steps.ctypes.data, size], np.int64)

    def grow(self) -> None:
        """Enlarge the logs as a kernel requested, and keep their contents."""
        control, scratch = self.state.control, self.state.acquire_scratch()
        slots, neurons = int(control[Control.NEEDED_SLOTS]), self.state.plan.packed.model.size
        scratch.grow_logs(
            int(control[Control.SPIKE_LOG]) + neurons, int(control[Control.DELIVERY_LOG]) + slots
        )
        self.state.make_room()
        if turns := self.turn_log.shape[1]:
            self._grow_turns(turns + 1, self.turn_potentials.size + neurons)
            self._place_turns()

    def _grow_turns(self, turns: int, potentials: int) -> None:
        """Make room for this many turns and potentials in all, and keep the contents."""
        self.turn_log = grown(self.turn_log, turns)
        self.turn_potentials = grown(self.turn_potentials, potentials)

    def _place_turns(self) -> None:
        """Write the addresses and sizes of the logs of turns to the context."""
        context = self.state.acquire_scratch().context
        context[Context.TURN_LOG] = self.turn_log.ctypes.data
        context[Context.TURN_LOG_CAPACITY] = self.turn_log.shape[1]
        context[Context.TURN_POTENTIALS] = self.turn_potentials.ctypes.data
        context[Context.TURN_POTENTIALS_CAPACITY] = self.turn_potentials.size

    def sample_rows(self) -> Iterable[NDArray[np.int64]]:
        """Return each sample's spikes as i64[spikes, 3]: pass, step, neuron."""
        spike_log = self.state.acquire_scratch().spike_log
        rows = spike_log[[SpikeLog.PASS, SpikeLog.STEP, SpikeLog.NEURON]].T
        starts = [0, *self.ends[1, :-1].tolist()]
        return (rows[a:b] for a, b in zip(starts, self.ends[1].tolist(), strict=True))


class EventRecordRunner:
    """Runner of batches on one network: forward passes with an event record, and backward passes.

    Args:
        model: The network. Its weights are not used.
        threads: Maximum number of threads. None takes the number of available cores.

    Raises:
        ValueError: The network cannot be trained.
    """

    def __init__(self, model: Model, threads: int | None = None) -> None:
        check_trainable(model)
        self.model = model
        self.packed = PackedNetwork(model)
        self.threads = min(_CHUNKS, threads or cores())
        self._pool = ThreadPoolExecutor(self.threads) if self.threads > 1 else None
        self._idle: dict[tuple[RunSettings, float], list[_Chunk]] = {}
        sizes = [p.size for p in model.populations]
        self._owner = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        ranked = sorted((rank, p) for p, rank in enumerate(model.ranks))
        self._by_rank = np.array([p for _, p in ranked], np.int64)
        timestep = max(model.timestep_us, 1)
        self._lags = np.array([c.delay_us // timestep for c in model.connections], np.int64)

    def __reduce__(self) -> tuple[type[Self], tuple[Model, int]]:
        """Return how to make a pickle or a copy, because addresses hold in this process only."""
        return type(self), (self.model, self.threads)

    def run(
        self,
        weights: NDArray[np.float32],
        batch: Batch,
        settings: RunSettings,
        dropout: float = 0.0,
        keep: bool = True,
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

        Raises:
            ValueError: The batch was made for another network.
            ForwardStepLimitError: A pass took more forward steps than the settings allow.
        """
        batch.check_fits(self.model)
        record = EventRecord(
            batch, self.model, self.packed.arrays._replace(weights=weights), settings
        )
        samples = len(batch)
        bounds = [samples * k // _CHUNKS for k in range(_CHUNKS + 1)]
        plan = ExecutionPlan(self.packed, settings, dropout=dropout)
        idle = self._idle.setdefault((settings, dropout), [])
        for start, stop in pairwise(bounds):
            if start < stop:
                chunk = idle.pop() if idle else _Chunk(plan)
                passes = batch.timesteps if keep else 0
                chunk.open(slice(start, stop), passes, record.arrays)
                record.chunks.append(chunk)
        # When the record is garbage-collected, a later batch can reuse its chunks.
        weakref.finalize(record, idle.extend, list(record.chunks))
        self._each(lambda chunk: self._forward(record, chunk), record.chunks)
        return record

    def backward(
        self,
        record: EventRecord,
        grad_votes: NDArray[np.float32],
        grad_spikes: NDArray[np.float32],
        surrogate: tuple[int, float],
    ) -> NDArray[np.float32]:
        """Return the gradient of the loss with respect to the weights.

        Under layer-sync, this is backpropagation through time; see
        ``neuroasync.train.kernels.backward_turns``. Otherwise the gradient follows the peak rule;
        see ``neuroasync.train.kernels.backward``.

        Args:
            record: Record of a :meth:`run` with ``keep=True``.
            grad_votes: f32[B, T, classes], gradient with respect to ``record.votes``.
            grad_spikes: f32[B, T, P], gradient with respect to ``record.spikes``.
            surrogate: ``Surrogate.code`` of the surrogate derivative.

        Returns:
            f32[..], laid out like the weights.
        """
        kind, slope = surrogate[0], np.float32(surrogate[1])
        decays, decay_of = decay_table(self.packed, record.batch)
        size = record.arrays.weights.size
        output = self.model.index(self.model.output)

        def backward_chunk(chunk: _Chunk) -> None:
            if chunk.grad.size != size:
                chunk.grad = np.empty(size, np.float32)
            chunk.grad[:] = 0
            logs, at = chunk.state.acquire_scratch(), chunk.samples
            target = (grad_votes[at], grad_spikes[at], output, kind, slope, chunk.grad)
            if isinstance(record.settings.policy, LayerSync):
                backward_turns(
                    *record.arrays[:5], self._lags, decays, decay_of[at], logs.spike_log,
                    logs.delivery_log, chunk.turn_log, chunk.turn_potentials, chunk.ends, *target,
                )  # fmt: skip
                return
            backward_samples(
                *record.arrays[:5], self._owner, self._by_rank, self._lags, decays, decay_of[at],
                logs.spike_log, logs.spike_log_momentum, logs.delivery_log, chunk.ends, chunk.peaks,
                chunk.peak_steps, *target,
            )  # fmt: skip

        self._each(backward_chunk, record.chunks)
        total = np.zeros(size, np.float32)
        for chunk in record.chunks:
            total += chunk.grad
        return total

    def _each(self, work: Callable[["_Chunk"], None], chunks: list["_Chunk"]) -> None:
        """Apply ``work`` to all chunks, in threads if there are several."""
        if self._pool is None:
            for chunk in chunks:
                work(chunk)
            return
        for _ in self._pool.map(work, chunks):
            pass

    def _forward(self, record: EventRecord, chunk: _Chunk) -> None:
        """Run the samples of a chunk, and enlarge its logs whenever they are full."""
        batch, at, state = record.batch, chunk.samples, chunk.state
        events = np.array([batch.t_us.ctypes.data, batch.index.ctypes.data], np.int64)
        k, resumes = 0, False
        while True:
            k, interrupt = forward_samples(
                state.context, k, resumes, events, batch.end_us[at], batch.seeds[at],
                batch.offsets[at.start : at.stop + 1], chunk.peak_addresses(), chunk.ends,
                self._owner, record.votes[at], record.spikes[at], record.labels[at],
            )  # fmt: skip
            control, resumes = state.control, True
            if interrupt == Interrupt.NEEDS_ROOM:
                chunk.grow()
            elif interrupt == Interrupt.STEP_LIMIT:
                raise ForwardStepLimitError(
                    f"sample {at.start + k} of the batch: pass {control[Control.PASS]} did not "
                    f"end within max_forward_steps = {record.settings.max_forward_steps}; "
                    f"{state.last_to_fire()}. Raise the limit, or make the populations of the "
                    "loop refractory"
                )
            else:
                return
