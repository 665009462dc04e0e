"""The tables of a report about one case."""

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Final

from neuroasync.core.engine.stop_rules import short_rule
from neuroasync.metrics import LOIHI
from neuroasync.metrics.mean import Mean
from neuroasync.study.design.case import GROUP_SIZE, Mode
from neuroasync.study.design.stop_rules import FIXED
from neuroasync.study.report.calibration_check import calibration_table
from neuroasync.study.report.document import Table
from neuroasync.study.report.number_format import counted, input_name, mode_name, percent, points
from neuroasync.study.results.paired_comparison import UNLAYERED
from neuroasync.study.results.records import RunRecord
from neuroasync.study.results.statistics import CaseResults
from neuroasync.train.recipes import Training

__all__ = ["case_tables", "mean_density"]

_LAYERED: Final[tuple[Training, ...]] = ("layered", "layered-paper")
_SPENT: Final = (
    "spikes_per_sample", "steps_per_sample", "rounds_per_sample", "rounds_to_decision",
)  # fmt: skip
_MOMENTS: Final = tuple(
    f"{unit}_to_{moment}"
    for moment in ("first", "first_correct")
    for unit in ("rounds", "steps", "spikes")
)


def case_tables(results: CaseResults) -> list[Table]:
    """Return all tables about one case."""
    return [
        _policies(results),
        _input_modes(results),
        _group_sizes(results),
        _differences(results),
        _rules(results),
        calibration_table(results),
        _moments(results),
        _densities(results),
    ]


def _shown(results: CaseResults) -> Iterator[tuple[Training, Mode]]:
    """Yield each training under each policy, with the input mode of the case and one F."""
    case = results.case
    for training in case.trainings:
        for policy in case.grid.policies:
            yield training, Mode(policy, GROUP_SIZE, case.input)


def _row_name(results: CaseResults, training: Training, mode: Mode) -> str:
    is_trained = results.case.shown_mode(training) == mode
    return f"{training}, {mode.policy}" + (" (trained)" if is_trained else "")


def _policies(results: CaseResults) -> Table:
    rows = []
    for training, mode in _shown(results):
        whole = [
            percent(results.accuracy(training, mode)),
            *(counted(results.mean(training, mode, attrgetter(name))) for name in _SPENT),
        ]
        stopped = [
            percent(results.accuracy(training, mode, chosen=True)),
            counted(results.spikes(training, mode, chosen=True)),
            counted(results.rounds(training, mode, chosen=True)),
            _rule_names(results.runs(training, mode, chosen=True)),
        ]
        rows.append([_row_name(results, training, mode), *whole, *stopped])
    return Table(
        f"All ordering policies, F = {GROUP_SIZE}, input {input_name(results.case.input)}: until "
        "quiet, and stopped by the rule that was chosen on validation samples. (trained) marks the "
        "policy that the network was trained for",
        [
            "training, policy", "accuracy, %", "spikes", "steps", "rounds", "rounds to decision",
            "stopped: accuracy, %", "spikes", "rounds", "rule",
        ],
        rows,
    )  # fmt: skip


def _input_modes(results: CaseResults) -> Table:
    grid = results.case.grid
    rows = []
    for training in results.case.trainings:
        for input_mode in grid.inputs:
            modes = [Mode(policy, GROUP_SIZE, input_mode) for policy in grid.policies]
            cells = [percent(results.accuracy(training, mode)) for mode in modes]
            rows.append([f"{training}, input {input_name(input_mode)}", *cells])
    title = f"Accuracy in %, with input first and queued, F = {GROUP_SIZE}, until quiet"
    return Table(title, ["training", *grid.policies], rows)


def _group_sizes(results: CaseResults) -> Table:
    sizes, rows = results.case.grid.group_sizes, []
    for training, mode in _shown(results):
        cells = [
            percent(results.accuracy(training, Mode(mode.policy, size, mode.input)))
            for size in sizes
        ]
        rows.append([_row_name(results, training, mode), *cells])
    title = (
        f"Accuracy in % over the group size F, input {input_name(results.case.input)}, until quiet"
    )
    return Table(title, ["training, policy", *(f"F = {size}" for size in sizes)], rows)


