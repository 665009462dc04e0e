"""What was measured, as plain data that goes to JSON and back.

One :class:`Measured` per network lies in the folder of the study; everything that the study writes
in the end is worked out from these. No wall times are in them: two runs give the same bytes.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np

from neuroasync.core.engine.run_settings import InputMode
from neuroasync.metrics import AnytimeCurve, StopPoint
from neuroasync.metrics.anytime import Unit
from neuroasync.study.design.case import Mode

__all__ = [
    "BUDGETS",
    "Agreement",
    "Curve",
    "Measured",
    "NetworkRecord",
    "Outcome",
    "Run",
    "mean_curve",
]

BUDGETS: Final = (0, *sorted({round(2 ** (k / 8)) for k in range(8 * 16 + 1)}))
"""What samples may spend in anytime curves: eight values an octave, up to 65,536."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One network in one mode with one stop rule, on the held-out samples.

    Attributes:
        case, dataset, training, seed: which network.
        policy, group_size, input, until: how it ran.
        chosen: of leads that fall from pass to pass, it is the most cautious that took less than
            half of the rounds on the validation samples; ``chosen_within_a_point``: of all rules,
            it took the fewest rounds there at a loss of one point at most.
        promised, promised_error: the accuracy that ``confidence(p)`` promises with this rule in
            this mode, and how much lower it may be; None of rules without a promise.
        samples: how many were decided.
        accuracy: part of them that was decided correctly, 0 to 1.
        undecided: samples without a label.
        spikes_per_sample, steps_per_sample, rounds_per_sample: means over samples.
        spikes_to_decision, steps_to_decision, rounds_to_decision: over samples with a label.
        validation_accuracy, validation_rounds: what the rule was chosen by.
        spike_density: spikes of a neuron in a sample, by population. This and what follows is
            known of ``quiet`` and of the chosen rule, which were run until then; else None.
        synops_per_sample: one per target of each delivered spike.
        rounds_to_first, steps_to_first, spikes_to_first: at the first output spike.
        rounds_to_first_correct, steps_to_first_correct, spikes_to_first_correct: when the right
            class first led.
        energy_pj: estimates of a sample's energy, by chip, of synaptic operations and spikes
            alone.
        bundle_digest: of the network, hex.
        config: name of the network in ``networks``, where its recipe is.
        versions: of what it was made and run with.
    """

    case: str
    dataset: str
    training: str
    seed: int
    policy: str
    group_size: int
    input: InputMode
    until: str
    chosen: bool
    chosen_within_a_point: bool
    promised: float | None
    promised_error: float | None
    samples: int
    accuracy: float
    undecided: int
    spikes_per_sample: float
    steps_per_sample: float
    rounds_per_sample: float
    spikes_to_decision: float | None
    steps_to_decision: float | None
    rounds_to_decision: float | None
    validation_accuracy: float
    validation_rounds: float
    spike_density: dict[str, float] | None
    synops_per_sample: float | None
    rounds_to_first: float | None
    steps_to_first: float | None
    spikes_to_first: float | None
    rounds_to_first_correct: float | None
    steps_to_first_correct: float | None
    spikes_to_first_correct: float | None
    energy_pj: dict[str, float] | None
    bundle_digest: str
    config: str
    versions: dict[str, str]

    @property
    def mode(self) -> Mode:
        """How it ran."""
        return Mode(self.policy, self.group_size, self.input)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What each held-out sample came to in one mode, under ``quiet`` or the chosen rule.

    Attributes:
        mode: how it ran.
        until: the rule.
        label: of each sample, -1 for none.
        stopped: whether the rule ended it.
        spikes, steps, rounds: spent on it.
    """

    mode: Mode
    until: str
    label: list[int]
    stopped: list[bool]
    spikes: list[int]
    steps: list[int]
    rounds: list[int]

    @classmethod
    def of(cls, mode: Mode, point: StopPoint) -> Self:
        """What ``point`` says."""
        return cls(
            mode=mode,
            until=point.rule,
            label=point.label.tolist(),
            stopped=point.stopped.tolist(),
            spikes=point.spikes.tolist(),
            steps=point.steps.tolist(),
            rounds=point.rounds.tolist(),
        )


