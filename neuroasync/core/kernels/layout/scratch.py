"""Tables of the scratch buffers, which a session has only while a pass is under way."""

from typing import Final, NamedTuple

FIRED_AT_ONCE: Final = 4
"""Neurons that fire are written to ``fired``, and read from it, in pieces of so many; what follows
the last of them is arbitrary."""


class _StepCounts(NamedTuple):
    """Rows of ``counts``, i64[4, P]: a column per population.

    They are set to 0 before each step. Under layer-sync, they are set to 0 before each pass, and
    ``TOUCHED`` and ``WAITING`` refer to all groups since the population's latest turn.
    """

    TOUCHED: int = 0
    """Number of its neurons in ``touched``; -1 if the group reaches all of them."""
    FIRED: int = 1
    """Number of its neurons in ``fired``."""
    REACHED: int = 2
    """1 if the population must integrate: because the group has a connection to it, or because it
    has its turn."""
    WAITING: int = 3
    """Under layer-sync: 1 if a group since the population's latest turn has a connection to it."""


StepCounts: Final = _StepCounts()


class _Pending(NamedTuple):
    """Rows of ``pending``, i32[3, K]: a column per pending spike."""

    KEY: int = 0
    """Number of the neuron in order keys and ties: its network-wide index, or N + i for input
    event i of the pass."""
    ARRIVAL: int = 1
    """Forward step in which it fired; -1 for an input event. Only custom policies have it."""
    QUEUED: int = 2
    """Not of the pending spike of this column, but of queued input event i of the pass: N + its
    flattened input index."""


Pending: Final = _Pending()


class _Group(NamedTuple):
    """Rows of ``group``, i64[5, K]: a column per slot, in the order of delivery."""

    KEY: int = 0
    """As in ``Pending``."""
    ORIGIN: int = 1
    """Number of the neuron for its connections: its network-wide index, or N + its flattened
    input index."""
    MULTIPLICITY: int = 2
    """How many spikes of the neuron the slot stands for. Of input events with values, it also
    holds what the weights are multiplied by; see :mod:`neuroasync.core.kernels.delivery`."""
    OWNER: int = 3
    """Position of the neuron's population; P for the input."""
    CONNECTION: int = 4
    """Connection by which a delayed spike arrives; -1 for all connections without delay."""


Group: Final = _Group()


class _SpikeLog(NamedTuple):
    """Rows of ``spike_log``, i64[5, R]: a column per spike, in the order of firing."""

    PASS: int = 0
    STEP: int = 1
    TIME: int = 2
    """Virtual time of the pass, µs."""
    NEURON: int = 3
    """Network-wide index."""
    FLAGS: int = 4
    """``REFRACTORY_BIT`` if the spike made its neuron refractory; ``AFTER_SILENT_TURN``."""


SpikeLog: Final = _SpikeLog()


class _DeliveryLog(NamedTuple):
    """Rows of ``delivery_log``, i64[6, S]: a column per delivered spike event, in slot order."""

    PASS: int = 0
    STEP: int = 1
    KEY: int = 2
    """As in ``Group``; so are the following rows."""
    ORIGIN: int = 3
    MULTIPLICITY: int = 4
    CONNECTION: int = 5


DeliveryLog: Final = _DeliveryLog()


class _TurnLog(NamedTuple):
    """Rows of ``turn_log``, i64[4, L]: a column per turn under layer-sync, in their order."""

    PASS: int = 0
    STEP: int = 1
    """Forward step that came before the turn. The spikes of the turn carry its number."""
    POPULATION: int = 2
    POTENTIALS: int = 3
    """Position in ``turn_potentials`` of the population's first neuron."""


TurnLog: Final = _TurnLog()
