"""Tables of a session's state, and the settings that sessions of one execution plan share.

The package docstring explains marks and blocks.
"""

from typing import Final, NamedTuple

REFRACTORY_BIT: Final = 1
"""Flag in ``last_group``: the neuron is refractory. It holds until the pass ends."""
SUPRATHRESHOLD_BIT: Final = 2
"""Flag in ``last_group``: the neuron is in ``suprathreshold``. It holds until the sample ends."""
AFTER_SILENT_TURN: Final = 2
"""Flag in ``spike_log``: under layer-sync, a turn in which no neuron fired came between the latest
delivery and the spike."""
GROUP_UNIT: Final = 4
"""Difference between the marks of two consecutive groups. It leaves two bits for flags."""
MIXED: Final = -1
"""``Control.GROUP_OWNER`` of a group of several populations, whose origins tell the owners."""
FULL: Final = -2
"""``Control.GROUP_OWNER`` of a group of which all columns are written."""
GROUP_LIMIT: Final = 2**30
"""Mark at which groups are renumbered from 0, because a mark must fit a signed 32-bit integer."""


class _Control(NamedTuple):
    """Columns of ``control``, i64[55]: counters of the sample and its position.

    Unless stated otherwise, counts begin at 0 with each sample.
    """

    PASS: int = 0
    """Index of the current pass; -1 before the first."""
    STEP: int = 1
    """Forward step of the pass; 0 is the input group."""
    TIME: int = 2
    """Virtual time of the pass, µs."""
    GROUP_NUMBER: int = 3
    """Groups delivered so far: (pass, step) as one ascending number."""
    PENDING: int = 4
    """Number of pending spikes."""
    GROUP: int = 5
    """Number of slots of the current group."""
    IN_FLIGHT: int = 6
    """Number of spikes on delayed connections."""
    SPIKE_LOG: int = 7
    """Number of spikes in the log."""
    DELIVERY_LOG: int = 8
    """Number of spike events in the delivery log."""
    ROUNDS: int = 9
    """Rounds: a forward step that delivers k spikes takes ceil(k / group size)."""
    STEPS: int = 10
    """Forward steps."""
    SYNOPS: int = 11
    """Synaptic operations: one per target of each delivered spike."""
    SPIKES: int = 12
    """Spikes of all populations."""
    INPUT_EVENTS: int = 13
    """Input events delivered."""
    FIRST_VOTE_STEPS: int = 14
    """Value of ``STEPS`` when the output first fired, or -1."""
    FIRST_VOTE_ROUNDS: int = 15
    """Value of ``ROUNDS`` when the output first fired."""
    FIRST_VOTE_SPIKES: int = 16
    """Value of ``SPIKES`` when the output first fired, that spike included."""
    CURSOR: int = 17
    """Position of the next input event to read."""
    PHASE: int = 18
    """A ``Phase``."""
    LAST_OWNER: int = 19
    """Population that fired last in this pass, or -1; the step limit's error names it."""
    SLOT: int = 20
    """Next slot of the group to log and put in flight, then to deliver."""
    SEED: int = 21
    """Seed of the sample: 64 bits, read as a signed integer."""
    CLOCK: int = 22
    """Passes of the session over all its samples."""
    SAMPLE_CLOCK: int = 23
    """Value that ``CLOCK`` has in the first pass of the sample."""
    NEXT_BLOCK: int = 24
    """Block from which the next sweep starts; it applies decay to blocks that nothing reaches."""
    GROUP_MARK: int = 25
    """Mark of the current group."""
    PASS_MARK: int = 26
    """Mark at which the pass began."""
    SAMPLE_MARK: int = 27
    """Mark at which the sample began."""
    SUPRATHRESHOLD: int = 28
    """Number of entries of ``suprathreshold``."""
    HEAD: int = 29
    """Position of the first pending spike. It is not 0 only in fifo order, in which the array of
    pending spikes is circular."""
    WORK: int = 30
    """Cost of the session so far. The unit is the time of one synaptic operation."""
    NEEDED_SLOTS: int = 31
    """Slots of a group to make room for, after a kernel returned ``NEEDS_ROOM``."""
    TOP_VOTES: int = 32
    """Highest number of votes of a class."""
    WATCHED_LEADER: int = 33
    """0 if the sample is not watched; otherwise 2 + the leading class reported last (-1: none)."""
    CARRIES: int = 34
    """1 if the next sample continues from this one's state. The stop rule then ends the decision
    and not the sample."""
    IS_DECIDED: int = 35
    """1 if the stop rule has fired and the sample continues. The rule is not evaluated again."""
    READ_STAGE: int = 36
    """A ``ReadStage``, while the pass reads its input events."""
    READ_FIRST: int = 37
    """Position of the pass's first input event, then slot of the first spike that is due."""
    READ_AT: int = 38
    """Where the stage continues: position of an event, of a word of ``input_bits``, of a spike in
    flight or of a slot."""
    COMPARED: int = 39
    """Number of pending spikes that the selection of the next group has compared."""
    NEEDED_PENDING: int = 40
    """Pending spikes to make room for, after a kernel returned ``NEEDS_ROOM``."""
    UNORDERED: int = 41
    """1 if the spikes that are due are not in ascending order."""
    KEPT: int = 42
    """Number of entries that a stage has kept so far."""
    LAYER: int = 43
    """Under layer-sync: population whose turn it is, and whose spikes are pending or are delivered;
    -1 for queued input, or for a population that cannot fire."""
    HEAPED: int = 44
    """Number of selected spikes that form a heap, in a selection that a heap sorts."""
    SORTED: int = 45
    """Number of selected spikes that were taken from the heap, which are the last of the group."""
    MOVED: int = 46
    """Number of selected spikes that were moved to the group."""
    SCANNED: int = 47
    """Number of gaps that were closed, or of pending spikes that were searched for gaps."""
    REPEATED: int = 48
    """1 if an input has several events in the pass, among those that were read."""
    NEXT_TURN: int = 49
    """Place (``Populations.TURN``) at which to look for the next turn. No population before it has
    a turn coming."""
    FIRST_TURNS: int = 50
    """Number of places whose populations have had a turn in this pass."""
    FIRST_EVENT: int = 51
    """Position of the first input event of the pass."""
    SELECTED: int = 52
    """A ``Selected``."""
    GROUP_OWNER: int = 53
    """Population of all slots of the group, ``MIXED`` or ``FULL``. Unless it is ``FULL``, each slot
    stands for one spike, on all connections without delay, whose key is its origin; of the columns
    of ``group``, only ``ORIGIN`` is then written."""
    SILENT_TURN: int = 54
    """``AFTER_SILENT_TURN`` if no neuron fired in a turn since the latest delivery; otherwise 0."""


