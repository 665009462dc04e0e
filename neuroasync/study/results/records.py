"""Measurements as plain data that converts to JSON and back.

The folder of a study holds one :class:`Measurement` per network. All other output is computed from
these. They hold no wall times, so that two runs of a study write the same bytes.
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
    "Measurement",
    "NetworkRecord",
    "RuleOutcome",
    "RunRecord",
    "mean_curve",
]

BUDGETS: Final = (0, *sorted({round(2 ** (k / 8)) for k in range(8 * 16 + 1)}))
"""Budgets of anytime curves: eight values per octave, up to 65,536."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One network in one mode with one stop rule, on the held-out samples.

    Attributes:
        case, dataset, training, seed: The network.
        policy, group_size, input, until: Mode and stop rule of the run.
        chosen: Whether this rule was chosen to stop early. Of the rules whose required lead may
            change from pass to pass, it is the most cautious one that took less than half of the
            rounds on the validation samples.
        chosen_within_a_point: Whether, of all rules, this one took the fewest rounds on the
            validation samples while losing at most one percentage point of accuracy.
        promised, promised_error: Accuracy that ``confidence(p)`` guarantees with this rule in this
            mode, and how much lower the true accuracy may be. None for rules without a guarantee.
        samples: Number of samples.
        accuracy: Share of samples that were decided correctly, 0 to 1.
        undecided: Number of samples without a label.
        spikes_per_sample, steps_per_sample, rounds_per_sample: Means over samples.
        spikes_to_decision, steps_to_decision, rounds_to_decision: Means over samples with a label.
        validation_accuracy, validation_rounds: Accuracy and mean rounds on the validation samples,
            by which rules are chosen.
        spike_density: Mean spikes per neuron and sample, by population. This and the following
            values are known only for ``quiet`` and for the chosen rule, which actually ran; else
            they are None.
        synops_per_sample: Synaptic operations: one per target of each delivered spike.
        rounds_to_first, steps_to_first, spikes_to_first: Cost until the first output spike.
        rounds_to_first_correct, steps_to_first_correct, spikes_to_first_correct: Cost until the
            correct class first leads.
        energy_pj: Estimated energy per sample by chip, for synaptic operations and spikes only.
        bundle_digest: Digest of the bundle of the network, hex.
        config: Name of the entry in ``networks`` that has the recipe of the network.
        versions: Versions of the packages that made and ran the network.
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
        """Mode of the run."""
        return Mode(self.policy, self.group_size, self.input)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleOutcome:
    """Results of each held-out sample in one mode, with ``quiet`` or the chosen rule.

    Attributes:
        mode: How the network ran.
        until: The stop rule.
        label: Label of each sample, or -1 for none.
        stopped: Whether the rule ended the sample.
        spikes, steps, rounds: What each sample spent.
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
        """Convert a stop point."""
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
    """Accuracy within each budget of ``BUDGETS``; it stays constant after the last value.

    Attributes:
        mode: How the network ran.
        unit: Unit of the budget.
        accuracy: Accuracies, 0 to 1.
    """

    mode: Mode
    unit: Unit
    accuracy: list[float]

    @classmethod
    def of(cls, mode: Mode, curve: AnytimeCurve) -> Self:
        """Convert an anytime curve over ``BUDGETS``, without repeated values at its end."""
        values = curve.accuracy.tolist()
        while len(values) > 1 and values[-1] == values[-2]:
            values.pop()
        return cls(mode, curve.unit, values)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement between the decisions of the trainer and the runtime, in the trained mode.

    Attributes:
        samples: Number of held-out samples, which both decided on.
        equal: Number of samples with the same decision.
        disagreements: (sample, label of the trainer, label of the runtime); -1 for no label.
    """

    samples: int
    equal: int
    disagreements: list[tuple[int, int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRecord:
    """A trained network, and the samples it was trained and measured on.

    Attributes:
        name: ``CASE-TRAINING-SEED``, also the name of the bundle.
        case, dataset, training, seed: The network.
        input: Input mode of the case.
        bundle_digest: Digest of the bundle, hex.
        topology: Topology of the network as text.
        parameters: Number of weights and biases.
        config: Configuration of the training.
        fold: Fold of the training file that the network was measured on, or None for the test part
            of the data set.
        samples: Number of samples of each part.
        samples_digest: SHA-256 digest of all samples, hex.
        validation_accuracy: Accuracy after the last epoch, in the trained mode.
        agreement: Agreement between trainer and runtime.
        checked_by_coroutines: Number of decisions that the coroutine engine repeated with the same
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
class Measurement:
    """All results of one network.

    Attributes:
        network: The network.
        target: Correct class of each held-out sample.
        runs: All modes and stop rules.
        outcomes: Results of single samples.
        curves: Anytime curves.
    """

    network: NetworkRecord
    target: list[int]
    runs: list[RunRecord]
    outcomes: list[RuleOutcome]
    curves: list[Curve]

    def to_json(self) -> dict[str, Any]:
        """Return the measurement as mappings and lists."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Create a measurement from a value that :meth:`to_json` returned.

        Raises:
            KeyError, TypeError: The value has other keys.
        """
        network = value["network"]
        recorded = network["agreement"]
        triples = [(k, one, other) for k, one, other in recorded["disagreements"]]
        agreement = Agreement(recorded["samples"], recorded["equal"], triples)
        return cls(
            NetworkRecord(**{**network, "agreement": agreement}),
            value["target"],
            [RunRecord(**run) for run in value["runs"]],
            [RuleOutcome(**{**o, "mode": Mode(**o["mode"])}) for o in value["outcomes"]],
            [Curve(Mode(**c["mode"]), c["unit"], c["accuracy"]) for c in value["curves"]],
        )

    def outcome(self, mode: Mode, *, chosen: bool) -> RuleOutcome:
        """Return the samples in one mode, with the chosen rule or until quiet."""
        return [o for o in self.outcomes if o.mode == mode][int(chosen)]

    def correct(self, mode: Mode, *, chosen: bool) -> list[bool]:
        """Return whether each sample was decided correctly."""
        labels = self.outcome(mode, chosen=chosen).label
        return [label == target for label, target in zip(labels, self.target, strict=True)]


def mean_curve(curves: Sequence[Curve]) -> AnytimeCurve:
    """Return the mean of curves in the same unit."""
    length = max(len(curve.accuracy) for curve in curves)
    rows = [
        curve.accuracy + [curve.accuracy[-1]] * (length - len(curve.accuracy)) for curve in curves
    ]
    accuracy = np.mean(rows, axis=0)
    budget = np.array(BUDGETS[:length], np.int64)
    return AnytimeCurve(curves[0].unit, budget, accuracy, np.zeros(length))
