"""The execution plan: settings and memory layout that sessions of a network share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import Fifo, LayerSync, Momentum, Random
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.scratch_buffers import ScratchBuffers
from neuroasync.core.formats.bundle_calibration import Calibration
from neuroasync.core.kernels.layout import (
    Context,
    Control,
    ExtraState,
    PolicyCode,
    Populations,
    RuleCode,
    Settings,
    Votes,
)
from neuroasync.core.model.checks import shown
from neuroasync.errors import StopRuleError

__all__ = ["ALIGNED_FROM", "LINE", "DecisionLayout", "ExecutionPlan"]

_CODES: Final = {
    LayerSync: PolicyCode.LAYER_SYNC,
    Random: PolicyCode.RANDOM,
    Momentum: PolicyCode.MOMENTUM,
    Fifo: PolicyCode.FIFO,
}
LINE: Final = 8
"""Words of 8 bytes in a cache line, which holds the potentials of a block of 16 neurons."""
ALIGNED_FROM: Final = 4096
"""Number of neurons from which a session's arrays start at cache lines.

A network of this size does not stay in a core's cache, and a block of neurons that straddles two
lines costs twice as much. Sessions of smaller networks omit the padding, because many are open."""


@dataclass(frozen=True, slots=True)
class DecisionLayout:
    """Where the head of a session's memory holds what a decision is computed from.

    The *head* is its first part: control, votes, spikes and readout. Positions are in words of 8
    bytes.

    Attributes:
        names: names of the populations.
        classes: number of classes.
        calibrations: the calibrations that are valid for the settings of the run.
        votes_at: position of the table of votes.
        spikes_at: position of the spikes of each population.
        has_readout: whether the output consists of leaky integrators, whose potentials follow the
            spikes.
        size: size of the head.
        vote_words: the words that hold the votes of each class.
        spike_words: the words that hold the spikes of each population.
    """

    names: tuple[str, ...]
    classes: int
    calibrations: tuple[Calibration, ...]
    votes_at: int
    spikes_at: int
    has_readout: bool
    size: int = field(init=False)
    vote_words: slice = field(init=False)
    spike_words: slice = field(init=False)

    def __post_init__(self) -> None:
        """Compute the positions that follow from the others."""
        first_vote = self.votes_at + Votes.COUNT * self.classes
        readout_at = self.spikes_at + len(self.names)
        size = readout_at + (-(-self.classes // 2) if self.has_readout else 0)
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "vote_words", slice(first_vote, first_vote + self.classes))
        object.__setattr__(self, "spike_words", slice(self.spikes_at, readout_at))

    def split(
        self, head: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return control i64[55], votes i64[5, classes] and spikes i64[P] as views of ``head``."""
        votes = head[self.votes_at : self.spikes_at].reshape(len(Votes), -1)
        return head[: len(Control)], votes, head[self.spike_words]

    def readout(self, head: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """Return the readout in ``head``, f32[classes]; None if the output can vote."""
        if not self.has_readout:
            return None
        return head[self.spike_words.stop : self.size].view(np.float32)[: self.classes]


class ExecutionPlan:
    """Settings and memory layout shared by sessions that run the same network in the same way.

    Args:
        packed: the packed network.
        settings: how the network is run.
        dropout: probability that a spike leaves its neuron non-refractory (training only).
        is_replay: whether a recording determines the order of deliveries.
        calibrations: the calibrations that are valid for these settings.

    Attributes:
        packed: the packed network.
        run: how the network is run.
        settings: i64[..], columns ``Settings`` and the arguments of the stop rule.
        float_settings: f64[2], columns ``FloatSettings``.
        is_built_in: whether kernels alone can run the network, because the policy, the stop rule
            and all populations are built in.
        allows_compiled: whether the compiled engine may run the network: it is built in, and the
            settings do not require coroutines.
        has_delays: whether the network has connections with a delay.
        has_turns: whether populations have turns (layer-sync).
        size: size of a session's memory, in words of 8 bytes.
        layout: what its first part, the head, holds.
        has_extra_state: whether neurons have variables beyond potential and momentum.
        idle_scratch: scratch buffers that no session uses at the moment.
    """

    def __init__(
        self,
        packed: PackedNetwork,
        settings: RunSettings,
        *,
        dropout: float = 0.0,
        is_replay: bool = False,
        calibrations: tuple[Calibration, ...] = (),
    ) -> None:
        self.packed = packed
        self.run = settings
        self._rebuild = partial(
            type(self), packed, settings, dropout=dropout, is_replay=is_replay,
            calibrations=calibrations,
        )  # fmt: skip
        self.settings = _packed_settings(packed, settings)
        if is_replay:
            self.settings[Settings.POLICY] = PolicyCode.CUSTOM
        noise = settings.policy.noise if isinstance(settings.policy, Momentum) else 0.0
        self.float_settings = np.array([noise, dropout], np.float64)
        populations = packed.arrays.populations[:-1]
        self.has_delays = packed.max_delayed_fan_out > 0
        self.is_built_in = (
            self.settings[Settings.POLICY] != PolicyCode.CUSTOM
            and self.settings[Settings.STOP_RULE] != RuleCode.CALLABLE
            and not populations[:, Populations.CUSTOM].any()
        )
        self.allows_compiled = self.is_built_in and self.run.engine != "coroutines"
        self.has_turns = bool(self.settings[Settings.POLICY] == PolicyCode.LAYER_SYNC)
        self.idle_scratch: list[ScratchBuffers] = []
        self._places = np.zeros(Context.SESSION_END - Context.SETTINGS, np.int64)
        self.size = self._lay_out(populations, dropout)
        self.layout = DecisionLayout(
            names=tuple(p.name for p in packed.model.populations),
            classes=int(packed.context[Context.CLASSES]),
            calibrations=calibrations,
            votes_at=self.offset_of(Context.VOTES_AT) // 8,
            spikes_at=self.offset_of(Context.SPIKES_AT) // 8,
            has_readout=self.offset_of(Context.READOUT_AT) >= 0,
        )
        self.has_extra_state = self.offset_of(Context.EXTRA_STATE_AT) >= 0
        self._place(Context.SETTINGS, self.settings.ctypes.data)
        self._place(Context.FLOAT_SETTINGS, self.float_settings.ctypes.data)

    def __reduce__(self) -> tuple[Callable[[], object], tuple[()]]:
        """Return how to make a pickle or a copy, because addresses hold in this process only."""
        return self._rebuild, ()

    def acquire_scratch(self) -> ScratchBuffers:
        """Return scratch buffers, idle or new, whose context has this plan's entries."""
        try:
            return self.idle_scratch.pop()  # no test first: other threads may take one meanwhile
        except IndexError:
            pass
        scratch = ScratchBuffers(self.packed)
        scratch.context[Context.SETTINGS : Context.SESSION_END] = self._places
        return scratch

    def offset_of(self, column: int) -> int:
        """Return the byte offset of an array in a session's memory; -1 if it is not needed."""
        return int(self._places[column - Context.SETTINGS])

    def _place(self, column: int, value: int) -> None:
        self._places[column - Context.SETTINGS] = value

    def _lay_out(self, populations: NDArray[np.int64], dropout: float) -> int:
        """Assign each array its offset in a session's memory; return the size in words."""
        model = self.packed.model
        n, count = model.size, len(model.populations)
        output = model.populations[model.index(model.output)]
        ring = 0 if model.timestep_us else _ring_room(n)
        fires_again = (populations[:, Populations.REFRACTORY] == 0) | (
            populations[:, Populations.CUSTOM] == 1
        )
        parts = (
            (Context.CONTROL_AT, True, 8 * len(Control)),
            (Context.VOTES_AT, True, 8 * len(Votes) * output.size),
            (Context.SPIKES_AT, True, 8 * count),
            (Context.READOUT_AT, model.decides_by_potential, 4 * output.size),
            (Context.V_AT, True, 4 * n),
            (Context.MOMENTUM_AT, True, 4 * n),
            (Context.LAST_GROUP_AT, True, 4 * n),
            (Context.CLOCKS_AT, True, 8 * self.packed.blocks),
            (
                Context.RECEIVED_AT,
                bool((populations[:, Populations.SYNC_THRESHOLD] > 0).any()),
                4 * n,
            ),
            (Context.MULTIPLICITY_AT, bool(fires_again.any()) or dropout > 0, 4 * n),
            (
                Context.SUPRATHRESHOLD_AT,
                bool(populations[:, Populations.FIRES_SPONTANEOUSLY].any()),
                8 * n,
            ),
            (
                Context.EXTRA_STATE_AT,
                bool(populations[:, Populations.HAS_EXTRAS].any()),
                4 * len(ExtraState) * n,
            ),
            (Context.RING_AT, ring > 0, 8 * ring + 4 * ring * count),
        )
        words = 0
        for column, is_needed, size in parts:
            if n >= ALIGNED_FROM and column in (
                Context.V_AT,
                Context.MOMENTUM_AT,
                Context.LAST_GROUP_AT,
            ):
                words += -words % LINE
            self._place(column, 8 * words if is_needed else -1)
            words += -(-size // 8) if is_needed else 0
        self._place(Context.RING_CAPACITY, ring)
        return words


def _packed_settings(packed: PackedNetwork, settings: RunSettings) -> NDArray[np.int64]:
    model = packed.model
    rule = settings.until
    if model.decides_by_potential and not (callable(rule) or rule.name == "quiet"):
        raise StopRuleError(
            f"`until` must be 'quiet', because the output {model.output!r} consists of leaky "
            f"integrators, which never vote, got {shown(str(rule))}"
        )
    code, arguments = (RuleCode.CALLABLE, ()) if callable(rule) else rule.code
    row = np.zeros(len(Settings) + len(arguments), np.int64)
    row[Settings.STOP_RULE], row[Settings.RULE_ARGUMENTS] = code, len(arguments)
    row[len(Settings) :] = arguments
    row[Settings.POLICY] = _CODES.get(type(settings.policy), PolicyCode.CUSTOM)
    row[Settings.GROUP_SIZE] = settings.group_size
    row[Settings.QUEUED] = settings.input == "queued"
    row[Settings.MAX_STEPS] = settings.max_forward_steps
    row[Settings.OUTPUT] = model.index(model.output)
    row[Settings.TIMESTEP_US] = model.timestep_us
    row[Settings.MAX_DELAYED_FAN_OUT] = packed.max_delayed_fan_out
    row[Settings.MAX_PASSES] = settings.max_passes
    return row


def _ring_room(neurons: int) -> int:
    """Return how many passes the ring remembers: more if decaying all neurons costs more."""
    return min(4096, max(32, neurons // 64))
