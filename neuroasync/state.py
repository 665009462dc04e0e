"""The state of one sample in a network: what kernels write."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.kernels import layout as lay
from neuroasync.kernels.advance import Arrays
from neuroasync.policies import Fifo, LayerSync, Momentum, Random
from neuroasync.settings import RunSettings
from neuroasync.wiring import Wiring

__all__ = ["State", "grown"]

_CODES: Final = {
    LayerSync: lay.LAYER_SYNC,
    Random: lay.RANDOM,
    Momentum: lay.MOMENTUM_ORDER,
    Fifo: lay.FIFO,
}


class State:
    """Membrane potentials, pending spikes, spikes in flight, votes and counters of one sample.

    Args:
        wiring: the network.
        settings: how it is run.
        peaks: passes to keep training's potentials for; 0 for none.

    Attributes:
        arrays: what kernels read and write; columns are documented in ``kernels.layout``.
        keep: whether the logs of spikes and deliveries are kept in ``row_blocks`` (i64[6, R])
            and ``slot_blocks`` (i64[6, R]), or dropped when full.
    """

    def __init__(self, wiring: Wiring, settings: RunSettings, peaks: int = 0) -> None:
        self.wiring = wiring
        self.keep = False
        self.row_blocks: list[NDArray[np.int64]] = []
        self.slot_blocks: list[NDArray[np.int64]] = []
        n, populations = wiring.model.size, len(wiring.model.populations)
        classes = wiring.model.populations[wiring.model.index(wiring.model.output)].size
        room, log = n + 64, n + 2048
        self.arrays = Arrays(
            decay=np.ones(n, np.float32),
            potential=np.zeros((3, n), np.float32),
            marks=np.zeros((5, n), np.int32),
            pending=np.zeros((4, room), np.int64),
            keys=np.zeros(room, np.uint64),
            chosen=np.zeros(room, np.int64),
            group=np.zeros((5, room), np.int64),
            due=np.zeros((5, room if wiring.fan_delayed else 0), np.int64),
            rows=np.zeros((6, log), np.int64),
            row_potential=np.zeros(log, np.float32),
            slots=np.zeros((6, log), np.int64),
            votes=np.zeros((5, classes), np.int64),
            spikes=np.zeros(populations, np.int64),
            touched=np.zeros(n, np.int64),
            fired=np.zeros(n, np.int64),
            reached=np.zeros(populations, np.int64),
            control=np.zeros(lay.CONTROL_COLUMNS, np.int64),
            settings=self._packed_settings(settings),
            peaks=np.zeros((peaks, n if peaks else 0), np.float32),
            peak_steps=np.zeros((peaks, n if peaks else 0), np.int32),
        )
        self.reset(0)

    @property
    def noise(self) -> float:
        """λ of the momentum order."""
        return self._noise

    def _packed_settings(self, settings: RunSettings) -> NDArray[np.int64]:
        self._noise = settings.policy.noise if isinstance(settings.policy, Momentum) else 0.0
        model = self.wiring.model
        packed = np.zeros(lay.SETTINGS_COLUMNS, np.int64)
        packed[lay.POLICY] = _CODES.get(type(settings.policy), lay.CUSTOM)
        packed[lay.GROUP_SIZE] = settings.group_size
        packed[lay.QUEUED] = settings.input == "queued"
        rule = settings.until
        packed[lay.RULE] = lay.CALLABLE
        if not callable(rule):
            packed[lay.RULE], packed[lay.RULE_ARGUMENT] = rule.code
        packed[lay.MAX_STEPS] = settings.max_forward_steps
        packed[lay.OUTPUT] = model.index(model.output)
        packed[lay.TIMESTEP] = model.timestep_us
        packed[lay.FAN_DELAYED] = self.wiring.fan_delayed
        return packed

    def reset(self, seed: int) -> None:
        """Start a new sample that runs with ``seed`` (64 bits)."""
        a = self.arrays
        a.potential[:] = 0
        a.marks[:] = 0
        a.marks[lay.FIRED] = -1
        a.marks[lay.REACHED] = -1
        a.votes[:] = 0
        a.spikes[:] = 0
        a.control[:] = 0
        a.control[lay.PASS] = -1
        a.control[lay.FIRST_VOTE] = -1
        a.control[lay.LAST_OWNER] = -1
        a.settings[lay.SEED] = seed - 2**64 if seed >= 2**63 else seed
        self.row_blocks.clear()
        self.slot_blocks.clear()
        self.set_interval(self.wiring.model.timestep_us)

    def set_interval(self, interval_us: int) -> None:
        """Use the decay factors of ``interval_us`` µs between passes."""
        self.arrays.control[lay.INTERVAL] = interval_us
        self.arrays.decay[:] = self.wiring.decay(interval_us)

    def ensure_room(self, group: int) -> None:
        """Make room if one more step, that delivers ``group`` spike events, needs it."""
        a = self.arrays
        control, n = a.control, a.potential.shape[1]
        if (
            a.rows.shape[1] - control[lay.ROWS] < n
            or a.slots.shape[1] - control[lay.SLOTS] < group
            or a.group.shape[1] < group
            or a.pending.shape[1] < n + group
            or a.due.shape[1] - control[lay.DUE] < group * self.wiring.fan_delayed
        ):
            self.make_room(group)

    def make_room(self, group: int) -> None:
        """Let one more step deliver ``group`` spike events: empty the logs, grow what is short."""
        a = self.arrays
        self.flush()
        n = a.potential.shape[1]
        due = int(a.control[lay.DUE]) + group * self.wiring.fan_delayed
        pending = grown(a.pending, n + group)
        self.arrays = a._replace(
            pending=pending,
            keys=grown(a.keys, pending.shape[1]),
            chosen=grown(a.chosen, pending.shape[1]),
            group=grown(a.group, max(group, pending.shape[1])),
            due=grown(a.due, due),
            slots=grown(a.slots, group),
        )

    def last_to_fire(self) -> str:
        """Who fired last, in words, for the error that names what did not end."""
        owner = int(self.arrays.control[lay.LAST_OWNER])
        if owner < 0:
            return "no population fired: the input is queued"
        return f"population {self.wiring.model.populations[owner].name!r} was the last to fire"

    def flush(self) -> None:
        """Empty the logs of spikes and deliveries, into the blocks if they are kept."""
        a = self.arrays
        if self.keep:
            if rows := int(a.control[lay.ROWS]):
                self.row_blocks.append(a.rows[:, :rows].copy())
            if slots := int(a.control[lay.SLOTS]):
                self.slot_blocks.append(a.slots[:, :slots].copy())
        a.control[lay.ROWS] = 0
        a.control[lay.SLOTS] = 0


def grown(array: NDArray[Any], room: int) -> NDArray[Any]:
    """The array, or a copy at least twice as long if its last axis is shorter than ``room``."""
    if array.shape[-1] >= room:
        return array
    longer = np.zeros((*array.shape[:-1], max(room, 2 * array.shape[-1])), array.dtype)
    longer[..., : array.shape[-1]] = array
    return longer
