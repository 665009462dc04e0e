"""Tables: each number comes from the runs that its row and column name."""

from dataclasses import replace

import pytest

from neuroasync.metrics.mean import Mean
from neuroasync.study.report.number_format import percent
from neuroasync.study.report.overview import overview
from neuroasync.study.report.tables import case_tables
from neuroasync.study.results.statistics import CaseResults
from tests.helpers.small_studies import GRID


@pytest.fixture
def queued(finished):
    """The case as if its input were queued; its networks ran in these modes as well."""
    return CaseResults(replace(finished.plan.cases[0], input="queued"), finished.measurements)


def table_of(blocks, title):
    """Return the table whose title starts with the given text."""
    return next(block for block in blocks if getattr(block, "title", "").startswith(title))


def accuracy(measurements, training, policy, input_mode, until="quiet"):
    """Return the mean accuracy over seeds as the report shows it."""
    return percent(
        Mean.of(
            run.accuracy
            for measurement in measurements
            for run in measurement.runs
            if (run.training, run.policy, run.group_size, run.input, run.until)
            == (training, policy, 8, input_mode, until)
        )
    )


def test_queued_case_shows_layered_networks_with_queued_input(finished, queued):
    rules = table_of(case_tables(queued), "Fixed stop rules")
    assert rules.title.endswith("input queued")
    cells = dict(zip(rules.columns, rules.rows[0], strict=True))
    assert cells["rule"] == "quiet"
    for training, policy in (("layered", "layer-sync"), ("unlayered-random", "random")):
        expected = accuracy(finished.measurements, training, policy, "queued")
        assert cells[f"{training}: accuracy, %"] == expected
    remedy = table_of(overview([queued]), "The remedy")
    assert remedy.rows[0][1] == accuracy(
        finished.measurements, "layered-paper", "layer-sync", "queued"
    )


def test_policy_that_a_case_does_not_run_has_blank_cells(finished):
    whole = finished.plan.cases[0]
    fewer = replace(whole, grid=replace(GRID, policies=("layer-sync", "random", "momentum")))
    both = [CaseResults(case, finished.measurements) for case in (whole, fewer)]
    table = table_of(overview(both), "The problem")
    assert table.columns == ["case", "layer-sync", "random", "momentum", "fifo"]
    assert [row[4] == "-" for row in table.rows] == [False, True]
    assert table.rows[0][:4] == table.rows[1][:4]


def test_every_order_lists_the_mean_and_the_worst_of_all_run_modes(finished):
    table = table_of(
        overview([CaseResults(finished.plan.cases[0], finished.measurements)]), "Every"
    )
    assert [row[0] for row in table.rows] == [
        f"task, {training}" for training in finished.plan.cases[0].trainings
    ]
    each = {}
    for measurement in finished.measurements:
        for run in measurement.runs:
            mode = (run.policy, run.group_size, run.input)
            is_twin = run.policy == "layer-sync" and mode[1:] != (8, "prioritised")
            if run.training == "unlayered-any" and run.until == "quiet" and not is_twin:
                each.setdefault(mode, []).append(run.accuracy)
    means = [Mean.of(values).value for values in each.values()]
    assert len(means) == 13
    shown = table.rows[-1]
    assert shown[1] == f"{100 * sum(means) / 13:.1f}"
    assert shown[2] == f"{100 * min(means):.1f}"
    assert shown[4] == f"{100 * (max(means) - min(means)):.1f}"
