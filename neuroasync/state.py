"""The state of one session in a network: what kernels write, in one piece of memory."""

from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.kernels import layout as lay
from neuroasync.kernels.entry import begin, freshen_all
from neuroasync.policies import Fifo, LayerSync, Momentum, Random
from neuroasync.settings import RunSettings
from neuroasync.wiring import Wiring
from neuroasync.workspace import Workspace, grown

__all__ = ["Plan", "State"]

_CODES: Final = {
    LayerSync: lay.LAYER_SYNC,
    Random: lay.RANDOM,
    Momentum: lay.MOMENTUM_ORDER,
    Fifo: lay.FIFO,
}
_CLEAN: Final = (lay.BETWEEN_PASSES, lay.STOPPED)
"""Phases in which nothing of a session is in its workspace, except logs."""
_MOST_IDLE: Final = 4
_LINE: Final = 8
"""Words of a cache line: of 16 neurons' potentials, which come to rest and decay together."""
_ALIGNED_FROM: Final = 4096
"""Neurons of a network that is not in a cache: a block of theirs that lies across two lines costs
twice as much. Of smaller ones many sessions are open, and each is to be small."""
_NO_CONTEXT: Final = 0

_Number = TypeVar("_Number", np.int32, np.int64, np.float32)


class Plan:
    """What all sessions share that run one network in one way.

    Args:
        wiring: the network.
        settings: how it is run.
        dropout: probability that a spike leaves its neuron non-refractory (training only).
        is_replay: whether a recording says who goes next.

    Attributes:
        run: how it is run.
        settings, knobs: i64[..], with the stop rule's arguments behind its columns, and
            f64[..]; columns are documented in ``kernels.layout``.
        is_built_in: whether kernels alone can run it: the order and the stop rule are built in,
            and no population is the user's.
        names: of the populations.
        size: of a session's memory, in words of 8 bytes.
        head: of its control, votes and spikes, with which it begins.
        idle: workspaces that no pass needs at the moment.
    """

    def __init__(
        self,
        wiring: Wiring,
        settings: RunSettings,
        *,
        dropout: float = 0.0,
        is_replay: bool = False,
    ) -> None:
        self.wiring = wiring
        self.run = settings
        self.settings = _packed(wiring, settings)
        if is_replay:
            self.settings[lay.POLICY] = lay.CUSTOM
        noise = settings.policy.noise if isinstance(settings.policy, Momentum) else 0.0
        self.knobs = np.array([noise, dropout], np.float64)
        populations = wiring.wires.populations[:-1]
        self.is_built_in = (
            self.settings[lay.POLICY] != lay.CUSTOM
            and self.settings[lay.RULE] != lay.CALLABLE
            and not populations[:, lay.EXTERNAL].any()
        )
        self.idle: list[Workspace] = []
        self.names = tuple(p.name for p in wiring.model.populations)
        self._places = np.zeros(lay.SESSION_END - lay.SETTINGS, np.int64)
        self.size = self._lay_out(populations, dropout)
        self._votes_at, self._spikes_at = self.at(lay.VOTES_AT) // 8, self.at(lay.SPIKES_AT) // 8
        self.head = self._spikes_at + len(self.names)
        self._place(lay.SETTINGS, self.settings.ctypes.data)
        self._place(lay.KNOBS, self.knobs.ctypes.data)

    def parts(
        self, head: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Control i64[..], votes i64[5, classes] and spikes i64[P] in the head of a memory."""
        votes, spikes = self._votes_at, self._spikes_at
        return (
            head[: lay.CONTROL_COLUMNS],
            head[votes:spikes].reshape(lay.VOTE_COLUMNS, -1),
            head[spikes : self.head],
        )

    def workspace(self) -> Workspace:
        """A workspace, idle or new, that knows how to run."""
        try:
            return self.idle.pop()  # not asked for first: several threads may be here
        except IndexError:
            pass
        workspace = Workspace(self.wiring)
        workspace.context[lay.SETTINGS : lay.SESSION_END] = self._places
        return workspace

    def at(self, column: int) -> int:
        """Where in a session's memory something is, in bytes; -1 if it is not needed."""
        return int(self._places[column - lay.SETTINGS])

    def _place(self, column: int, value: int) -> None:
        self._places[column - lay.SETTINGS] = value

    def _lay_out(self, populations: NDArray[np.int64], dropout: float) -> int:
        """Give each part of a session's memory its place; return the words of all."""
        model = self.wiring.model
        n, count = model.size, len(model.populations)
        classes = model.populations[model.index(model.output)].size
        ring = 0 if model.timestep_us else _ring_room(n)
        fires_again = (populations[:, lay.REFRACTORY] == 0) | (populations[:, lay.EXTERNAL] == 1)
        parts = (
            (lay.CONTROL_AT, True, 8 * lay.CONTROL_COLUMNS),
            (lay.VOTES_AT, True, 8 * lay.VOTE_COLUMNS * classes),
            (lay.SPIKES_AT, True, 8 * count),
            (lay.V_AT, True, 4 * n),
            (lay.MOMENTUM_AT, True, 4 * n),
            (lay.MARKS_AT, True, 4 * n),
            (lay.CLOCKS_AT, True, 8 * self.wiring.blocks),
            (lay.RECEIVED_AT, bool((populations[:, lay.SYNC] > 0).any()), 4 * n),
            (lay.WAITING_AT, bool(fires_again.any()) or dropout > 0, 4 * n),
            (lay.LISTED_AT, bool(populations[:, lay.LATE].any()), 8 * n),
            (lay.RING_AT, ring > 0, 8 * ring + 4 * ring * count),
        )
        words = 0
        for column, is_needed, size in parts:
            if n >= _ALIGNED_FROM and column in (lay.V_AT, lay.MOMENTUM_AT, lay.MARKS_AT):
                words += -words % _LINE
            self._place(column, 8 * words if is_needed else -1)
            words += -(-size // 8) if is_needed else 0
        self._place(lay.RING_ROOM, ring)
        return words


class State:
    """Membrane potentials, spikes in flight, votes and counters of one session.

    Between passes that is all there is of it; while one is under way, :attr:`workspace` is its
    own. The logs of a sample whose spikes are kept, too, are in there.

    Args:
        plan: the network, and how it is run.

    Attributes:
        plan: the network, and how it is run.
        keep: whether the logs of spikes and deliveries are kept in ``row_blocks`` (i64[5, R])
            and ``slot_blocks`` (i64[6, S]), or there are none.
        workspace: while a pass is under way, else None.
        context: what kernels are called with while there is a workspace: an address.
        control: i64[..], counters.
    """

    __slots__ = (
        "_address",
        "_due",
        "_is_fresh",
        "_memory",
        "context",
        "control",
        "keep",
        "plan",
        "row_blocks",
        "slot_blocks",
        "workspace",
    )

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.keep = False
        self.row_blocks: list[NDArray[np.int64]] | None = None
        self.slot_blocks: list[NDArray[np.int64]] | None = None
        self.workspace: Workspace | None = None
        self.context = _NO_CONTEXT
        self._due: NDArray[np.int64] | None = None
        self._memory = _zeros(plan)
        self._address: int = self._memory.ctypes.data
        self.control = self._memory[: lay.CONTROL_COLUMNS]
        self.reset(0)

    @property
    def head(self) -> NDArray[np.int64]:
        """Control, votes and spikes: i64[plan.head]."""
        return self._memory[: self.plan.head]

    @property
    def votes(self) -> NDArray[np.int64]:
        """i64[5, classes]."""
        return self.plan.parts(self._memory)[1]

    @property
    def spikes(self) -> NDArray[np.int64]:
        """i64[P]."""
        return self.plan.parts(self._memory)[2]

    @property
    def potential(self) -> NDArray[np.float32]:
        """Membrane potentials f32[N]; of neurons that nothing reached, see :meth:`settle`."""
        return self.part(lay.V_AT, np.float32, self.plan.wiring.model.size)

    @property
    def momentum(self) -> NDArray[np.float32]:
        """Momenta f32[N]; of neurons that nothing reached, see :meth:`settle`."""
        return self.part(lay.MOMENTUM_AT, np.float32, self.plan.wiring.model.size)

    @property
    def waiting(self) -> NDArray[np.int32] | None:
        """Pending spikes of each neuron, i32[N]; None where one is the most."""
        if self.plan.at(lay.WAITING_AT) < 0:
            return None
        return self.part(lay.WAITING_AT, np.int32, self.plan.wiring.model.size)

    @property
    def due(self) -> NDArray[np.int64]:
        """Spikes in flight i64[5, D]."""
        if self._due is None:
            room = self.plan.wiring.model.size if self.plan.wiring.fan_delayed else 0
            self._due = np.zeros((lay.DUE_COLUMNS, room), np.int64)
        return self._due

    @property
    def nbytes(self) -> int:
        """Of its arrays, without those of a workspace."""
        return self._memory.nbytes + (0 if self._due is None else self._due.nbytes)

    def reset(self, seed: int) -> None:
        """Start a new sample that runs with ``seed`` (64 bits)."""
        control = self.control
        if control[lay.PHASE] not in _CLEAN:
            # It was abandoned in the middle of a pass: the workspace is not clean.
            self.workspace, self.context = None, _NO_CONTEXT
        if self.keep:
            self.row_blocks, self.slot_blocks = [], []
        # The rest is for the kernel, once there is a workspace.
        control[lay.SEED] = seed - 2**64 if seed >= 2**63 else seed
        control[lay.PHASE], control[lay.PASS] = lay.BETWEEN_PASSES, -1
        self._is_fresh = True

    def attach(self) -> Workspace:
        """The workspace of the pass that is under way, or about to begin."""
        if self.workspace is None:
            self.workspace = workspace = self.plan.workspace()
            self.context, context = workspace.address, workspace.context
            context[lay.SESSION] = self._address
            if self.plan.wiring.fan_delayed:
                context[lay.DUE_], context[lay.DUE_ROOM] = self.due.ctypes.data, self.due.shape[1]
        if self.keep:
            self.workspace.start_logs()
        if self._is_fresh:
            self._is_fresh = False
            begin(self.context, self.control[lay.SEED])
        return self.workspace

    def detach(self) -> None:
        """Give the workspace to whoever needs one, unless a pass or a log is under way in it."""
        if self.workspace is None or self.keep or self.workspace.has_logs:
            return
        if self.control[lay.PHASE] in _CLEAN:
            self.workspace.forget_events()
            if len(self.plan.idle) < _MOST_IDLE:
                self.plan.idle.append(self.workspace)
            self.workspace, self.context = None, _NO_CONTEXT

    def settle(self) -> None:
        """Bring all neurons up to the latest pass, also those that nothing reached since."""
        freshen_all(self.attach().address)

    def fly(self, due: NDArray[np.int64]) -> None:
        """Let these spikes be in flight, i64[5, D], and no others."""
        workspace = self.attach()
        self._due = grown(self.due, due.shape[1])
        self._due[:, : due.shape[1]] = due
        self.control[lay.DUE] = due.shape[1]
        if self.plan.wiring.fan_delayed:
            workspace.context[lay.DUE_] = self._due.ctypes.data
            workspace.context[lay.DUE_ROOM] = self._due.shape[1]

    def make_room(self) -> None:
        """Make the room that a kernel asked for: empty the logs, grow what is short."""
        workspace, control = self.attach(), self.control
        needed = int(control[lay.NEEDED])
        if self.row_blocks is not None:
            self.flush()
        workspace.make_room(control)
        if workspace.has_logs:
            workspace.grow_logs(0, needed)
        if fan := self.plan.wiring.fan_delayed:
            self._due = grown(self.due, int(control[lay.DUE]) + needed * fan)
            workspace.context[lay.DUE_] = self._due.ctypes.data
            workspace.context[lay.DUE_ROOM] = self._due.shape[1]

    def last_to_fire(self) -> str:
        """Who fired last, in words, for the error that names what did not end."""
        owner = int(self.control[lay.LAST_OWNER])
        if owner < 0:
            return "no population fired: the input is queued"
        name = self.plan.wiring.model.populations[owner].name
        return f"population {name!r} was the last to fire"

    def flush(self) -> None:
        """Empty the logs of spikes and deliveries, into the blocks."""
        control, workspace = self.control, self.workspace
        if workspace is None or self.row_blocks is None or self.slot_blocks is None:
            return
        if rows := int(control[lay.ROWS]):
            self.row_blocks.append(workspace.rows[:, :rows].copy())
        if slots := int(control[lay.SLOTS]):
            self.slot_blocks.append(workspace.slots[:, :slots].copy())
        control[lay.ROWS] = control[lay.SLOTS] = 0

    def part(self, column: int, dtype: type[_Number], size: int) -> NDArray[_Number]:
        """A part of its memory that the plan has a place for: [size]."""
        first = self.plan.at(column)
        return self._memory.view(np.uint8)[first : first + size * dtype().nbytes].view(dtype)


def _zeros(plan: Plan) -> NDArray[np.int64]:
    """A session's memory, from the start of a cache line on if its parts are to be at such."""
    if plan.wiring.model.size < _ALIGNED_FROM:
        return np.zeros(plan.size, np.int64)
    memory = np.zeros(plan.size + _LINE - 1, np.int64)
    skipped = -memory.ctypes.data // 8 % _LINE
    return memory[skipped : skipped + plan.size]


def _packed(wiring: Wiring, settings: RunSettings) -> NDArray[np.int64]:
    model = wiring.model
    rule = settings.until
    code, arguments = (lay.CALLABLE, ()) if callable(rule) else rule.code
    packed = np.zeros(lay.SETTINGS_COLUMNS + len(arguments), np.int64)
    packed[lay.RULE], packed[lay.ARGUMENTS] = code, len(arguments)
    packed[lay.SETTINGS_COLUMNS :] = arguments
    packed[lay.POLICY] = _CODES.get(type(settings.policy), lay.CUSTOM)
    packed[lay.GROUP_SIZE] = settings.group_size
    packed[lay.QUEUED] = settings.input == "queued"
    packed[lay.MAX_STEPS] = settings.max_forward_steps
    packed[lay.OUTPUT] = model.index(model.output)
    packed[lay.TIMESTEP] = model.timestep_us
    packed[lay.FAN_DELAYED] = wiring.fan_delayed
    packed[lay.MAX_PASSES] = limits.MAX_PASSES
    return packed


def _ring_room(neurons: int) -> int:
    """How many passes' decay a session remembers: more where bringing all up to date costs more."""
    return min(4096, max(32, neurons // 64))
