"""What a recorder collects, sample by sample."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.network_state import NetworkState
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.kernels.layout import DeliveryLog, Populations, SpikeLog
from neuroasync.core.recording.validation import DELIVERIES, INPUT, ROWS, SAMPLES
from neuroasync.errors import LimitError

__all__ = ["RecordingLog", "own_populations", "sample_arrays"]


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
    row = _joined(state.row_blocks, len(SpikeLog))
    slot = _joined(state.slot_blocks, len(DeliveryLog))
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


def own_populations(wiring: PackedNetwork) -> tuple[str, ...]:
    """Names of the populations that coroutines of the user's stand in for."""
    is_own = wiring.wires.populations[:-1, Populations.CUSTOM].tolist()
    return tuple(p.name for p, own in zip(wiring.model.populations, is_own, strict=True) if own)


def _joined(blocks: list[NDArray[np.int64]] | None, columns: int) -> NDArray[np.int64]:
    return np.concatenate([np.empty((columns, 0), np.int64), *(blocks or [])], axis=1)
