"""The state of one session, which kernels write, in one block of memory."""

from typing import Final, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.copies import cannot_copy
from neuroasync.core.engine.execution_plan import ALIGNED_FROM, LINE, ExecutionPlan
from neuroasync.core.engine.scratch_buffers import ScratchBuffers, grown
from neuroasync.core.events.input_buffer import MergedEvents
from neuroasync.core.kernels.entry_points import begin, carry_over, catch_up_decay_of_all
from neuroasync.core.kernels.layout import (
    Context,
    Control,
    ExtraState,
    InFlight,
    Phase,
)
from neuroasync.core.kernels.turns import MAX_IN_A_MASK
from neuroasync.core.large_arrays import zeros_on_demand

__all__ = ["NetworkState", "positions"]

# Comparing a NumPy integer with a member of an ``IntEnum`` takes microseconds, hence plain ints.
_BETWEEN_PASSES: Final = int(Phase.BETWEEN_PASSES)
_CLEAN: Final = (_BETWEEN_PASSES, int(Phase.STOPPED))
"""Phases in which the scratch buffers hold nothing of a session except its logs."""
_MAX_IDLE: Final = 4
"""Maximum number of unused scratch buffers that an execution plan keeps."""
_SPIKES_PER_COPY: Final = 16384
"""Spikes in flight that are copied at once when their array grows."""
_NO_CONTEXT: Final = 0

_Number = TypeVar("_Number", np.int32, np.int64, np.float32)


