"""The first page of a report: all cases side by side."""

from collections.abc import Sequence

from neuroasync.study.design.case import GROUP_SIZE, Mode
from neuroasync.study.report.document import Block, Paragraph, Table
from neuroasync.study.report.number_format import counted, mode_name, percent, points, share
from neuroasync.study.results.half_budget import DeadlineRow, deadline_rows, whole_mode
from neuroasync.study.results.paired_comparison import (
    UNLAYERED,
    FairRow,
    fair_rows,
    layer_sync_price,
)
from neuroasync.study.results.statistics import CaseResults
from neuroasync.train.recipes import Training

__all__ = ["overview"]


def overview(cases: Sequence[CaseResults]) -> list[Block]:
    """The three questions over all cases: a table each, and where it matters in words."""
    paper: list[CaseResults] = [results for results in cases if "layered-paper" in results]
    blocks: list[Block] = []
    if paper:
        blocks += [_problem(paper), _cure(paper)]
    rows = [
        (results, row)
        for results in cases
        for training in UNLAYERED
        for row in fair_rows(results, training)
    ]
    if rows:
        blocks += [_fair(rows), *map(Paragraph, _where(rows))]
    in_time = [(results, row) for results in cases for row in deadline_rows(results)]
    if in_time:
        blocks.append(_deadline(in_time))
    return blocks


def _problem(cases: Sequence[CaseResults]) -> Table:
    policies = list(dict.fromkeys(p for results in cases for p in results.case.grid.policies))
    rows = []
    for results in cases:
        known = results.case.grid.policies
        cells = [_lost(results, policy) if policy in known else "-" for policy in policies]
        rows.append([results.case.name, *cells])
    return Table(
        f"The problem: accuracy of layered-paper, %, and points lost to layer-sync; "
        f"F = {GROUP_SIZE}, until quiet",
        ["case", *policies],
        rows,
    )


def _lost(results: CaseResults, policy: str) -> str:
    """Accuracy of layered-paper in one order, and in another than its own what that costs."""
    paper: Training = "layered-paper"
    home, mode = results.case.shown_mode(paper), Mode(policy, GROUP_SIZE, results.case.input)
    accuracy = percent(results.accuracy(paper, mode))
    if mode == home:
        return accuracy
    lost = results.difference((paper, mode), (paper, home))
    return f"{accuracy} ({points(lost.over_seeds)})"


def _cure(cases: Sequence[CaseResults]) -> Table:
    rows = [
        _cured(results, training)
        for results in cases
        for training in UNLAYERED
        if training in results
    ]
    return Table(
        "The cure: unlayered networks in the order trained for, beside layered-paper under "
        "layer-sync; stopped by the rule that was chosen on validation samples",
        [
            "case, training", "layered-paper, %", f"F = {GROUP_SIZE}, %", "of its spikes",
            "F = 1, %", "stopped, %", "of the rounds", "of layered-paper's rounds",
        ],
        rows,
    )  # fmt: skip


def _cured(results: CaseResults, training: Training) -> list[str]:
    paper: Training = "layered-paper"
    mode, home = results.case.own_mode(training), results.case.shown_mode(paper)
    single = results.case.own_mode(training, 1)
    has_single = single in list(results.case.grid)
    rounds = results.rounds(training, mode, chosen=True)
    return [
        f"{results.case.name}, {training}",
        percent(results.accuracy(paper, home)),
        percent(results.accuracy(training, mode)),
        share(results.spikes(training, mode), results.spikes(paper, home)),
        percent(results.accuracy(training, single) if has_single else None),
        percent(results.accuracy(training, mode, chosen=True)),
        share(rounds, results.rounds(training, mode)),
        share(rounds, results.rounds(paper, home)),
    ]


def _fair(rows: Sequence[tuple[CaseResults, FairRow]]) -> Table:
    cells = []
    for results, row in rows:
        price = layer_sync_price(results, row.training)
        cells.append(
            [
                f"{results.case.name}, {row.training}, {mode_name(row.mode, with_size=True)}",
                percent(results.accuracy("layered", row.mode)),
                percent(results.accuracy(row.training, row.mode)),
                points(row.added.over_seeds),
                points(row.added.over_samples),
                "yes" if row.added.is_clear else "no",
                "-" if price is None else points(price.over_seeds),
            ]
        )
    return Table(
        "The fair question: what training for an order adds to the same recipe trained layer by "
        "layer (layered), both run in that order, in points of accuracy; and what it adds or "
        "costs under layer-sync",
        [
            "case, training, order", "layered, %", "unlayered, %", "over seeds", "over samples",
            "clear", "under layer-sync",
        ],
        cells,
    )  # fmt: skip


def _deadline(rows: Sequence[tuple[CaseResults, DeadlineRow]]) -> Table:
    cells = []
    for results, row in rows:
        whole = whole_mode(results)
        cells.append(
            [
                f"{results.case.name}, {row.training}, {mode_name(row.mode, with_size=True)}",
                percent(results.accuracy("layered", whole)),
                counted(results.rounds("layered", whole)),
                percent(row.accuracy),
                counted(row.rounds),
            ]
        )
    return Table(
        "In half the rounds, on average: decisions by the rule that was best on validation "
        "samples, among those whose mean number of rounds there is at most half of what layered "
        "takes under layer-sync until quiet (a single sample may take more)",
        ["case, training, order", "layered, %", "its rounds", "in half of them, %", "rounds"],
        cells,
    )


def _where(rows: Sequence[tuple[CaseResults, FairRow]]) -> list[str]:
    """Where it matters, where it costs, and where neither can be told."""
    groups: dict[str, dict[str, list[str]]] = {
        "It clearly adds accuracy in": {},
        "It clearly costs accuracy in": {},
        "No clear difference in": {},
    }
    adds, costs, neither = groups.values()
    for results, row in rows:
        gained = row.added.over_seeds.value > 0
        group = neither if not row.added.is_clear else adds if gained else costs
        sizes = group.setdefault(f"{results.case.name} ({mode_name(row.mode)})", [])
        sizes.append(str(row.mode.group_size))
    return [
        f"{said}: " + "; ".join(f"{n} at F = {', '.join(at)}" for n, at in group.items()) + "."
        for said, group in groups.items()
        if group
    ]
