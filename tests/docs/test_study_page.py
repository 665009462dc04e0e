"""The pictures and tables of the page of the study have a place for each data set."""

import json

import pytest

pytest.importorskip("matplotlib")

from neuroasync.plot.canvas import new_figure
from tools import study_page
from tools.study_page import read_baselines


@pytest.mark.parametrize("count", [1, 5, 6])
def test_each_data_set_has_a_panel_and_each_column_has_tick_labels(count):
    figure = new_figure(9.6, 6.4)
    panels = study_page._panels(figure, count, sharex=True, sharey=True)
    for panel in panels:
        panel.set_xticks(range(2), ["one", "two"])
    figure.draw_without_rendering()
    assert figure.axes == panels
    assert len(panels) == count
    lowest = {panel.get_subplotspec().colspan.start: panel for panel in panels}
    assert all(panel.get_xticklabels()[0].get_visible() for panel in lowest.values())


def test_a_model_that_was_not_measured_is_named(tmp_path):
    path = tmp_path / "baselines.json"
    row = {"dataset": "digits", "baseline": "linear", "accuracy": [0.9, 0.8, 0.85]}
    path.write_text(json.dumps({"results": [row | {"hidden_spikes": None}]}), "utf-8")
    with pytest.raises(ValueError, match="there is no result of 'perceptron' on 'digits'"):
        read_baselines(path)