class NetworkState:
    """Membrane potentials, spikes in flight, votes and counters of one session.

    Between passes, this is the whole state of a session. While a pass is under way, the session
    also has scratch buffers. A session that keeps logs has them for the whole sample.

    Args:
        plan: the execution plan of the session.

    Attributes:
        plan: the execution plan of the session.
        keep: whether to keep the logs of spikes and deliveries.
        spike_log_blocks: if logs are kept, blocks i64[5, R] of the spike log; else None.
        delivery_log_blocks: if logs are kept, blocks i64[6, S] of the delivery log; else None.
        scratch: the scratch buffers while a pass is under way, else None.
        context: address of the context, with which kernels are called; 0 without scratch buffers.
        control: i64[54], counters and position of the sample; see ``kernels.layout.Control``.
    """

    __slots__ = (
        "_address",
        "_head",
        "_in_flight",
        "_in_flight_copy",
        "_is_fresh",
        "_memory",
        "context",
        "control",
        "delivery_log_blocks",
        "keep",
        "plan",
        "scratch",
        "spike_log_blocks",
    )

    def __init__(self, plan: ExecutionPlan) -> None:
        self.plan = plan
        self.keep = False
        self.spike_log_blocks: list[NDArray[np.int64]] | None = None
        self.delivery_log_blocks: list[NDArray[np.int64]] | None = None
        self.scratch: ScratchBuffers | None = None
        self.context = _NO_CONTEXT
        self._in_flight: NDArray[np.int64] | None = None
        self._in_flight_copy: tuple[NDArray[np.int64], int] | None = None
        self._memory = _zeros(plan)
        self._address: int = self._memory.ctypes.data
        self._head = self._memory[: plan.layout.size]
        self.control = self._memory[: len(Control)]
        self.reset(0)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied, because kernels have the address of its memory."""
        raise cannot_copy(self, "session.snapshot() saves a state")

    @property
    def head(self) -> NDArray[np.int64]:
        """Control, votes, spikes and readout, i64[plan.layout.size]: what a decision depends on."""
        if self._is_fresh:  # the numbers are still those of the previous sample
            self.acquire_scratch()
            self.release_scratch()
        return self._head

    @property
    def votes(self) -> NDArray[np.int64]:
        """Votes, i64[5, classes]."""
        return self.plan.layout.split(self._memory)[1]

    @property
    def spikes(self) -> NDArray[np.int64]:
        """Spikes of each population, i64[P]."""
        return self.plan.layout.split(self._memory)[2]

    @property
    def potential(self) -> NDArray[np.float32]:
        """Membrane potentials, f32[N].

        They are up to date only after :meth:`apply_decay`, because decay is applied lazily.
        """
        return self.view_of(Context.V_AT, np.float32, self.plan.packed.model.size)

    @property
    def momentum(self) -> NDArray[np.float32]:
        """Membrane potentials at the latest spike, f32[N]; see :meth:`apply_decay`."""
        return self.view_of(Context.MOMENTUM_AT, np.float32, self.plan.packed.model.size)

    @property
    def multiplicity(self) -> NDArray[np.int32] | None:
        """Pending spikes of each neuron, i32[N]; None if no neuron can have several."""
        if self.plan.offset_of(Context.MULTIPLICITY_AT) < 0:
            return None
        return self.view_of(Context.MULTIPLICITY_AT, np.int32, self.plan.packed.model.size)

    @property
    def extra_state(self) -> NDArray[np.float32] | None:
        """Variables ``layout.ExtraState``, f32[3, N], as of :meth:`apply_decay`; None if unused."""
        if not self.plan.has_extra_state:
            return None
        size = len(ExtraState) * self.plan.packed.model.size
        return self.view_of(Context.EXTRA_STATE_AT, np.float32, size).reshape(len(ExtraState), -1)

    @property
    def in_flight(self) -> NDArray[np.int64]:
        """Spikes on delayed connections, i64[5, D]; see ``kernels.layout.InFlight``."""
        if self._in_flight is None:
            room = self.plan.packed.model.size if self.plan.packed.max_delayed_fan_out else 0
            self._in_flight = np.zeros((len(InFlight), room), np.int64)
        return self._in_flight

    @property
    def nbytes(self) -> int:
        """Size of the state in bytes, without scratch buffers."""
        return self._memory.nbytes + (0 if self._in_flight is None else self._in_flight.nbytes)

    def reset(self, seed: int) -> None:
        """Start a new sample from rest, with an unsigned 64-bit ``seed``."""
        control = self.control
        if control.item(Control.PHASE) not in _CLEAN:
            # The sample was abandoned within a pass, so its scratch buffers are not clean.
            self.scratch, self.context = None, _NO_CONTEXT
        if self.keep:
            self.spike_log_blocks, self.delivery_log_blocks = [], []
        # The kernel clears the rest when scratch buffers are next acquired.
        control[Control.SEED] = seed if seed < 2**63 else _signed(seed)
        control[Control.PHASE], control[Control.PASS] = _BETWEEN_PASSES, -1
        control[Control.CARRIES] = control[Control.IS_DECIDED] = 0
        self._in_flight_copy = None
        self._is_fresh = True

    def carry_over(self, seed: int, shift_us: int) -> None:
        """Start a new sample that continues from this state, between two passes.

        Args:
            seed: seed of the new sample, an unsigned 64-bit integer.
            shift_us: virtual time of this sample that is time 0 of the new one, µs.
        """
        carry_over(self.acquire_scratch().address, _signed(seed), shift_us)

    def acquire_scratch(self) -> ScratchBuffers:
        """Return the session's scratch buffers; take idle or new ones if it has none."""
        scratch = self.scratch or self._place_scratch()
        if self.keep:
            scratch.start_logs()
        if self._is_fresh:
            self._is_fresh = False
            begin(self.context, self.control.item(Control.SEED))
        return scratch

    def run(self, events: MergedEvents | None, end_us: int, work: int) -> int:
        """Call :meth:`ScratchBuffers.run` and return its result; begin the sample if necessary."""
        scratch = self.scratch or self._place_scratch()
        if self.keep:
            scratch.start_logs()
        begins, self._is_fresh = self._is_fresh, False
        return scratch.run(begins, events, end_us, work)

    def _place_scratch(self) -> ScratchBuffers:
        """Take scratch buffers, and write the addresses of the session's memory to them."""
        self.scratch = scratch = self.plan.acquire_scratch()
        self.context, context = scratch.address, scratch.context
        context[Context.SESSION] = self._address
        if self.plan.has_delays:
            context[Context.IN_FLIGHT], context[Context.IN_FLIGHT_CAPACITY] = (
                self.in_flight.ctypes.data,
                self.in_flight.shape[1],
            )
        return scratch

    def release_scratch(self) -> None:
        """Return the scratch buffers to the plan, unless a pass is under way or logs are kept."""
        scratch = self.scratch
        if scratch is None or self.keep or scratch.has_logs:
            return
        if self.control.item(Control.PHASE) in _CLEAN:
            scratch.forget_events()
            idle = self.plan.idle_scratch
            if len(idle) < _MAX_IDLE:
                idle.append(scratch)
            self.scratch, self.context = None, _NO_CONTEXT

    def apply_decay(self) -> None:
        """Apply the decay of all neurons up to the latest pass."""
        catch_up_decay_of_all(self.acquire_scratch().address)

    def set_in_flight(self, spikes: NDArray[np.int64]) -> None:
        """Replace the spikes in flight by ``spikes``, i64[5, D]."""
        self._in_flight = grown(self.in_flight, spikes.shape[1])
        self._in_flight[:, : spikes.shape[1]] = spikes
        self.control[Control.IN_FLIGHT] = spikes.shape[1]
        self._place_in_flight()

    def make_room(self) -> None:
        """Make room for what ``control`` asks for: move logs out, grow buffers.

        If there is too much to copy at once, the kernel asks again, and another call continues.
        """
        scratch, control = self.acquire_scratch(), self.control
        slots = int(control[Control.NEEDED_SLOTS])
        if self.spike_log_blocks is not None:
            self.flush()
        scratch.make_room(control)
        if scratch.has_logs:
            scratch.grow_logs(0, slots)
        if fan := self.plan.packed.max_delayed_fan_out:
            self._grow_in_flight(int(control[Control.IN_FLIGHT]) + slots * fan)

    def _grow_in_flight(self, room: int) -> None:
        """Copy some of the spikes in flight to a longer array, unless there is enough room."""
        used, old = int(self.control[Control.IN_FLIGHT]), self.in_flight
        if room <= old.shape[1]:
            return
        if self._in_flight_copy is None:
            longer = zeros_on_demand((len(InFlight), max(room, 2 * old.shape[1])), np.int64)
            self._in_flight_copy = longer, 0
        longer, done = self._in_flight_copy
        end = min(used, done + _SPIKES_PER_COPY)
        longer[:, done:end] = old[:, done:end]
        self._in_flight_copy = longer, end
        if end == used:
            self._in_flight, self._in_flight_copy = longer, None
            self._place_in_flight()

    def _place_in_flight(self) -> None:
        """Write the address of the spikes in flight to the context, if the network has delays."""
        if self.plan.packed.max_delayed_fan_out:
            context = self.acquire_scratch().context
            context[Context.IN_FLIGHT] = self.in_flight.ctypes.data
            context[Context.IN_FLIGHT_CAPACITY] = self.in_flight.shape[1]

    def flush(self) -> None:
        """Move the logs of spikes and deliveries into the blocks."""
        control, scratch = self.control, self.scratch
        if scratch is None or self.spike_log_blocks is None or self.delivery_log_blocks is None:
            return
        if rows := int(control[Control.SPIKE_LOG]):
            self.spike_log_blocks.append(scratch.spike_log[:, :rows].copy())
        if slots := int(control[Control.DELIVERY_LOG]):
            self.delivery_log_blocks.append(scratch.delivery_log[:, :slots].copy())
        control[Control.SPIKE_LOG] = control[Control.DELIVERY_LOG] = 0

    def view_of(self, column: int, dtype: type[_Number], size: int) -> NDArray[_Number]:
        """Return a view of an array in the session's memory.

        Args:
            column: column of the context with the array's offset.
            dtype: type of its elements.
            size: number of its elements.
        """
        first = self.plan.offset_of(column)
        return self._memory.view(np.uint8)[first : first + size * dtype().nbytes].view(dtype)


def _signed(seed: int) -> int:
    """Return an unsigned 64-bit integer as a signed one with the same bits."""
    return seed - 2**64 if seed >= 2**63 else seed


def _zeros(plan: ExecutionPlan) -> NDArray[np.int64]:
    """Return a session's memory. If the network is large, it starts at a cache line."""
    if plan.packed.model.size < ALIGNED_FROM:
        return np.zeros(plan.size, np.int64)
    memory = np.zeros(plan.size + LINE - 1, np.int64)
    skipped = -memory.ctypes.data // 8 % LINE
    return memory[skipped : skipped + plan.size]


def positions(mask: int) -> tuple[int, ...]:
    """Return the positions of the bits that are set in ``mask``, ascending."""
    return tuple(p for p in range(MAX_IN_A_MASK) if mask >> p & 1)
