"""The tables of a report."""

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Final

from neuroasync.core.engine.stop_rules import short_rule
from neuroasync.metrics import LOIHI
from neuroasync.study.design.case import GROUP_SIZE, Mode
from neuroasync.study.design.stop_rules import FIXED
from neuroasync.study.report.calibration_check import promise_table
from neuroasync.study.report.document import Table
from neuroasync.study.report.number_format import counted, input_name, mode_name, percent, points
from neuroasync.study.results.paired_comparison import UNLAYERED
from neuroasync.study.results.records import Run
from neuroasync.study.results.statistics import CaseResults, Mean
from neuroasync.train.recipes import Training

__all__ = ["case_tables", "mean_density"]

_LAYERED: Final[tuple[Training, ...]] = ("layered", "layered-paper")
_SPENT: Final = (
    "spikes_per_sample", "steps_per_sample", "rounds_per_sample", "rounds_to_decision",
)  # fmt: skip
_MOMENTS: Final = tuple(
    f"{unit}_to_{what}"
    for what in ("first", "first_correct")
    for unit in ("rounds", "steps", "spikes")
)


def case_tables(results: CaseResults) -> list[Table]:
    """All tables about one case."""
    return [
        _orders(results),
        _everywhere(results),
        _group_sizes(results),
        _differences(results),
        _rules(results),
        promise_table(results),
        _moments(results),
        _densities(results),
    ]


def _shown(results: CaseResults) -> Iterator[tuple[Training, Mode]]:
    """Each training under each order as input comes in the case, at one F."""
    case = results.case
    for training in case.trainings:
        for policy in case.grid.policies:
            yield training, Mode(policy, GROUP_SIZE, case.input)


def _own(results: CaseResults, training: Training, mode: Mode) -> str:
    is_own = results.case.shown_mode(training) == mode
    return f"{training}, {mode.policy}" + (" (its own)" if is_own else "")


def _orders(results: CaseResults) -> Table:
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
        rows.append([_own(results, training, mode), *whole, *stopped])
    return Table(
        f"Every order, F = {GROUP_SIZE}, input {input_name(results.case.input)}: until quiet, and "
        "stopped by the rule that was chosen on validation samples",
        [
            "training, order", "right, %", "spikes", "steps", "rounds", "rounds to decision",
            "stopped: right, %", "spikes", "rounds", "rule",
        ],
        rows,
    )  # fmt: skip


def _everywhere(results: CaseResults) -> Table:
    grid = results.case.grid
    rows = []
    for training in results.case.trainings:
        for how in grid.inputs:
            modes = [Mode(policy, GROUP_SIZE, how) for policy in grid.policies]
            cells = [percent(results.accuracy(training, mode)) for mode in modes]
            rows.append([f"{training}, input {input_name(how)}", *cells])
    title = f"Accuracy, %: input first and queued, F = {GROUP_SIZE}, until quiet"
    return Table(title, ["training", *grid.policies], rows)


def _group_sizes(results: CaseResults) -> Table:
    sizes, rows = results.case.grid.group_sizes, []
    for training, mode in _shown(results):
        cells = [
            percent(results.accuracy(training, Mode(mode.policy, size, mode.input)))
            for size in sizes
        ]
        rows.append([_own(results, training, mode), *cells])
    title = (
        f"Accuracy, %, over the group size F, input {input_name(results.case.input)}, until quiet"
    )
    return Table(title, ["training, order", *(f"F = {size}" for size in sizes)], rows)


def _differences(results: CaseResults) -> Table:
    rows = []
    for one in UNLAYERED:
        for other in _LAYERED:
            if one in results and other in results:
                rows += list(_pair(results, one, other))
    return Table(
        "What training for an order adds to accuracy, in points: both networks in the same mode, "
        "on the same samples, with the same seeds, until quiet. ± is the standard error over "
        "seeds, then over samples",
        ["less", "mode", "over seeds", "over samples", "clear"],
        rows,
    )


def _pair(results: CaseResults, one: Training, other: Training) -> Iterator[list[str]]:
    for size in results.case.grid.group_sizes:
        mode = results.case.own_mode(one, size)
        found = results.difference((one, mode), (other, mode))
        yield [
            f"{one} less {other}",
            mode_name(mode, with_size=True),
            points(found.over_seeds),
            points(found.over_samples),
            "yes" if found.is_clear else "no",
        ]


def _rules(results: CaseResults) -> Table:
    """Every rule in the order that each training is meant for."""
    trainings = results.case.trainings
    by_rule: dict[str, dict[Training, list[Run]]] = {}
    for training in trainings:
        mode = results.case.shown_mode(training)
        for measured in results.networks(training):
            for run in measured.runs:
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
    columns = [f"{training}: {what}" for training in trainings for what in ("right, %", "rounds")]
    return Table(
        "Every fixed stop rule, each network in the order trained for, input "
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
        rows.append([_own(results, training, mode), *cells, energy])
    return Table(
        f"When the output first fires, when the right class first leads, and what whole samples "
        f"take; F = {GROUP_SIZE}. Energy is an estimate of synaptic operations and spikes on "
        f"{LOIHI.name}, without neuron updates, memory and static power",
        [
            "training, order", "first: rounds", "steps", "spikes", "right first: rounds", "steps",
            "spikes", "synaptic operations", "energy, nJ",
        ],
        rows,
    )  # fmt: skip


def _densities(results: CaseResults) -> Table:
    rows, names = [], list(mean_density(results, *next(_shown(results))))
    for training, mode in _shown(results):
        density = mean_density(results, training, mode)
        cells = [f"{density[name]:.2f}" for name in names]
        rows.append([_own(results, training, mode), *cells])
    title = f"Spike density: spikes of a neuron in a whole sample, F = {GROUP_SIZE}"
    return Table(title, ["training, order", *names], rows)


def mean_density(results: CaseResults, training: Training, mode: Mode) -> dict[str, float]:
    """Spike density of whole samples by population, the mean over seeds."""
    each = [run.spike_density or {} for run in results.runs(training, mode)]
    return {name: Mean.of(density[name] for density in each).value for name in each[0]}


def _energy_nj(run: Run) -> float | None:
    return None if run.energy_pj is None else run.energy_pj[LOIHI.name] / 1e3


def _rule_names(runs: Sequence[Run]) -> str:
    """The rules that the seeds have chosen."""
    return ", ".join(dict.fromkeys(short_rule(run.until) for run in runs))
