"""Decisions on a GPU: forward passes without an event record, in chunks of bounded memory."""

import time
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from neuroasync.core.engine.decision import Decision, decision_of
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.policies import LayerSync
from neuroasync.core.engine.run_settings import forward_step_limit_error, pass_limit_error
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.kernels.layout import Context, Control, Phase, Settings
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.errors import NeuroasyncError
from neuroasync.train.batch import Batch, make_batch
from neuroasync.train.cuda.launching import Launcher, forward_bytes, launch, settings_entries
from neuroasync.train.cuda.layout import STATUS_COLUMNS, CudaContext, Status
from neuroasync.train.cuda.tables import BatchTables, Entries, NetworkTables, on_device

__all__ = ["CudaDecider"]

_CHUNK_BYTES: Final = 2**30
"""Memory of the device that a chunk of samples may take, besides the network and the states."""
_MAX_CHUNK: Final = 4096
"""Maximum number of samples in a chunk, several for each multiprocessor of any GPU."""
_EVENT_BYTES: Final = 128
"""Memory of an input event while a batch is prepared."""
_PASS_BYTES: Final = 32
"""Memory of a pass of each sample."""
_SLOT_BYTES: Final = 16
_STEP_BYTES: Final = 8


@dataclass
class _Room:
    """Number of slots and forward steps for which each sample of a chunk has room."""

    slots: int = 0
    steps: int = 0


