"""Recorders: collect the spikes of runs, sample by sample."""

import copy
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.network_state import NetworkState
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.values import joined_values
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.kernels.delivery.event_values import unpack
from neuroasync.core.kernels.layout import AFTER_SILENT_TURN, DeliveryLog, Populations, SpikeLog
from neuroasync.core.recording.recording import Recording
from neuroasync.core.recording.run_info import run_info
from neuroasync.core.recording.validation import (
    DELIVERY_ARRAYS,
    INPUT_ARRAYS,
    SAMPLE_ARRAYS,
    SPIKE_ARRAYS,
    TURN_ARRAY,
)
from neuroasync.errors import LimitError

__all__ = ["Recorder", "RecordingLog", "check_recorder", "custom_populations", "sample_arrays"]


class RecordingLog:
    """The recorded samples, in the order in which they ended.

    Args:
        max_bytes: maximum size of all samples together, bytes.

    Attributes:
        custom_populations: names of the populations that were replaced by coroutines.
    """

    def __init__(self, max_bytes: int) -> None:
        self.custom_populations: tuple[str, ...] = ()
        self._max_bytes = max_bytes
        self._bytes = 0
        self._samples: list[dict[str, Any]] = []

    def add(self, sample: dict[str, Any], custom_populations: tuple[str, ...]) -> None:
        """Add a sample.

        Args:
            sample: result of :func:`sample_arrays`, with number, target, seed and duration.
            custom_populations: names of its custom populations.

        Raises:
            LimitError: the log would become too large. It stays as it was.
            ValueError: the earlier samples ran with other custom populations.
        """
        if self._samples and custom_populations != self.custom_populations:
            raise ValueError(
                f"all samples of a recording must have the same custom populations, got "
                f"{custom_populations} after {self.custom_populations}"
            )
        size = sum(array.nbytes for array in sample.values() if isinstance(array, np.ndarray))
        if (total := self._bytes + size) > self._max_bytes:
            raise LimitError(
                f"the recording would have {total} bytes, the limit is max_bytes = "
                f"{self._max_bytes}; raise it, or record fewer samples"
            )
        self.custom_populations, self._bytes = custom_populations, total
        self._samples.append(sample)

    def joined(self, classes: int, has_turns: bool) -> dict[str, NDArray[Any]]:
        """Return all arrays of a recording, with samples in ascending order of their numbers."""
        samples = sorted(self._samples, key=lambda sample: int(sample["number"]))
        arrays = {
            name: np.concatenate([np.empty(0, np.int64), *(s[name] for s in samples)])
            for name in (*SPIKE_ARRAYS[1:], *DELIVERY_ARRAYS[1:], *INPUT_ARRAYS[:2])
        }
        for name, rows in (("sample", "neuron"), ("delivered_sample", "delivered_neuron")):
            lengths = [s[rows].size for s in samples]
            arrays[name] = np.repeat(np.arange(len(samples)), lengths)
        arrays |= {name: np.array([s[name] for s in samples], np.int64) for name in SAMPLE_ARRAYS}
        arrays["votes"] = np.array([s["votes"] for s in samples], np.int64).reshape(-1, classes)
        arrays["seed"] = np.array([s["seed"] for s in samples], np.uint64)
        arrays["stopped"] = np.array([s["stopped"] for s in samples], np.bool_)
        events = [0, *(s["input_t_us"].size for s in samples)]
        arrays["input_offsets"] = np.cumsum(events, dtype=np.int64)
        if has_turns:
            silent = [s[TURN_ARRAY] for s in samples]
            arrays[TURN_ARRAY] = np.concatenate([np.empty(0, np.bool_), *silent])
        return arrays | _joined_values(samples)


def sample_arrays(state: NetworkState, events: SpikeTrain, decision: Decision) -> dict[str, Any]:
    """Return the recorded arrays and values of the sample that has just ended in ``state``."""
    state.flush()
    row = _joined(state.spike_log_blocks, len(SpikeLog))
    slot = _joined(state.delivery_log_blocks, len(DeliveryLog))
    count, value = unpack(slot[DeliveryLog.MULTIPLICITY])
    return {
        "pass_": row[SpikeLog.PASS],
        "step": row[SpikeLog.STEP],
        "time_us": row[SpikeLog.TIME],
        "neuron": row[SpikeLog.NEURON],
        TURN_ARRAY: row[SpikeLog.FLAGS] & AFTER_SILENT_TURN != 0,
        "delivered_pass": slot[DeliveryLog.PASS],
        "delivered_step": slot[DeliveryLog.STEP],
        "delivered_neuron": slot[DeliveryLog.KEY],
        "delivered_origin": slot[DeliveryLog.ORIGIN],
        "delivered_count": count,
        "delivered_value": value,
        "delivered_connection": slot[DeliveryLog.CONNECTION],
        "label": -1 if decision.label is None else decision.label,
        "votes": decision.votes,
        "passes": decision.passes,
        "steps": decision.steps,
        "rounds": decision.rounds,
        "synops": decision.synops,
        "spikes": decision.total_spikes,
        "stopped": decision.stopped,
        "input_t_us": events.t_us,
        "input_index": events.index,
        "input_value": events.value,
    }


