"""The report of a study: text, tables and figures, in Markdown and in HTML."""

from collections.abc import Sequence
from typing import Final

from neuroasync.study.design.case import StudyPlan
from neuroasync.study.report.document import Block, Heading, Paragraph, to_html, to_markdown
from neuroasync.study.report.figures import case_figures
from neuroasync.study.report.narrative import answers
from neuroasync.study.report.network_tables import agreement_table, recipe_table
from neuroasync.study.report.number_format import input_name
from neuroasync.study.report.overview import overview
from neuroasync.study.report.tables import case_tables
from neuroasync.study.results.output_folder import OutputFolder
from neuroasync.study.results.records import Measurement
from neuroasync.study.results.statistics import CaseResults

__all__ = ["write_report"]

_TITLE: Final = "What asynchrony does to trained networks"


def write_report(
    plan: StudyPlan, folder: OutputFolder, measurements: Sequence[Measurement]
) -> None:
    """Draw the figures and write ``report.md`` and ``report.html``.

    Args:
        plan: The study.
        folder: Output folder; it also has the recordings and wall times that the figures show.
        measurements: Measurements of all networks.
    """
    cases = [
        CaseResults(case, [m for m in measurements if m.network.case == case.name])
        for case in plan.cases
    ]
    blocks: list[Block] = [Heading(1, _TITLE), Paragraph(_TERMS), Paragraph(_NETWORKS)]
    blocks += [Paragraph(_method(plan)), *overview(cases)]
    for results in cases:
        blocks += [Heading(2, results.case.name), Paragraph(_data(results))]
        for question, answer in answers(results):
            blocks += [Heading(3, question), Paragraph(answer)]
        blocks += [Heading(3, "Numbers"), *case_tables(results)]
        blocks += [Heading(3, "Figures"), *case_figures(results, folder)]
    blocks += [Heading(2, "Networks"), agreement_table(cases), recipe_table(cases)]
    folder.write_text(folder.root / "report.md", to_markdown(blocks))
    folder.write_text(folder.root / "report.html", to_html(blocks, _TITLE))


_TERMS: Final = (
    "This report compares spiking networks under different ordering policies. An ordering policy "
    "chooses which pending spikes a network delivers next. The policy layer-sync waits until a "
    "layer is finished, as ordinary frameworks do. The other policies mix spikes of all layers: "
    "random delivers them in random order, momentum those with the highest membrane potential "
    "first, and fifo in the order in which they fired. A forward step delivers at most F spikes, "
    "the group size (layer-sync: all spikes of a layer). Rounds measure time: a forward step that "
    "delivers k spikes takes k / F rounds, rounded up. Input is delivered first, before all other "
    "spikes, or it is queued and the policy orders it like other spikes. Each spike of an output "
    "neuron is a vote for its class, and the class with the most votes is the decision. A stop "
    "rule ends a sample early; a sample that runs until quiet ends when no spike is pending any "
    "more. A case is a data set with the networks that are trained and run on it."
)
_NETWORKS: Final = (
    "Networks are named after their training. layered-paper was trained under layer-sync with a "
    "recipe like that of Koopman et al. The unlayered networks were trained for the ordering "
    "policy in their name, and unlayered-any for all of them: the order, the group size and the "
    "input mode were drawn anew for each batch. layered was trained with the recipe of the "
    "unlayered networks, but under layer-sync. The table of trained networks lists the epochs, of "
    "which unlayered-any may take more."
)


def _method(plan: StudyPlan) -> str:
    seeds = len(plan.seeds)
    return (
        f"Every network was trained with {seeds} seed{'s' * (seeds > 1)} and run on held-out "
        "samples by the compiled engine. ± is one standard error over seeds. The chosen stop rule "
        "requires a lead in votes that may fall from pass to pass. It was chosen on validation "
        "samples, separately for each policy: it is the most cautious rule that takes a little "
        "less than half of the rounds. A difference is called clear if it exceeds "
        "twice its standard error both over seeds and over samples; a single seed has no error "
        "over seeds. results.json has every run, and recordings/ has one sample under each "
        "ordering policy."
    )


def _data(results: CaseResults) -> str:
    case = results.case
    folds = f"seed s is measured on fold s of {case.folds} of the training file"
    split = folds if case.folds else "every seed is measured on the test part"
    return (
        f"Data set: {case.dataset}; {split}. Unlayered networks are trained with input "
        f"{input_name(case.input)}. All networks are shown with this input unless stated otherwise."
    )