Control: Final = _Control()


class _Votes(NamedTuple):
    """Rows of ``votes``, i64[5, classes]: a column per class."""

    COUNT: int = 0
    """Output spikes of the class."""
    LATEST: int = 1
    """Value of ``Control.GROUP_NUMBER`` at its latest spike; the lower one wins a tie."""
    LED_SPIKES: int = 2
    """Spikes of all populations when the class first led; 0 if it never did."""
    LED_STEPS: int = 3
    """Forward steps when the class first led."""
    LED_ROUNDS: int = 4
    """Rounds when the class first led."""


Votes: Final = _Votes()


class _ExtraState(NamedTuple):
    """Rows of ``extra_state``, f32[3, N]: further variables of neurons, 0 at rest.

    They decay lazily, in blocks, like the membrane potentials.
    """

    CURRENT: int = 0
    """Synaptic current."""
    ADAPTATION: int = 1
    """What the threshold exceeds ``thresholds`` by."""
    DELAYED_RESET: int = 2
    """What the next pass subtracts from the membrane potential; of a reset to zero, 1."""


ExtraState: Final = _ExtraState()


class _InFlight(NamedTuple):
    """Rows of ``in_flight``, i64[5, D]: a column per spike event on a delayed connection."""

    DUE_US: int = 0
    """Virtual time of its delivery, µs."""
    FIRED_US: int = 1
    """Virtual time of the pass in which it fired, µs."""
    CONNECTION: int = 2
    ORIGIN: int = 3
    """Network-wide index of the neuron, or N + flattened input index."""
    MULTIPLICITY: int = 4
    """As in ``Group``."""


InFlight: Final = _InFlight()


class _Settings(NamedTuple):
    """Columns of ``settings``, i64[10 + arguments of the stop rule]."""

    POLICY: int = 0
    """A ``PolicyCode``."""
    GROUP_SIZE: int = 1
    """Group size F: maximum number of spikes that one round delivers."""
    QUEUED: int = 2
    """1 if input events join the pending spikes; 0 if they are delivered first, as one group."""
    STOP_RULE: int = 3
    """A ``RuleCode``."""
    RULE_ARGUMENTS: int = 4
    """Number of arguments of the stop rule, which follow these columns."""
    MAX_STEPS: int = 5
    """Maximum number of forward steps in a pass."""
    OUTPUT: int = 6
    """Position of the output population."""
    TIMESTEP_US: int = 7
    """Timestep in µs; 0 for one pass per distinct input time."""
    MAX_DELAYED_FAN_OUT: int = 8
    """Maximum number of connections with a delay that leave one population."""
    MAX_PASSES: int = 9
    """Maximum number of passes in a sample."""


Settings: Final = _Settings()


class _FloatSettings(NamedTuple):
    """Columns of ``float_settings``, f64[2]."""

    NOISE: int = 0
    """Noise λ of the momentum order."""
    REFRACTORY_DROPOUT: int = 1
    """Probability that a spike leaves its neuron non-refractory (training only)."""


FloatSettings: Final = _FloatSettings()
