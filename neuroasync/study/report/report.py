"""The report of a study: words, tables and pictures, in Markdown and in HTML."""

from collections.abc import Sequence
from typing import Final

from neuroasync.study.design.case import StudyPlan
from neuroasync.study.report.document import Block, Heading, Paragraph, to_html, to_markdown
from neuroasync.study.report.figures import case_pictures
from neuroasync.study.report.narrative import answers
from neuroasync.study.report.network_tables import agreement_table, recipe_table
from neuroasync.study.report.number_format import input_name
from neuroasync.study.report.overview import overview
from neuroasync.study.report.tables import case_tables
from neuroasync.study.results.output_folder import Folder
from neuroasync.study.results.records import Measured
from neuroasync.study.results.statistics import CaseResults

__all__ = ["write_report"]

_TITLE: Final = "What asynchrony does to trained networks"


def write_report(plan: StudyPlan, folder: Folder, found: Sequence[Measured]) -> None:
    """Draw the pictures, and write ``report.md`` and ``report.html``.

    Args:
        plan: the study.
        folder: where to; recordings and wall times are read from it.
        found: all that was measured.
    """
    cases = [
        CaseResults(case, [m for m in found if m.network.case == case.name]) for case in plan.cases
    ]
    blocks: list[Block] = [Heading(1, _TITLE), Paragraph(_how(plan)), *overview(cases)]
    for results in cases:
        blocks += [Heading(2, results.case.name), Paragraph(_data(results))]
        for question, answer in answers(results):
            blocks += [Heading(3, question), Paragraph(answer)]
        blocks += [Heading(3, "Numbers"), *case_tables(results)]
        blocks += [Heading(3, "Pictures"), *case_pictures(results, folder)]
    blocks += [Heading(2, "Networks"), agreement_table(cases), recipe_table(cases)]
    folder.write_text(folder.root / "report.md", to_markdown(blocks))
    folder.write_text(folder.root / "report.html", to_html(blocks, _TITLE))


def _how(plan: StudyPlan) -> str:
    seeds = len(plan.seeds)
    return (
        f"Every network was trained with {seeds} seed{'s' * (seeds > 1)}, and run on held-out "
        "samples in the asyncio runtime. ± is one standard error over seeds. Stop rules were "
        "chosen on validation samples, under the order they were then used in: the most cautious "
        "lead, falling from pass to pass, in a little less than half of the rounds. A difference "
        "is called clear if it is more than twice its standard error, both over seeds and over "
        "samples. A round delivers up to F spikes. "
        "results.json has every run, recordings/ one sample under each order."
    )


def _data(results: CaseResults) -> str:
    case = results.case
    folds = f"seed s is measured on fold s of {case.folds} of the training file"
    where = folds if case.folds else "every seed is measured on the test part"
    return (
        f"Data set: {case.dataset}; {where}. Unlayered networks are trained with input "
        f"{input_name(case.input)}, and all are shown with that where nothing else is said."
    )
