"""The decision on a sample, made from its votes and counters.

The label is the class with the most votes; ties go to the class that reached the count first
(:func:`neuroasync.core.kernels.voting.leader`).
"""

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.decision_fields import FIELDS, Outcome, label_of
from neuroasync.core.engine.execution_plan import DecisionLayout
from neuroasync.core.engine.stop_rules import Progress
from neuroasync.core.formats.bundle_calibration import Calibration
from neuroasync.core.kernels.layout import Control, Votes
from neuroasync.core.kernels.voting import leader
from neuroasync.core.votes_svg import votes_svg

__all__ = [
    "Decision",
    "PackedDecisions",
    "ReportedFields",
    "decision_of",
    "outcome_of",
    "progress_of",
    "reported_fields",
]


class _DeferredFields:
    """Fields that are computed when they are first read, because callers rarely read all.

    The outcome is held in parts: with another object for each decision, Python's garbage collector
    would take half as long again in a program that decides a data set.
    """

    __slots__ = ("_classes", "_head", "_layout", "_wall_s")

    _layout: DecisionLayout
    _head: NDArray[np.int64]
    _wall_s: float
    _classes: tuple[str, ...] | None

    if not TYPE_CHECKING:  # type checkers report fields that do not exist

        def __getattr__(self, name: str) -> Any:
            """Compute a field that was not read before."""
            if name not in FIELDS:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            # Calling the class of a named tuple would take three times as long.
            parts = (self._layout, self._head, self._wall_s, self._classes)
            value = FIELDS[name](tuple.__new__(Outcome, parts))
            object.__setattr__(self, name, value)
            return value


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Decision(_DeferredFields):
    """The decision on a sample, and its cost.

    Attributes:
        label: index of the decided class, or None if the output never fired. If the output consists
            of leaky integrators, the class of the highest potential (ties: the lowest index), or
            None if there was no pass.
        class_name: name of the class, if the bundle has class names.
        votes: i64[classes], output spikes of each class.
        stopped: whether the stop rule fired before the sample became quiet.
        t_us: virtual time of the last pass, µs; -1 if there was none.
        passes: number of passes begun.
        steps: number of forward steps.
        rounds: number of rounds; a step that delivers k spikes takes ceil(k / group size).
        spikes: spikes of each population, by name.
        input_events: number of input events read.
        synops: synaptic operations, one per target of each delivered spike.
        first_spike: (spikes, steps, rounds) when the output first fired, or None.
        first_led: for each class that ever led the votes, (spikes, steps, rounds) when it first
            did.
        undelivered: spikes in flight when the sample ended. They are dropped, or arrive in the
            next sample if windows carry state.
        wall_s: wall time from the first event's delivery to the decision, s.
        is_final: whether the sample is over. A provisional decision of
            :meth:`neuroasync.Session.watch` is not final.
        calibrations: the calibrations of the bundle that are valid for the policy, the group size
            and the input mode of the run; none with custom populations.
        potentials: f32[classes], membrane potentials after the last pass, if the output consists of
            leaky integrators (``LI``); otherwise None.
    """

    label: int | None
    class_name: str | None
    votes: NDArray[np.int64]
    stopped: bool
    t_us: int
    passes: int
    steps: int
    rounds: int
    spikes: dict[str, int]
    input_events: int
    synops: int
    first_spike: tuple[int, int, int] | None
    first_led: dict[int, tuple[int, int, int]]
    undelivered: int
    wall_s: float
    is_final: bool = True
    calibrations: tuple[Calibration, ...] = ()
    potentials: NDArray[np.float32] | None = None

    @property
    def margin(self) -> int:
        """Number of votes by which the label is ahead of the next class; 0 without a label."""
        if self.label is None:
            return 0
        others = np.delete(self.votes, self.label)
        return int(self.votes[self.label] - others.max(initial=0))

    @property
    def confidence(self) -> float | None:
        """The largest calibrated p whose rule ``confidence(p)`` the decision meets, or None.

        The decision meets the rule if its margin is at least the lead that the rule requires in
        the last pass of the decision, so that ``until="confidence(p)"`` would stop here at the
        latest. None means that no calibrated rule is met, or that the bundle is not calibrated for
        these settings. Deciding with ``until="confidence(p)"`` promises that p of all decisions
        are right on average (less the calibration's error); it is not a probability of this one.
        See :class:`neuroasync.Calibration`.
        """
        margin, at = self.margin, max(self.passes, 1) - 1
        met = (c.accuracy for c in self.calibrations if 0 < c.lead(at) <= margin)
        return max(met, default=None)

    @property
    def total_spikes(self) -> int:
        """Number of spikes of all populations."""
        try:
            return self._head.item(Control.SPIKES)
        except AttributeError:  # a decision that was made from given fields
            return sum(self.spikes.values())

    def __repr__(self) -> str:
        """Return one line with the label, the votes and the cost."""
        kind = "Decision" if self.is_final else "Provisional decision"
        name = "" if self.class_name in (None, str(self.label)) else f" {self.class_name!r:.60}"
        return (
            f"<{kind} label={self.label}{name}, {self._grounds()}, {self.passes} passes, "
            f"{self.rounds} rounds, {self.total_spikes} spikes>"
        )

    def _grounds(self) -> str:
        if self.potentials is not None:
            highest = self.potentials.max() if self.passes else 0.0
            return f"potential {highest:.6g}"
        votes = 0 if self.label is None else self.votes[self.label]
        sure = "" if self.confidence is None else f", confidence={self.confidence}"
        return f"{votes} of {self.votes.sum()} votes, margin={self.margin}{sure}"

    def _repr_html_(self) -> str:
        """Return a bar chart of the votes for a notebook."""
        return votes_svg(self.votes, self.label, self.class_name, repr(self).strip("<>"))

    def __eq__(self, other: object) -> bool:
        """Compare all fields except the wall time and the calibrations."""
        if not isinstance(other, Decision):
            return NotImplemented
        return self._key() == other._key()

    __hash__ = None  # type: ignore[assignment]  # holds an array

    def _key(self) -> tuple[object, ...]:
        counted = (self.passes, self.steps, self.rounds, self.synops, self.input_events)
        ends = (self.label, self.stopped, self.t_us, self.first_spike, self.undelivered)
        potentials = None if self.potentials is None else self.potentials.tolist()
        votes = (self.votes.tolist(), potentials)
        return (self.is_final, *ends, *counted, *votes, self.spikes, self.first_led)