def _joined_values(samples: list[dict[str, Any]]) -> dict[str, NDArray[Any]]:
    """Return the values of the input events and of the deliveries, if any event has a value."""
    inputs = joined_values((s["input_t_us"].size, s["input_value"]) for s in samples)
    if inputs is None:
        return {}
    counts = [s["delivered_count"] for s in samples]
    parts = [
        count.astype(np.float32) if s["delivered_value"] is None else s["delivered_value"]
        for count, s in zip(counts, samples, strict=True)
    ]
    return {"input_value": inputs, "delivered_value": np.concatenate(parts)}


def custom_populations(packed: PackedNetwork) -> tuple[str, ...]:
    """Return the names of the populations that are replaced by coroutines."""
    is_custom = packed.arrays.populations[:-1, Populations.CUSTOM].tolist()
    return tuple(
        p.name for p, custom in zip(packed.model.populations, is_custom, strict=True) if custom
    )


def _joined(blocks: list[NDArray[np.int64]] | None, columns: int) -> NDArray[np.int64]:
    return np.concatenate([np.empty((columns, 0), np.int64), *(blocks or [])], axis=1)


class Recorder:
    """Collects the spikes of samples. Pass it to a network or session, then call :meth:`finish`.

    Any number of samples may run at the same time; the recording orders them by number.

    Args:
        bundle: the network.
        settings: the settings of all runs.
        max_bytes: maximum size of the recording, bytes. A spike takes 41 bytes, a delivery 56.

    Attributes:
        bundle: the network.
        settings: the settings of all runs.
        number: number of the sample, if this is a recorder for a single one.
        target: correct class of that sample; None if it is not known.

    Raises:
        RecordingError: the name of the policy is empty or too long.
    """

    def __init__(
        self,
        bundle: Bundle,
        settings: RunSettings,
        max_bytes: int = limits.MAX_SPIKE_FILE_BYTES,
    ) -> None:
        self.bundle = bundle
        self.settings = settings
        self._info = run_info(bundle, settings)
        self._log = RecordingLog(max_bytes)
        self.number: int | None = None
        self.target: int | None = None

    def for_sample(self, number: int, target: int | None = None) -> Self:
        """Return a recorder for a single run of sample ``number``; it adds to this recorder.

        Args:
            number: number of the sample in its data set.
            target: its correct class, if it is known.
        """
        view = copy.copy(self)  # shares the log
        view.number, view.target = number, target
        return view

    def check(self, plan: ExecutionPlan) -> None:
        """Check that samples that run by ``plan`` can be added.

        Raises:
            ValueError: they run with another network or other settings.
        """
        if plan.packed.model != self.bundle.model:
            raise ValueError("`recorder` was made for another network")
        if plan.run != self.settings:
            recorded, actual = self.settings.summary, plan.run.summary
            differ = f": {recorded}, but here {actual}" if recorded != actual else ""
            raise ValueError(
                f"`recorder` was made for other options{differ}; give network.recorder() the "
                "options of the call, with the same objects for a custom policy or stop rule"
            )

    def add(
        self,
        simulator: Simulator,
        events: SpikeTrain,
        decision: Decision,
        *,
        number: int,
        seed: int,
        duration_us: int | None = None,
    ) -> None:
        """Add a sample that has just ended. Engines call this.

        Args:
            simulator: the simulator that ran the sample with ``simulator.state.keep`` set.
            events: the complete input of the sample.
            decision: the decision on the sample.
            number: number of the sample, unless :meth:`for_sample` has set one.
            seed: seed of the sample's order keys.
            duration_us: the requested duration, µs.

        Raises:
            ValueError: the sample ran with another network or other settings.
            LimitError: the recording would exceed ``max_bytes``. It stays as it was.
        """
        self.check(simulator.plan)
        number = number if self.number is None else self.number
        target = -1 if self.target is None else self.target
        duration = -1 if duration_us is None else duration_us
        values = {"number": number, "target": target, "seed": seed, "duration_us": duration}
        arrays = sample_arrays(simulator.state, events, decision)
        self._log.add(arrays | values, custom_populations(simulator.plan.packed))

    def finish(self) -> Recording:
        """Return the recording of all samples so far, ordered by number; more may follow."""
        info = replace(self._info, custom_populations=self._log.custom_populations)
        return Recording(info, **self._log.joined(info.classes, info.has_turns))


def check_recorder(recorder: object, plan: ExecutionPlan) -> None:
    """Check that an argument is None, or a recorder that fits samples that run by ``plan``.

    Raises:
        TypeError: ``recorder`` is neither a recorder nor None.
        ValueError: it was made for another network or other settings.
    """
    if recorder is None:
        return
    if not isinstance(recorder, Recorder):
        raise TypeError(
            f"`recorder` must be a Recorder or None, got {type(recorder).__name__}; "
            "network.recorder() returns one"
        )
    recorder.check(plan)
