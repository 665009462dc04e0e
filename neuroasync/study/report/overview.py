"""The first section of a report: all cases side by side."""

from collections.abc import Sequence
from statistics import fmean

from neuroasync.study.design.case import GROUP_SIZE, Mode
from neuroasync.study.report.document import Block, Paragraph, Table
from neuroasync.study.report.number_format import counted, mode_name, percent, points, share
from neuroasync.study.results.early_answers import EarlyRow, early_rows
from neuroasync.study.results.half_budget import (
    HalfBudgetRow,
    full_budget_mode,
    half_budget_rows,
)
from neuroasync.study.results.paired_comparison import (
    UNLAYERED,
    PairedRow,
    layer_sync_cost,
    paired_rows,
)
from neuroasync.study.results.statistics import CaseResults
from neuroasync.train.recipes import Training

__all__ = ["overview"]


def overview(cases: Sequence[CaseResults]) -> list[Block]:
    """Return one table per question over all cases, and a summary of the paired comparison."""
    paper: list[CaseResults] = [results for results in cases if "layered-paper" in results]
    blocks: list[Block] = []
    if paper:
        blocks += [_problem(paper), _remedy(paper)]
    rows = [
        (results, row)
        for results in cases
        for training in UNLAYERED
        for row in paired_rows(results, training)
    ]
    if rows:
        blocks += [_comparison(rows), *map(Paragraph, _summary(rows))]
    blocks.append(_every_order(cases))
    half_budget = [(results, row) for results in cases for row in half_budget_rows(results)]
    if half_budget:
        blocks.append(_half_budget(half_budget))
    early = [(results, row) for results in cases for row in early_rows(results)]
    if early:
        blocks.append(_early(early))
    return blocks


def _problem(cases: Sequence[CaseResults]) -> Table:
    policies = list(dict.fromkeys(p for results in cases for p in results.case.grid.policies))
    rows = []
    for results in cases:
        known = results.case.grid.policies
        cells = [_change(results, policy) if policy in known else "-" for policy in policies]
        rows.append([results.case.name, *cells])
    return Table(
        f"The problem: accuracy of layered-paper under each ordering policy in %, and its change "
        f"against layer-sync in points; F = {GROUP_SIZE}, until quiet",
        ["case", *policies],
        rows,
    )


def _change(results: CaseResults, policy: str) -> str:
    """Return the accuracy of layered-paper under a policy, and its change against layer-sync."""
    paper: Training = "layered-paper"
    trained, mode = results.case.shown_mode(paper), Mode(policy, GROUP_SIZE, results.case.input)
    accuracy = percent(results.accuracy(paper, mode))
    if mode == trained:
        return accuracy
    change = results.difference((paper, mode), (paper, trained))
    return f"{accuracy} ({points(change.over_seeds)})"


def _remedy(cases: Sequence[CaseResults]) -> Table:
    rows = [
        _unlayered(results, training)
        for results in cases
        for training in UNLAYERED
        if training in results
    ]
    return Table(
        "The remedy: networks trained for an ordering policy (unlayered), run under that policy, "
        "beside layered-paper under layer-sync. Stopped: with the stop rule that was chosen on "
        "validation samples",
        [
            "case, training", "layered-paper, %", f"F = {GROUP_SIZE}, %",
            "spikes, share of layered-paper", "F = 1, %", "stopped, %",
            "rounds when stopped, share of rounds until quiet",
            "rounds when stopped, share of rounds of layered-paper",
        ],
        rows,
    )  # fmt: skip


def _unlayered(results: CaseResults, training: Training) -> list[str]:
    paper: Training = "layered-paper"
    mode, trained = results.case.trained_mode(training), results.case.shown_mode(paper)
    single = results.case.trained_mode(training, 1)
    has_single = single in list(results.case.grid)
    rounds = results.rounds(training, mode, chosen=True)
    return [
        f"{results.case.name}, {training}",
        percent(results.accuracy(paper, trained)),
        percent(results.accuracy(training, mode)),
        share(results.spikes(training, mode), results.spikes(paper, trained)),
        percent(results.accuracy(training, single) if has_single else None),
        percent(results.accuracy(training, mode, chosen=True)),
        share(rounds, results.rounds(training, mode)),
        share(rounds, results.rounds(paper, trained)),
    ]