class CudaDecider:
    """Decides samples of one network, each from rest.

    Args:
        plan: The execution plan, which must use built-in parts only.
        launcher: Compiles and launches the kernels.
        trains: The samples, which must fit the network.
        seed: Sample number i runs with ``sample_seed(seed, i)``.
        first: Number of the first sample.
        duration_us: Length of each sample, µs. If None, a sample ends with its last event.
        classes: Names of the output neurons, or None.
    """

    def __init__(
        self,
        plan: ExecutionPlan,
        launcher: Launcher,
        trains: SpikeTrains,
        *,
        seed: int,
        first: int,
        duration_us: int | None,
        classes: tuple[str, ...] | None,
    ) -> None:
        packed, device = plan.packed, launcher.device
        self._plan, self._launcher, self._trains = plan, launcher, trains
        self._seed, self._first = seed, first
        self._duration_us, self._classes = duration_us, classes
        arguments = plan.settings[len(Settings) :]
        self._network: Entries = (
            NetworkTables(packed, device).entries
            | settings_entries(plan.run)
            | {
                CudaContext.WEIGHTS: on_device(packed.arrays.weights, device),
                CudaContext.RULE: int(plan.settings[Settings.STOP_RULE]),
                CudaContext.RULE_ARGUMENTS: on_device(arguments, device),
                CudaContext.RULE_ARGUMENT_COUNT: arguments.size,
                CudaContext.HEAD_WORDS: plan.layout.size,
                CudaContext.HEAD_VOTES: plan.offset_of(Context.VOTES_AT) // 8,
                CudaContext.HEAD_SPIKES: plan.offset_of(Context.SPIKES_AT) // 8,
            }
        )
        self._decisions: dict[int, Decision] = {}
        self._errors: dict[int, NeuroasyncError] = {}
        self._room = _Room()

    def run(self) -> list[Decision]:
        """Decide all samples, in their order.

        Raises:
            ForwardStepLimitError, PassLimitError: The error of the first sample that has one, with
                a note of its number.
        """
        left = np.arange(len(self._trains))
        while left.size and not self._errors:
            size = self._chunk(left)
            again = self._decide(left[:size])
            left = np.concatenate((again, left[size:]))
            if self._errors:  # samples before it may still have to run again
                left = left[left < min(self._errors)]
        if self._errors:
            k = min(self._errors)
            self._errors[k].add_note(f"in sample {self._first + k}")
            raise self._errors[k]
        return [self._decisions[k] for k in range(len(self._trains))]

    def _chunk(self, samples: NDArray[np.int64]) -> int:
        """Return how many of the samples run next."""
        model, offsets = self._plan.packed.model, self._trains.offsets
        samples = samples[:_MAX_CHUNK]
        events = np.diff(offsets)[samples]
        passes = events
        if model.timestep_us and self._duration_us is not None:
            passes = np.full_like(events, self._duration_us // model.timestep_us + 1)
        elif model.timestep_us:
            last = self._trains.t_us[np.maximum(offsets[samples + 1] - 1, 0)] if events.any() else 0
            passes = np.where(events > 0, last // model.timestep_us + 1, 0)
        decay = 0 if model.timestep_us else 4 * model.size  # intervals may all be different
        longest = np.maximum.accumulate(passes)
        slots = np.maximum(np.maximum.accumulate(events) + model.size, self._room.slots)
        each = _PASS_BYTES * longest + _SLOT_BYTES * slots + _STEP_BYTES * self._room.steps
        each += 8 * self._plan.layout.size
        total = each * np.arange(1, samples.size + 1)
        total += np.cumsum(_EVENT_BYTES * events + decay * passes)
        return max(1, int(np.searchsorted(total, _CHUNK_BYTES, "right")))

    def _decide(self, samples: NDArray[np.int64]) -> NDArray[np.int64]:
        """Decide samples, and return those for which there was not enough room."""
        began = time.perf_counter()
        seeds = [sample_seed(self._seed, self._first + k) for k in samples.tolist()]
        model = self._plan.packed.model
        batch = make_batch(model, self._trains, samples, seeds, self._duration_us)
        tables = BatchTables(
            self._plan.packed, batch, self._plan.run.input == "queued", self._launcher.device
        )
        passes = np.minimum(tables.passes, self._plan.run.max_passes)
        heads, status = self._launch(batch, tables, passes)
        wall_s = (time.perf_counter() - began) / samples.size
        for n, k in enumerate(samples.tolist()):
            if status[n, Status.CODE] == 1:
                continue
            try:
                self._complete(batch, n, heads[n], status[n], int(tables.passes[n]))
            except NeuroasyncError as error:
                self._errors[k] = error
            else:
                self._decisions[k] = decision_of(self._plan.layout, heads[n], wall_s, self._classes)
        overflowed = status[:, Status.CODE] == 1
        if overflowed.any():
            needed = status[overflowed].max(0)
            self._room.slots = max(2 * self._room.slots, int(needed[Status.SLOTS]))
            self._room.steps = max(2 * self._room.steps, int(needed[Status.STEPS]))
        left: NDArray[np.int64] = samples[overflowed]
        return left

    def _launch(
        self, batch: Batch, tables: BatchTables, passes: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Run the kernel; return the heads i64[B, words] and the status i32[B, 6]."""
        device, size = self._launcher.device, len(batch)
        self._make_room(batch, tables)

        def ints(*shape: int) -> torch.Tensor:
            return torch.zeros(shape, dtype=torch.int32, device=device)

        heads = torch.zeros((size, self._plan.layout.size), dtype=torch.int64, device=device)
        status = ints(size, STATUS_COLUMNS)
        entries = self._network | tables.entries
        entries |= {
            CudaContext.PASSES: on_device(passes.astype(np.int32), device),
            CudaContext.HEADS: heads,
            CudaContext.STATUS: status,
            CudaContext.SLOTS: self._room.slots,
            CudaContext.SLOT: torch.empty(
                (size, self._room.slots, 4), dtype=torch.int32, device=device
            ),
        }
        if self._plan.has_delays:
            ends = size, batch.timesteps + 1
            entries |= {
                CudaContext.STEPS: self._room.steps,
                CudaContext.STEP_ROWS: ints(size, self._room.steps),
                CudaContext.STEP_SLOTS: ints(size, self._room.steps),
                CudaContext.PASS_STEPS: ints(*ends),
                CudaContext.PASS_TURNS: ints(*ends),
            }
        launch(
            self._launcher,
            "decide_samples",
            size,
            forward_bytes(self._plan.packed, tables),
            entries,
        )
        return heads.cpu().numpy(), status.cpu().numpy()

    def _make_room(self, batch: Batch, tables: BatchTables) -> None:
        """Make room for any group; with delays, for the groups of sparse activity."""
        neurons, run = self._plan.packed.model.size, self._plan.run
        group = neurons
        if not isinstance(run.policy, LayerSync):
            group = min(run.group_size, neurons + tables.queued_events)
        slots, steps = max(group, tables.pass_events), 0
        if self._plan.has_delays:
            slots += tables.input_slots + neurons * (2 + batch.timesteps // 16)
            steps = 4 * batch.timesteps + 64
        self._room = _Room(max(slots, self._room.slots), max(steps, self._room.steps))

    def _complete(
        self,
        batch: Batch,
        n: int,
        head: NDArray[np.int64],
        status: NDArray[np.int32],
        passes: int,
    ) -> None:
        """Write what the device does not know to the head of sample ``n`` of a batch.

        Raises:
            ForwardStepLimitError: A pass did not end.
            PassLimitError: The sample needs more than its ``passes``.
        """
        model, run = self._plan.packed.model, self._plan.run
        t_us = batch.t_us[batch.offsets[n] : batch.offsets[n + 1]]

        def time_of(at: int) -> int:
            return at * model.timestep_us if model.timestep_us else int(np.unique(t_us)[at])

        if status[Status.CODE]:
            at, owner = int(status[Status.PASS]), int(status[Status.OWNER])
            place = f"pass {at} (t = {time_of(at)} µs)"
            raise forward_step_limit_error(place, run, model, owner)
        begun = int(head[Control.PASS]) + 1
        if not begun:
            return
        now = time_of(begun - 1)
        if passes > begun and head[Control.PHASE] != Phase.STOPPED:
            raise pass_limit_error(begun, now, run)
        head[Control.TIME] = now
        end = now + max(model.timestep_us, 1)
        head[Control.INPUT_EVENTS] = np.searchsorted(t_us, end, "left")
