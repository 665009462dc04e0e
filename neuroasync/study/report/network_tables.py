"""Tables about networks: what was trained, and whether trainer and runtime agree."""

from collections.abc import Sequence

from neuroasync.study.design.case import Case
from neuroasync.study.report.document import Table
from neuroasync.study.report.number_format import mode_name
from neuroasync.study.results.statistics import CaseResults

__all__ = ["agreement_table", "recipe_table"]


def agreement_table(cases: Sequence[CaseResults]) -> Table:
    """Decisions of the trainer beside those of the runtime."""
    rows = []
    for results in cases:
        for training in results.case.trainings:
            found = [measured.network.agreement for measured in results.networks(training)]
            samples, equal = sum(a.samples for a in found), sum(a.equal for a in found)
            listed = [
                f"seed {seed}: {triple}"
                for seed, agreement in zip(results.seeds, found, strict=True)
                for triple in agreement.disagreements
            ]
            name = f"{results.case.name}, {training}"
            rows.append([name, str(samples), str(equal), "; ".join(listed) or "none"])
    return Table(
        "Trainer and runtime: decisions on held-out samples in the order trained for; "
        "disagreements are (sample, the trainer's label, the runtime's)",
        ["network", "samples", "same decision", "disagreements"],
        rows,
    )


def recipe_table(cases: Sequence[CaseResults]) -> Table:
    """What was trained, and on how many samples."""
    rows = [_recipe(results, results.case) for results in cases]
    return Table(
        "What was trained; results.json has the whole configurations",
        ["network", "topology", "trained for", "epochs", "train + validation + test samples"],
        [row for of_case in rows for row in of_case],
    )


def _recipe(results: CaseResults, case: Case) -> list[list[str]]:
    rows = []
    for training in case.trainings:
        recipe, mode = case.recipe(training), case.own_mode(training)
        sizes = results.networks(training)[0].network.samples
        split = " + ".join(str(sizes[part]) for part in ("train", "validation", "test"))
        epochs, order = str(recipe.config.epochs), mode_name(mode, with_size=True)
        rows.append([f"{case.name}, {training}", recipe.topology, order, epochs, split])
    return rows
