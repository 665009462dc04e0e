"""What a recorder collects, sample by sample."""

import copy
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.network_state import NetworkState
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.kernels.layout import DeliveryLog, Populations, SpikeLog
from neuroasync.core.recording.recording import Recording
from neuroasync.core.recording.run_info import run_info
from neuroasync.core.recording.validation import (
    DELIVERIES,
    INPUT,
    ROWS,
    SAMPLES,
)
from neuroasync.errors import LimitError

__all__ = ["Recorder", "RecordingLog", "own_populations", "sample_arrays"]


class RecordingLog:
    """Samples in the order in which they ended.

    Args:
        max_bytes: limit for all of them together.

    Attributes:
        own: populations that coroutines of the user's stand in for.
    """

    def __init__(self, max_bytes: int) -> None:
        self.own: tuple[str, ...] = ()
        self._max_bytes = max_bytes
        self._bytes = 0
        self._samples: list[dict[str, Any]] = []

    def add(self, sample: dict[str, Any], own: tuple[str, ...]) -> None:
        """Add what :func:`sample_arrays` returned, with number, target, seed and duration.

        Raises:
            LimitError: that would be too much. The log is as before.
            ValueError: the sample ran with other populations of the user's.
        """
        if self._samples and own != self.own:
            raise ValueError(f"populations of your own: {own}, but {self.own} in earlier samples")
        size = sum(array.nbytes for array in sample.values() if isinstance(array, np.ndarray))
        if (total := self._bytes + size) > self._max_bytes:
            raise LimitError(
                f"a recording of {total} bytes; the limit is max_bytes = {self._max_bytes}. "
                "Raise it, or record fewer samples"
            )
        self.own, self._bytes = own, total
        self._samples.append(sample)

    def joined(self, classes: int) -> dict[str, NDArray[Any]]:
        """All arrays of a recording, with the samples by number."""
        samples = sorted(self._samples, key=lambda sample: int(sample["number"]))
        arrays = {
            name: np.concatenate([np.empty(0, np.int64), *(s[name] for s in samples)])
            for name in (*ROWS[1:], *DELIVERIES[1:], *INPUT[:2])
        }
        for name, of in (("sample", "neuron"), ("delivered_sample", "delivered_neuron")):
            lengths = [s[of].size for s in samples]
            arrays[name] = np.repeat(np.arange(len(samples)), lengths)
        arrays |= {name: np.array([s[name] for s in samples], np.int64) for name in SAMPLES}
        arrays["votes"] = np.array([s["votes"] for s in samples], np.int64).reshape(-1, classes)
        arrays["seed"] = np.array([s["seed"] for s in samples], np.uint64)
        arrays["stopped"] = np.array([s["stopped"] for s in samples], np.bool_)
        events = [0, *(s["input_t_us"].size for s in samples)]
        arrays["input_offsets"] = np.cumsum(events, dtype=np.int64)
        return arrays


def sample_arrays(state: NetworkState, events: SpikeTrain, decision: Decision) -> dict[str, Any]:
    """What a recording holds of the sample that has just ended in ``state``."""
    state.flush()
    row = _joined(state.spike_log_blocks, len(SpikeLog))
    slot = _joined(state.delivery_log_blocks, len(DeliveryLog))
    return {
        "pass_": row[SpikeLog.PASS],
        "step": row[SpikeLog.STEP],
        "time_us": row[SpikeLog.TIME],
        "neuron": row[SpikeLog.NEURON],
        "delivered_pass": slot[SpikeLog.PASS],
        "delivered_step": slot[SpikeLog.STEP],
        "delivered_neuron": slot[DeliveryLog.KEY],
        "delivered_origin": slot[DeliveryLog.ORIGIN],
        "delivered_count": slot[DeliveryLog.MULTIPLICITY],
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
    }


def own_populations(packed: PackedNetwork) -> tuple[str, ...]:
    """Names of the populations that coroutines of the user's stand in for."""
    is_own = packed.arrays.populations[:-1, Populations.CUSTOM].tolist()
    return tuple(p.name for p, own in zip(packed.model.populations, is_own, strict=True) if own)


def _joined(blocks: list[NDArray[np.int64]] | None, columns: int) -> NDArray[np.int64]:
    return np.concatenate([np.empty((columns, 0), np.int64), *(blocks or [])], axis=1)


class Recorder:
    """Writes down what samples do; give it to a network or session, then :meth:`finish`.

    Any number of samples may run side by side: the recording has them by number.

    Args:
        bundle: the network.
        settings: how it is run.
        max_bytes: limit for all that is recorded; a spike takes 40 bytes, a delivery 56.

    Raises:
        RecordingError: the policy's name is empty or too long.
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
        self._number: int | None = None
        self._target: int | None = None

    def for_sample(self, number: int, target: int | None = None) -> Self:
        """A recorder to give to the one run of sample ``number``; it writes into this one.

        Args:
            number: of the sample in its data set.
            target: its right class, if that is known.
        """
        view = copy.copy(self)
        view._number, view._target = number, target
        return view

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
        """Take a sample that has just been decided on; engines call this.

        Args:
            simulator: the sample's passes, run with ``simulator.state.keep`` on.
            events: its whole input.
            decision: what it came to.
            number: its number, where :meth:`for_sample` has not given one.
            seed: of its order keys.
            duration_us: as it was asked for.

        Raises:
            ValueError: it is of another network, or was run in another way, than recorded here.
            LimitError: the recording would be larger than ``max_bytes``. It stays as it was.
        """
        if simulator.plan.run != self.settings or simulator.plan.packed.model != self.bundle.model:
            raise ValueError("the sample ran with another network or settings than its recorder's")
        number = number if self._number is None else self._number
        target = -1 if self._target is None else self._target
        duration = -1 if duration_us is None else duration_us
        named = {"number": number, "target": target, "seed": seed, "duration_us": duration}
        arrays = sample_arrays(simulator.state, events, decision)
        self._log.add(arrays | named, own_populations(simulator.plan.packed))

    def finish(self) -> Recording:
        """The recording of all samples so far, by number; more may follow."""
        info = replace(self._info, own_populations=self._log.own)
        return Recording(info, **self._log.joined(info.classes))