def _differences(results: CaseResults) -> Table:
    rows = []
    for one in UNLAYERED:
        for other in _LAYERED:
            if one in results and other in results:
                rows += list(_pair(results, one, other))
    return Table(
        "Gain in accuracy of training for a policy, in points: difference between two networks in "
        "the same mode, on the same samples, with the same seeds, until quiet. ± is the standard "
        "error over seeds in one column and over samples in the other",
        ["difference", "mode", "over seeds", "over samples", "clear"],
        rows,
    )


def _pair(results: CaseResults, one: Training, other: Training) -> Iterator[list[str]]:
    for size in results.case.grid.group_sizes:
        mode = results.case.trained_mode(one, size)
        difference = results.difference((one, mode), (other, mode))
        yield [
            f"{one} minus {other}",
            mode_name(mode, with_size=True),
            points(difference.over_seeds),
            points(difference.over_samples),
            "yes" if difference.is_clear else "no",
        ]


def _rules(results: CaseResults) -> Table:
    """Return the results of every fixed rule under the policy that each network is trained for."""
    trainings = results.case.trainings
    by_rule: dict[str, dict[Training, list[RunRecord]]] = {}
    for training in trainings:
        mode = results.case.shown_mode(training)
        for measurement in results.networks(training):
            for run in measurement.runs:
                if run.mode == mode and run.until in FIXED:
                    by_rule.setdefault(run.until, {}).setdefault(training, []).append(run)
    rows = []
    for rule, runs in by_rule.items():
        cells = []
        for training in trainings:
            known = runs[training]
            accuracy, rounds = ((r.accuracy for r in known), (r.rounds_per_sample for r in known))
            cells += [percent(Mean.of(accuracy)), counted(Mean.of(rounds))]
        rows.append([rule, *cells])
    columns = [f"{name}: {value}" for name in trainings for value in ("accuracy, %", "rounds")]
    return Table(
        "Fixed stop rules, each network under the policy that it was trained for, input "
        f"{input_name(results.case.input)}",
        ["rule", *columns],
        rows,
    )


def _moments(results: CaseResults) -> Table:
    rows = []
    for training, mode in _shown(results):
        cells = [
            counted(results.mean(training, mode, attrgetter(name)))
            for name in (*_MOMENTS, "synops_per_sample")
        ]
        energy = counted(results.mean(training, mode, _energy_nj))
        rows.append([_row_name(results, training, mode), *cells, energy])
    return Table(
        "Cost until the first output spike, cost until the correct class first leads, and cost of "
        f"samples that run until quiet; F = {GROUP_SIZE}. Energy is an estimate for synaptic "
        f"operations and spikes on {LOIHI.name}, without neuron updates, memory and static power",
        [
            "training, policy", "first output spike: rounds", "steps", "spikes",
            "correct class first leads: rounds", "steps", "spikes", "synaptic operations",
            "energy, nJ",
        ],
        rows,
    )  # fmt: skip


def _densities(results: CaseResults) -> Table:
    rows, names = [], list(mean_density(results, *next(_shown(results))))
    for training, mode in _shown(results):
        density = mean_density(results, training, mode)
        cells = [f"{density[name]:.2f}" for name in names]
        rows.append([_row_name(results, training, mode), *cells])
    title = f"Spike density: mean spikes per neuron and sample, until quiet, F = {GROUP_SIZE}"
    return Table(title, ["training, policy", *names], rows)


def mean_density(results: CaseResults, training: Training, mode: Mode) -> dict[str, float]:
    """Return the spike density by population until quiet, as a mean over seeds."""
    each = [run.spike_density or {} for run in results.runs(training, mode)]
    return {name: Mean.of(density[name] for density in each).value for name in each[0]}


def _energy_nj(run: RunRecord) -> float | None:
    return None if run.energy_pj is None else run.energy_pj[LOIHI.name] / 1e3


def _rule_names(runs: Sequence[RunRecord]) -> str:
    """Return the rules that were chosen for the seeds."""
    return ", ".join(dict.fromkeys(short_rule(run.until) for run in runs))
