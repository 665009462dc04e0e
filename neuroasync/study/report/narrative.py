"""The answers of a case as text, generated from its numbers."""

from collections.abc import Iterator

from neuroasync.study.design.case import GROUP_SIZE, Mode
from neuroasync.study.report.number_format import counted, mode_name, percent, points, share
from neuroasync.study.results.paired_comparison import UNLAYERED, layer_sync_cost, paired_rows
from neuroasync.study.results.statistics import CaseResults, PairedDifference
from neuroasync.train.recipes import Training

__all__ = ["answers"]


def answers(results: CaseResults) -> list[tuple[str, str]]:
    """Return questions with their answers, as far as the case can answer them."""
    questions = (
        (
            "The problem: accuracy that a network trained under layer-sync loses when it runs "
            "without it",
            _problem,
        ),
        ("The remedy: networks trained for the policy they run under", _remedy),
        ("Paired comparison: gain over the same recipe trained under layer-sync", _comparison),
    )
    pairs = [(question, " ".join(answer(results))) for question, answer in questions]
    return [(question, answer) for question, answer in pairs if answer]


def _problem(results: CaseResults) -> Iterator[str]:
    paper: Training = "layered-paper"
    if paper not in results:
        return
    case = results.case
    trained = case.shown_mode(paper)
    spikes = counted(results.spikes(paper, trained))
    yield (
        "The layered network that was trained with a recipe like that of Koopman et al. classifies "
        f"{percent(results.accuracy(paper, trained))} % of the samples correctly under layer-sync, "
        f"with {spikes} spikes per sample."
    )
    for policy in case.grid.policies:
        mode = Mode(policy, GROUP_SIZE, case.input)
        if policy != trained.policy:
            change = results.difference((paper, mode), (paper, trained))
            yield (
                f"In {mode_name(mode)} its accuracy is {percent(results.accuracy(paper, mode))} %, "
                f"a change of {points(change.over_seeds)} percentage "
                f"points{_unclear(change)}, with "
                f"{counted(results.spikes(paper, mode))} spikes per sample."
            )


def _remedy(results: CaseResults) -> Iterator[str]:
    for training in UNLAYERED:
        if training in results:
            yield from _unlayered(results, training)


def _unlayered(results: CaseResults, training: Training) -> Iterator[str]:
    case = results.case
    mode = case.trained_mode(training)
    accuracy = percent(results.accuracy(training, mode))
    yield f"{training} reaches {accuracy} % in {mode_name(mode, with_size=True)}."
    if "layered-paper" in results:
        trained = case.shown_mode("layered-paper")
        gain = results.difference((training, mode), ("layered-paper", trained))
        spent = share(results.spikes(training, mode), results.spikes("layered-paper", trained))
        yield (
            f"Compared with layered-paper under layer-sync, this is {points(gain.over_seeds)} "
            f"percentage points, with {spent} of its spikes."
        )
    single = Mode(mode.policy, 1, mode.input)
    if 1 in case.grid.group_sizes:
        yield f"Spike by spike (F = 1) it reaches {percent(results.accuracy(training, single))} %."
    stopped = percent(results.accuracy(training, mode, chosen=True))
    rounds = [results.rounds(training, mode, chosen=chosen) for chosen in (True, False)]
    yield (
        f"With the stop rule chosen on validation samples, it reaches {stopped} % after "
        f"{counted(rounds[0])} of {counted(rounds[1])} rounds ({share(*rounds)})."
    )


def _comparison(results: CaseResults) -> Iterator[str]:
    for training in UNLAYERED:
        for row in paired_rows(results, training):
            yield (
                f"In {mode_name(row.mode, with_size=True)}, the accuracy of {training} differs "
                f"from that of layered by {points(row.gain.over_seeds)} percentage points: "
                f"{_verdict(row.gain)}."
            )
        if (cost := layer_sync_cost(results, training)) is not None:
            yield (
                f"Under layer-sync it differs by {points(cost.over_seeds)} percentage points: "
                f"{_verdict(cost)}."
            )


def _verdict(difference: PairedDifference) -> str:
    if not difference.is_clear:
        return "no clear difference"
    return "a clear gain" if difference.over_seeds.value > 0 else "a clear loss"


def _unclear(difference: PairedDifference) -> str:
    return "" if difference.is_clear else " (not a clear difference)"
