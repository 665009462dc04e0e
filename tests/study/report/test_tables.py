"""Tables: of which runs their numbers are."""

from dataclasses import replace

import pytest

from neuroasync.study.report.number_format import percent
from neuroasync.study.report.overview import overview
from neuroasync.study.report.tables import case_tables
from neuroasync.study.results.statistics import CaseResults, Mean
from tests.helpers.small_studies import GRID


@pytest.fixture
def queued(finished):
    """The case as if it were about queued input: its networks ran with that, too."""
    return CaseResults(replace(finished.plan.cases[0], input="queued"), finished.found)


def table_of(blocks, title):
    return next(block for block in blocks if getattr(block, "title", "").startswith(title))


def right(found, training, policy, how, until="quiet"):
    return percent(
        Mean.of(
            run.accuracy
            for measured in found
            for run in measured.runs
            if (run.training, run.policy, run.group_size, run.input, run.until)
            == (training, policy, 8, how, until)
        )
    )


def test_layered_networks_are_beside_queued_ones_with_queued_input(finished, queued):
    rules = table_of(case_tables(queued), "Every fixed stop rule")
    assert rules.title.endswith("input queued")
    cells = dict(zip(rules.columns, rules.rows[0], strict=True))
    assert cells["rule"] == "quiet"
    for training, policy in (("layered", "layer-sync"), ("unlayered-random", "random")):
        expected = right(finished.found, training, policy, "queued")
        assert cells[f"{training}: right, %"] == expected
    cure = table_of(overview([queued]), "The cure")
    assert cure.rows[0][1] == right(finished.found, "layered-paper", "layer-sync", "queued")


def test_an_order_that_a_case_does_not_run_is_left_blank_beside_one_that_does(finished):
    whole = finished.plan.cases[0]
    fewer = replace(whole, grid=replace(GRID, policies=("layer-sync", "random", "momentum")))
    both = [CaseResults(case, finished.found) for case in (whole, fewer)]
    table = table_of(overview(both), "The problem")
    assert table.columns == ["case", "layer-sync", "random", "momentum", "fifo"]
    assert [row[4] == "-" for row in table.rows] == [False, True]
    assert table.rows[0][:4] == table.rows[1][:4]
