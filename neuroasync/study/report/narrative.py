"""The answers of a case in words, made from its numbers."""

from collections.abc import Iterator

from neuroasync.study.design.case import GROUP_SIZE, Mode
from neuroasync.study.report.number_format import counted, mode_name, percent, points, share
from neuroasync.study.results.paired_comparison import UNLAYERED, fair_rows, layer_sync_price
from neuroasync.study.results.statistics import CaseResults, Difference
from neuroasync.train.recipes import Training

__all__ = ["answers"]


def answers(results: CaseResults) -> list[tuple[str, str]]:
    """Question and answer: the problem, the cure, the fair question; what the case can answer."""
    said = (
        ("The problem: what layered training loses without layer synchronization", _problem),
        ("The cure: networks trained in the order they run in", _cure),
        ("The fair question: what that adds to the same recipe trained layer by layer", _fair),
    )
    both = [(question, " ".join(answer(results))) for question, answer in said]
    return [(question, answer) for question, answer in both if answer]


def _problem(results: CaseResults) -> Iterator[str]:
    paper: Training = "layered-paper"
    if paper not in results:
        return
    case = results.case
    home = case.shown_mode(paper)
    spikes = counted(results.spikes(paper, home))
    yield (
        f"Trained by the paper's kind of recipe, a layered network decides "
        f"{percent(results.accuracy(paper, home))} % of the samples correctly under layer-sync, "
        f"with {spikes} spikes a sample."
    )
    for policy in case.grid.policies:
        mode = Mode(policy, GROUP_SIZE, case.input)
        if policy != home.policy:
            lost = results.difference((paper, mode), (paper, home))
            yield (
                f"In {mode_name(mode)} it has {percent(results.accuracy(paper, mode))} %: "
                f"{points(lost.over_seeds)} points{_clear(lost)}, with "
                f"{counted(results.spikes(paper, mode))} spikes."
            )


def _cure(results: CaseResults) -> Iterator[str]:
    for training in UNLAYERED:
        if training in results:
            yield from _cured(results, training)


def _cured(results: CaseResults, training: Training) -> Iterator[str]:
    case = results.case
    mode = case.own_mode(training)
    accuracy = percent(results.accuracy(training, mode))
    yield f"{training} has {accuracy} % in {mode_name(mode, with_size=True)}."
    if "layered-paper" in results:
        home = case.shown_mode("layered-paper")
        gain = results.difference((training, mode), ("layered-paper", home))
        spent = share(results.spikes(training, mode), results.spikes("layered-paper", home))
        yield (
            f"That is {points(gain.over_seeds)} points to layered-paper under layer-sync, with "
            f"{spent} of its spikes."
        )
    single = Mode(mode.policy, 1, mode.input)
    if 1 in case.grid.group_sizes:
        yield f"Spike by spike (F = 1) it has {percent(results.accuracy(training, single))} %."
    loss = results.accuracy(training, mode, chosen=True), results.accuracy(training, mode)
    rounds = [results.rounds(training, mode, chosen=chosen) for chosen in (True, False)]
    yield (
        f"Stopped by the rule chosen on validation samples, it has {percent(loss[0])} % after "
        f"{counted(rounds[0])} of {counted(rounds[1])} rounds ({share(*rounds)})."
    )


def _fair(results: CaseResults) -> Iterator[str]:
    for training in UNLAYERED:
        for row in fair_rows(results, training):
            yield (
                f"In {mode_name(row.mode, with_size=True)}, {training} has "
                f"{points(row.added.over_seeds)} points to layered: {_verdict(row.added)}."
            )
        if (price := layer_sync_price(results, training)) is not None:
            yield (
                f"Under layer-sync it has {points(price.over_seeds)} points to layered: "
                f"{_verdict(price)}."
            )


def _verdict(found: Difference) -> str:
    if not found.is_clear:
        return "no clear difference"
    return "it adds" if found.over_seeds.value > 0 else "it costs"


def _clear(found: Difference) -> str:
    return "" if found.is_clear else " (not a clear difference)"
