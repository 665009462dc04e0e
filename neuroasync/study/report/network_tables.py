"""Tables about networks: their training, and the agreement of trainer and runtime."""

from collections.abc import Sequence

from neuroasync.study.design.case import Case
from neuroasync.study.report.document import Table
from neuroasync.study.report.number_format import mode_name
from neuroasync.study.results.statistics import CaseResults

__all__ = ["agreement_table", "recipe_table"]


def agreement_table(cases: Sequence[CaseResults]) -> Table:
    """Return how many decisions of the trainer and the runtime are the same."""
    rows = []
    for results in cases:
        for training in results.case.trainings:
            agreements = [m.network.agreement for m in results.networks(training)]
            samples, equal = sum(a.samples for a in agreements), sum(a.equal for a in agreements)
            listed = [
                f"seed {seed}: {triple}"
                for seed, agreement in zip(results.seeds, agreements, strict=True)
                for triple in agreement.disagreements
            ]
            name = f"{results.case.name}, {training}"
            rows.append([name, str(samples), str(equal), "; ".join(listed) or "none"])
    return Table(
        "Agreement of trainer and runtime: decisions on held-out samples under the policy that "
        "the network was trained for. Disagreements are listed as (sample, label of the trainer, "
        "label of the runtime)",
        ["network", "samples", "same decision", "disagreements"],
        rows,
    )


def recipe_table(cases: Sequence[CaseResults]) -> Table:
    """Return the topology and the training of each network, and its numbers of samples."""
    rows = [_recipe(results, results.case) for results in cases]
    return Table(
        "Trained networks; results.json has the complete configurations",
        ["network", "topology", "trained for", "epochs", "train + validation + test samples"],
        [row for of_case in rows for row in of_case],
    )


def _recipe(results: CaseResults, case: Case) -> list[list[str]]:
    rows = []
    for training in case.trainings:
        recipe, mode = case.recipe(training), case.trained_mode(training)
        sizes = results.networks(training)[0].network.samples
        split = " + ".join(str(sizes[part]) for part in ("train", "validation", "test"))
        epochs, order = str(recipe.config.epochs), mode_name(mode, with_size=True)
        rows.append([f"{case.name}, {training}", recipe.topology, order, epochs, split])
    return rows