def _comparison(rows: Sequence[tuple[CaseResults, PairedRow]]) -> Table:
    cells = []
    for results, row in rows:
        cost = layer_sync_cost(results, row.training)
        cells.append(
            [
                f"{results.case.name}, {row.training}, {mode_name(row.mode, with_size=True)}",
                percent(results.accuracy("layered", row.mode)),
                percent(results.accuracy(row.training, row.mode)),
                points(row.gain.over_seeds),
                points(row.gain.over_samples),
                "yes" if row.gain.is_clear else "no",
                "-" if cost is None else points(cost.over_seeds),
            ]
        )
    return Table(
        "Paired comparison: gain in accuracy, in points, of training for a policy over the same "
        "recipe trained under layer-sync (layered), both run under that policy. Last column: the "
        "same difference under layer-sync",
        [
            "case, training, policy", "layered, %", "unlayered, %", "gain over seeds",
            "gain over samples", "clear", "under layer-sync",
        ],
        cells,
    )  # fmt: skip


def _every_order(cases: Sequence[CaseResults]) -> Table:
    rows = []
    for results in cases:
        # Group size and input mode do not change what layer-sync decides, so it counts once.
        modes = [mode for mode in results.case.grid if mode.policy != "layer-sync"]
        layered = Mode("layer-sync", GROUP_SIZE, results.case.input)
        for training in results.case.trainings:
            each = {mode: results.accuracy(training, mode).value for mode in (layered, *modes)}
            worst = min(each, key=each.__getitem__)
            rows.append(
                [
                    f"{results.case.name}, {training}",
                    f"{100 * fmean(each.values()):.1f}",
                    f"{100 * each[worst]:.1f}",
                    mode_name(worst, with_size=True),
                    f"{100 * (max(each.values()) - each[worst]):.1f}",
                ]
            )
    return Table(
        "Every order: accuracy of each network over all run modes (policies, group sizes and input "
        "modes), means over seeds, until quiet",
        ["case, training", "mean, %", "worst, %", "in", "spread, points"],
        rows,
    )


def _half_budget(rows: Sequence[tuple[CaseResults, HalfBudgetRow]]) -> Table:
    cells = []
    for results, row in rows:
        full = full_budget_mode(results)
        cells.append(
            [
                f"{results.case.name}, {row.training}, {mode_name(row.mode, with_size=True)}",
                percent(results.accuracy("layered", full)),
                counted(results.rounds("layered", full)),
                percent(row.accuracy),
                counted(row.rounds),
            ]
        )
    return Table(
        "Half of the rounds: accuracy with the stop rule that was best on validation samples, "
        "among the rules that need at most half as many rounds there, on average, as layered needs "
        "under layer-sync until quiet. A single sample may take more rounds",
        [
            "case, training, policy", "layered, layer-sync, %", "its rounds",
            "with half of the rounds, %", "rounds",
        ],
        cells,
    )  # fmt: skip


def _early(rows: Sequence[tuple[CaseResults, EarlyRow]]) -> Table:
    cells = [
        [
            f"{results.case.name}, {row.training}, {mode_name(row.mode, with_size=True)}",
            percent(row.accuracy),
            points(row.change),
            counted(row.rounds),
            share(row.rounds, row.of_rounds),
            counted(row.spikes),
            share(row.spikes, row.of_spikes),
        ]
        for results, row in rows
    ]
    return Table(
        "Early answers: each network with the stop rule that took the fewest rounds on validation "
        "samples, among those that lost at most one point there. The first row of a case is the "
        "baseline of its other rows: layered under layer-sync, with such a rule",
        [
            "case, training, policy", "accuracy, %", "change, points", "rounds",
            "share of the baseline", "spikes", "share of the baseline",
        ],
        cells,
    )  # fmt: skip


def _summary(rows: Sequence[tuple[CaseResults, PairedRow]]) -> list[str]:
    """Return sentences that list where the gain is clear, where the loss is, and where neither."""
    groups: dict[str, dict[str, list[str]]] = {
        "Training for the policy clearly gains accuracy in": {},
        "Training for the policy clearly loses accuracy in": {},
        "There is no clear difference in": {},
    }
    gains, losses, neither = groups.values()
    for results, row in rows:
        gained = row.gain.over_seeds.value > 0
        group = neither if not row.gain.is_clear else gains if gained else losses
        name = f"{results.case.name} ({row.training}, {mode_name(row.mode)})"
        sizes = group.setdefault(name, [])
        sizes.append(str(row.mode.group_size))
    return [
        f"{start}: " + "; ".join(f"{n} at F = {', '.join(at)}" for n, at in group.items()) + "."
        for start, group in groups.items()
        if group
    ]
