"""Network state and logs of some samples of a batch."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.network_state import NetworkState
from neuroasync.core.engine.packed_network import PackedArrays
from neuroasync.core.engine.scratch_buffers import grown
from neuroasync.core.kernels.layout import Context, Control, SpikeLog, TurnLog
from neuroasync.errors import LimitError
from neuroasync.train.kernels.runs import RUN_ROWS

__all__ = ["Chunk"]

_SLOTS: Final = 2048
"""Initial number of slots, and of runs, whose deliveries can be kept."""
_MAX_SLOTS: Final = 2**31 - 1
"""Maximum number of slots, because runs have their ends in 32 bits."""


class Chunk:
    """Network state and logs of some samples, reused by later batches."""

    def __init__(self, plan: ExecutionPlan) -> None:
        self.state = NetworkState(plan)
        self.peaks = np.zeros((0, 0, 0), np.float32)
        self.peak_steps = np.zeros((0, 0, 0), np.int32)
        self.states = np.zeros((3, 0, 0, 0), np.float32)
        self.turn_log = np.zeros((len(TurnLog), 0), np.int64)
        self.turn_potentials = np.zeros(0, np.float32)
        self.ends = np.zeros((5, 0), np.int64)
        self.origins = np.zeros(0, np.int32)
        self.factors = np.zeros(0, np.float32)
        self.runs = np.zeros((RUN_ROWS, 0), np.int32)
        self.keeps = False
        self.samples = slice(0, 0)
        self._arrays: PackedArrays | None = None

    def open(self, samples: slice, passes: int, arrays: PackedArrays, keeps_states: bool) -> None:
        """Prepare the chunk for ``samples``.

        Args:
            samples: Range of samples in the batch.
            passes: Passes whose potentials are recorded; 0 records none, for forward passes
                without a backward pass.
            arrays: The network with the weights and the neurons to use.
            keeps_states: Whether to record the state of each neuron at the end of each pass.
        """
        count, plan = samples.stop - samples.start, self.state.plan
        has_turns = plan.has_turns
        neurons, populations = plan.packed.model.size, len(plan.packed.model.populations)
        shape = (count, passes, neurons) if passes and not has_turns else (count, 0, 0)
        if self.peaks.shape != shape:
            self.peaks, self.peak_steps = np.empty(shape, np.float32), np.empty(shape, np.int32)
        if passes and has_turns:
            # One turn of each population in a pass; back edges may add others, for which the
            # logs grow. Kernels want room for one more turn.
            self._grow_turns((count * passes + 1) * populations, (count * passes + 1) * neurons)
        elif self.turn_log.shape[1]:
            self.turn_log = np.zeros((len(TurnLog), 0), np.int64)
            self.turn_potentials = np.zeros(0, np.float32)
        shape = (count, passes, neurons) if keeps_states else (0, 0, 0)
        if self.states.shape[1:] != shape:
            self.states = np.empty((3, *shape), np.float32)
        self.keeps = passes > 0
        if self.keeps:
            self._grow_deliveries(_SLOTS, _SLOTS)
        self.samples = samples
        self.ends = np.zeros((5, count), np.int64)
        self.state.keep = True
        context = self.state.acquire_scratch().context
        self._arrays = arrays  # The context has their addresses.
        for column, array in (
            (Context.WEIGHTS, arrays.weights),
            (Context.THRESHOLDS, arrays.thresholds),
            (Context.FACTORS, arrays.factors),
            (Context.TAUS, arrays.taus),
            (Context.UNIFORM, arrays.uniform),
            (Context.DYNAMICS, arrays.dynamics),
        ):
            context[column] = array.ctypes.data
        context[Context.PEAK_PASSES] = passes
        context[Context.PEAKS] = self.peaks.ctypes.data if self.peaks.size else 0
        if has_turns:
            context[Context.TURNS] = 0
            self._place_turns()
        control = self.state.control
        control[Control.SPIKE_LOG] = control[Control.DELIVERY_LOG] = 0

    def peak_addresses(self) -> NDArray[np.int64]:
        """Return the addresses of the peaks and of their steps, and the bytes per sample."""
        size = self.peaks[0].nbytes if self.peaks.size else 0
        return np.array([self.peaks.ctypes.data, self.peak_steps.ctypes.data, size], np.int64)

    def grow(self) -> None:
        """Enlarge the logs that are full, and keep their contents.

        Raises:
            LimitError: The samples have too many deliveries.
        """
        control, scratch = self.state.control, self.state.acquire_scratch()
        rows, delivered = int(control[Control.SPIKE_LOG]), int(control[Control.DELIVERY_LOG])
        if self.keeps:
            # The kernel may have run out of room for the deliveries of the sample at its end.
            self._grow_deliveries(
                int(self.ends[4].max()) + delivered, int(self.ends[2].max()) + delivered
            )
        slots, neurons = int(control[Control.NEEDED_SLOTS]), self.state.plan.packed.model.size
        scratch.grow_logs(rows + neurons, delivered + slots)
        self.state.make_room()
        if self.turn_log.shape[1]:
            turns = int(scratch.context[Context.TURNS])
            self._grow_turns(turns + 1, self._logged_potentials(turns) + neurons)
            self._place_turns()

    def _grow_deliveries(self, slots: int, runs: int) -> None:
        """Make room for this many slots and runs in all, and keep the contents."""
        if slots > _MAX_SLOTS:
            place = f"samples {self.samples.start} to {self.samples.stop - 1} of the batch"
            raise LimitError(
                f"{place} must have at most {_MAX_SLOTS} deliveries in all, got {slots}; "
                "use a smaller batch or shorter samples"
            )
        # There is no room beyond the limit, so that the kernel cannot pass it unnoticed.
        self.origins = grown(self.origins, slots)[:_MAX_SLOTS]
        self.factors = grown(self.factors, slots)[:_MAX_SLOTS]
        self.runs = grown(self.runs, runs)

    def _logged_potentials(self, turns: int) -> int:
        """Return the number of potentials of the first ``turns`` in the log."""
        if turns == 0:
            return 0
        latest = self.turn_log[:, turns - 1]
        p, start = int(latest[TurnLog.POPULATION]), int(latest[TurnLog.POTENTIALS])
        return start + self.state.plan.packed.model.populations[p].size

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
