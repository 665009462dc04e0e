"""Codes that kernels and Python exchange as integers.

Accessing a member of an ``IntEnum`` class costs about 100 ns on Python 3.11. Python code that runs
once per forward step therefore tests the sign of a kernel's result first, and binds the members
that it needs to module-level integers.
"""

from enum import IntEnum


class ConnectionKind(IntEnum):
    """How the weights of a connection are stored (``Connections.KIND``)."""

    DENSE = 0
    """One row of weights per source neuron."""
    CONV2D = 1
    """Convolution kernels, [channels out, channels in, height, width]."""
    SPARSE = 2
    """Compressed sparse rows, one row per source neuron."""


class PolicyCode(IntEnum):
    """The ordering policy (``Settings.POLICY``)."""

    LAYER_SYNC = 0
    RANDOM = 1
    MOMENTUM = 2
    FIFO = 3
    CUSTOM = 4
    """Python selects: a policy supplied by the user, or a recording."""


class RuleCode(IntEnum):
    """The stop rule (``Settings.STOP_RULE``)."""

    QUIET = 0
    VOTES = 1
    MARGIN = 2
    STEPS = 3
    CALLABLE = 4
    """A function supplied by the user, which Python calls."""


class Selected(IntEnum):
    """Where the pending spikes that go next are (``Control.SELECTED``)."""

    CHOSEN = 0
    """At the positions in ``chosen``."""
    FIRST = 1
    """At the head of the pending spikes."""
    ORDERED = 2
    """The first ones of ``ordered``, which holds all pending spikes."""


class ReadStage(IntEnum):
    """What reading the input of a pass does next (``Control.READ_STAGE``)."""

    EVENTS = 0
    """Enqueue the events; or set the bit of each input that has events, if they are many."""
    SLOTS = 1
    """Write a slot for each bit."""
    COUNTS = 2
    """Count the events of each slot."""
    DUE = 3
    """Move the spikes that are due from the spikes in flight to the group."""
    HEAP = 4
    """Arrange their slots as a heap, unless they are in order."""
    SORT = 5
    """Take the slots from the heap, the last one first."""
    OWNERS = 6
    """Complete their slots."""


class Phase(IntEnum):
    """What the state machine of the forward pass does next (``Control.PHASE``)."""

    BETWEEN_PASSES = 0
    """Open the next pass."""
    CHOOSING = 1
    """Select the next group. If no spike is pending, look for spontaneous firing, or under
    layer-sync for the next turn."""
    DELIVERING = 2
    """Continue to deliver the open group at ``Control.SLOT``."""
    INTEGRATING = 3
    """Enqueue the spikes of the populations that the group reached, or that had its turn, and that
    have integrated."""
    STOPPED = 4
    """Nothing: the stop rule has ended the sample."""
    READING = 5
    """Continue to read the input events of the pass, and the spikes that are due."""
    MOVING = 6
    """Continue to move the selected spikes from the pending spikes to the group."""
    OPENING = 7
    """Continue to log the group, and to put its spikes in flight, at ``Control.SLOT``."""


class Interrupt(IntEnum):
    """Why a kernel returned to Python before the end of its work; all codes are negative."""

    DONE = -1
    """The sample was stopped, or no pass is left up to the given time."""
    BUDGET_SPENT = -2
    """The work budget of the call is spent."""
    NEEDS_ROOM = -3
    """A buffer is too small for ``Control.NEEDED_SLOTS`` or ``Control.NEEDED_PENDING``."""
    NEEDS_CHOICE = -4
    """Python must select the next group (``PolicyCode.CUSTOM``)."""
    STEP_LIMIT = -5
    """The pass has reached its maximum number of forward steps."""
    PASS_LIMIT = -6
    """The sample has reached its maximum number of passes."""
    NEEDS_RULE = -7
    """Python must evaluate the stop rule (``RuleCode.CALLABLE``)."""
    MANY_POPULATIONS = -8
    """Populations must integrate, but they are too many for a mask: see ``StepCounts.REACHED``."""
    NEW_LEADER = -9
    """The sample is watched, and another class leads than was reported last."""
    DECIDED = -10
    """The stop rule fired, and the sample continues because its state is carried over."""
