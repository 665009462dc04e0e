"""Network state and logs of some samples of a batch."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.network_state import NetworkState
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
    """Network state and logs of some samples, reused by later batches.

    Attributes:
        state: The state of the network.
        scratch: Its scratch buffers, which hold the logs of spikes and deliveries.
        peak_addresses: i64[3], addresses of the peaks and of their steps, and the bytes of each
            sample in either; all 0 without peaks.
    """

    def __init__(self, plan: ExecutionPlan) -> None:
        self.state = NetworkState(plan)
        self.state.keep = True
        self.scratch = self.state.acquire_scratch()
        self.peaks = np.zeros((0, 0, 0), np.float32)
        self.peak_steps = np.zeros((0, 0, 0), np.int32)
        self.peak_addresses = np.zeros(3, np.int64)
        self.states = np.zeros((3, 0, 0, 0), np.float32)
        self.turn_log = np.zeros((len(TurnLog), 0), np.int64)
        self.turn_potentials = np.zeros(0, np.float32)
        self.ends = np.zeros((5, 0), np.int64)
        self.origins = np.zeros(0, np.int32)
        self.factors = np.zeros(0, np.float32)
        self.runs = np.zeros((RUN_ROWS, 0), np.int32)
        self.keeps = False
        self.samples = slice(0, 0)
        self._sizes: tuple[int, int, bool] | None = None

    def open(self, samples: slice, passes: int, keeps_states: bool) -> None:
        """Prepare the chunk for ``samples``.

        Args:
            samples: Range of samples in the batch.
            passes: Passes whose potentials are recorded; 0 records none, for forward passes
                without a backward pass.
            keeps_states: Whether to record the state of each neuron at the end of each pass.
        """
        sizes = samples.stop - samples.start, passes, keeps_states
        if sizes != self._sizes:  # Most batches have the sizes of the one before.
            self._sizes = None  # An exception would leave a part of it.
            self._allocate(*sizes)
            self._sizes = sizes
        if self.state.plan.has_turns:  # The logs may have grown.
            self._place_turns()
        self.samples = samples
        self.ends = np.zeros((5, sizes[0]), np.int64)
        self.scratch.context[Context.TURNS] = 0
        control = self.state.control
        control[Control.SPIKE_LOG] = control[Control.DELIVERY_LOG] = 0

    def _allocate(self, count: int, passes: int, keeps_states: bool) -> None:
        """Make room for ``count`` samples; see :meth:`open` for the other arguments."""
        plan, context = self.state.plan, self.scratch.context
        neurons, populations = plan.packed.model.size, len(plan.packed.model.populations)
        shape = (count, passes, neurons) if passes and not plan.has_turns else (count, 0, 0)
        self.peaks, self.peak_steps = np.empty(shape, np.float32), np.empty(shape, np.int32)
        places = self.peaks.ctypes.data, self.peak_steps.ctypes.data, 4 * passes * neurons
        self.peak_addresses = np.array(places if self.peaks.size else (0, 0, 0), np.int64)
        if passes and plan.has_turns:
            # One turn of each population in a pass; back edges may add others, for which the
            # logs grow. Kernels want room for one more turn.
            self._grow_turns((count * passes + 1) * populations, (count * passes + 1) * neurons)
        else:
            self.turn_log = np.zeros((len(TurnLog), 0), np.int64)
            self.turn_potentials = np.zeros(0, np.float32)
        shape = (count, passes, neurons) if keeps_states else (0, 0, 0)
        self.states = np.empty((3, *shape), np.float32)
        self.keeps = passes > 0
        if self.keeps:
            self._grow_deliveries(_SLOTS, _SLOTS)
        context[Context.PEAK_PASSES] = passes
        context[Context.PEAKS] = self.peak_addresses[0]

    def grow(self) -> None:
        """Enlarge the logs that are full, and keep their contents.

        Raises:
            LimitError: The samples have too many deliveries.
        """
        control, scratch = self.state.control, self.scratch
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
        context = self.scratch.context
        context[Context.TURN_LOG] = self.turn_log.ctypes.data
        context[Context.TURN_LOG_CAPACITY] = self.turn_log.shape[1]
        context[Context.TURN_POTENTIALS] = self.turn_potentials.ctypes.data
        context[Context.TURN_POTENTIALS_CAPACITY] = self.turn_potentials.size

    def sample_rows(self) -> Iterable[NDArray[np.int64]]:
        """Return each sample's spikes as i64[spikes, 3]: pass, step, neuron."""
        spike_log = self.scratch.spike_log
        rows = spike_log[[SpikeLog.PASS, SpikeLog.STEP, SpikeLog.NEURON]].T
        starts = [0, *self.ends[1, :-1].tolist()]
        return (rows[a:b] for a, b in zip(starts, self.ends[1].tolist(), strict=True))