def progress_of(layout: DecisionLayout, head: NDArray[np.int64]) -> Progress:
    """Return the progress of a sample.

    Args:
        layout: the layout of ``head``.
        head: i64[layout.size], the first words of the session's memory; see ``NetworkState.head``.
    """
    control, votes, _ = layout.split(head)
    passes, readout = int(control[Control.PASS]) + 1, layout.readout(head)
    label = int(leader(votes))
    if readout is not None:
        label = int(readout.argmax()) if passes else -1
    return Progress(
        votes=votes[Votes.COUNT].copy(),  # the kernels go on counting in the session's memory
        label=None if label < 0 else label,
        t_us=int(control[Control.TIME]),
        passes=passes,
        steps=int(control[Control.STEPS]),
        rounds=int(control[Control.ROUNDS]),
        spikes=int(control[Control.SPIKES]),
    )


def decision_of(
    layout: DecisionLayout, head: NDArray[np.int64], wall_s: float, classes: tuple[str, ...] | None
) -> Decision:
    """Return the decision on a sample.

    Args:
        layout: the layout of ``head``.
        head: i64[layout.size], the first words of the session's memory; see ``NetworkState.head``.
        wall_s: wall time to report, s.
        classes: names of the classes, or None.
    """
    decision = object.__new__(Decision)
    assign = object.__setattr__
    assign(decision, "_layout", layout)
    assign(decision, "_head", head.copy())
    assign(decision, "_wall_s", wall_s)
    assign(decision, "_classes", classes)
    return decision


def outcome_of(decision: Decision) -> Outcome | None:
    """Return what a decision of :func:`decision_of` is computed from.

    None for a decision that was made from given fields, such as a provisional or an unpickled one.
    """
    try:
        layout, head = decision._layout, decision._head  # noqa: SLF001  # its own module
    except AttributeError:
        return None
    parts = (layout, head, decision._wall_s, decision._classes)  # noqa: SLF001
    return tuple.__new__(Outcome, parts)  # calling the class takes three times as long


class ReportedFields(NamedTuple):
    """Those fields of a decision that a message reports, as plain Python objects.

    Attributes:
        label, class_name, rounds, is_final: as in :class:`Decision`.
        votes: output spikes of each class.
        spikes: spikes of all populations.
        potentials: potentials of the output, if it consists of leaky integrators.
    """

    label: int | None
    class_name: str | None
    votes: list[int]
    spikes: int
    rounds: int
    is_final: bool
    potentials: list[float] | None


def reported_fields(decision: Decision) -> ReportedFields:
    """Return the fields that a message reports.

    Reading one after the other from the decision takes three times as long.
    """
    outcome = outcome_of(decision)
    if outcome is None:
        potentials = decision.potentials
        return ReportedFields(
            decision.label, decision.class_name, decision.votes.tolist(), decision.total_spikes,
            decision.rounds, decision.is_final, None if potentials is None else potentials.tolist(),
        )  # fmt: skip
    layout, head, _, classes = outcome
    votes: list[int] = head[layout.vote_words].tolist()
    label = label_of(layout, head, votes)
    readout = layout.readout(head)
    return ReportedFields(
        label,
        None if classes is None or label is None else classes[label],
        votes,
        head.item(Control.SPIKES),
        head.item(Control.ROUNDS),
        True,
        None if readout is None else readout.tolist(),
    )


@dataclass(frozen=True, slots=True, eq=False)
class PackedDecisions:
    """Decisions of one run as arrays, which cost little to move to another process.

    Attributes:
        layout: the layout of the heads.
        heads: i64[decisions, layout.size], what each decision is computed from.
        wall_s: f64[decisions], their wall times, s.
        classes: names of the classes, or None.
    """

    layout: DecisionLayout
    heads: NDArray[np.int64]
    wall_s: NDArray[np.float64]
    classes: tuple[str, ...] | None

    @classmethod
    def of(cls, decisions: Sequence[Decision]) -> Self:
        """Pack one or more decisions that :func:`decision_of` has made with the same layout."""
        heads = [decision._head for decision in decisions]  # noqa: SLF001  # its own module
        wall_s = np.array([decision._wall_s for decision in decisions])  # noqa: SLF001
        # np.stack would take twice as long.
        return cls(decisions[0]._layout, np.array(heads), wall_s, decisions[0]._classes)  # noqa: SLF001

    def unpack(self) -> list[Decision]:
        """Return the decisions. They do not share memory with this object."""
        layout, classes = self.layout, self.classes
        pairs = zip(self.heads, self.wall_s.tolist(), strict=True)
        # With many new objects at once, the garbage collector would examine all objects of the
        # program several times. There is no garbage among these. Other threads have no collector
        # meanwhile either.
        was_enabled = gc.isenabled()
        try:
            gc.disable()
            return [decision_of(layout, head, wall_s, classes) for head, wall_s in pairs]
        finally:
            if was_enabled:
                gc.enable()