@dataclass(frozen=True, slots=True)
class Curve:
    """Accuracy within each of ``BUDGETS``; after the last value it stays.

    Attributes:
        mode: how the network ran.
        unit: what is spent.
        accuracy: 0 to 1.
    """

    mode: Mode
    unit: Unit
    accuracy: list[float]

    @classmethod
    def of(cls, mode: Mode, curve: AnytimeCurve) -> Self:
        """What ``curve``, over ``BUDGETS``, says."""
        values = curve.accuracy.tolist()
        while len(values) > 1 and values[-1] == values[-2]:
            values.pop()
        return cls(mode, curve.unit, values)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Decisions of the trainer beside those of the runtime, in the order trained for.

    Attributes:
        samples: held-out samples that both decided on.
        equal: those with the same decision.
        disagreements: (sample, the trainer's label, the runtime's), -1 for none.
    """

    samples: int
    equal: int
    disagreements: list[tuple[int, int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRecord:
    """A trained network, and what it was trained and measured on.

    Attributes:
        name: ``CASE-TRAINING-SEED``; its bundle is called so.
        case, dataset, training, seed: which network.
        input: how input comes in the case that it was trained for.
        bundle_digest: hex.
        topology: text of the network.
        parameters: weights and biases.
        config: the training.
        fold: of the training file, that it was measured on; None for the set's test part.
        samples: of each part.
        samples_digest: SHA-256 (hex) of all samples.
        validation_accuracy: after the last epoch, in the order trained for.
        agreement: of trainer and runtime.
        checked_by_coroutines: decisions that the coroutine engine made once more, with the same
            spikes.
    """

    name: str
    case: str
    dataset: str
    training: str
    seed: int
    input: str
    bundle_digest: str
    topology: str
    parameters: int
    config: dict[str, Any]
    fold: int | None
    samples: dict[str, int]
    samples_digest: str
    validation_accuracy: float | None
    agreement: Agreement
    checked_by_coroutines: int


@dataclass(frozen=True, slots=True)
class Measured:
    """All about one network.

    Attributes:
        network: what it is.
        target: right class of each held-out sample.
        runs: all modes and stop rules.
        outcomes: sample by sample.
        curves: anytime curves.
    """

    network: NetworkRecord
    target: list[int]
    runs: list[Run]
    outcomes: list[Outcome]
    curves: list[Curve]

    def to_json(self) -> dict[str, Any]:
        """As maps and lists."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """What :meth:`to_json` gave.

        Raises:
            KeyError, TypeError: something else.
        """
        network = value["network"]
        found = network["agreement"]
        triples = [(k, one, other) for k, one, other in found["disagreements"]]
        agreement = Agreement(found["samples"], found["equal"], triples)
        return cls(
            NetworkRecord(**{**network, "agreement": agreement}),
            value["target"],
            [Run(**run) for run in value["runs"]],
            [Outcome(**{**o, "mode": Mode(**o["mode"])}) for o in value["outcomes"]],
            [Curve(Mode(**c["mode"]), c["unit"], c["accuracy"]) for c in value["curves"]],
        )

    def outcome(self, mode: Mode, *, chosen: bool) -> Outcome:
        """The samples in one mode, under the chosen rule or until quiet."""
        return [o for o in self.outcomes if o.mode == mode][int(chosen)]

    def right(self, mode: Mode, *, chosen: bool) -> list[bool]:
        """Whether each sample was decided correctly."""
        labels = self.outcome(mode, chosen=chosen).label
        return [label == target for label, target in zip(labels, self.target, strict=True)]


def mean_curve(curves: Sequence[Curve]) -> AnytimeCurve:
    """The mean of curves of one unit."""
    length = max(len(curve.accuracy) for curve in curves)
    rows = [
        curve.accuracy + [curve.accuracy[-1]] * (length - len(curve.accuracy)) for curve in curves
    ]
    accuracy = np.mean(rows, axis=0)
    budget = np.array(BUDGETS[:length], np.int64)
    return AnytimeCurve(curves[0].unit, budget, accuracy, np.zeros(length))
