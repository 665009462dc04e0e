"""Figures show the given numbers, and distinguish runs without colour."""

import numpy as np
import pytest

from neuroasync.core.engine.policies import Fifo
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.errors import RecordingError
from neuroasync.metrics import AnytimeCurve, StopPoint
from tests.helpers.recordings import record, relay

plot = pytest.importorskip("neuroasync.plot")

PNG = b"\x89PNG"


def curve(unit="rounds"):
    """Return a small anytime curve."""
    return AnytimeCurve(unit, np.array([0, 2, 5]), np.array([0, 0.5, 0.75]), np.array([0, 0.5, 1]))


def point(rule="margin(2)", spent=(1, 3)):
    """Return a small stop point."""
    counts = np.array(spent, np.int64)
    ones = np.ones(counts.size, np.int64)
    return StopPoint(rule, ones, ones, ones.astype(bool), 10 * counts, counts, counts)


def panel():
    """Return the spike of a single neuron in step 1."""
    return plot.RasterPanel("title", np.array([1]), np.array([0]), np.array([0]), None)


def test_bar_heights_are_the_densities():
    runs = {"layer-sync": {"hidden": 2.0, "output": 0.5}, "random": {"hidden": 1.0}}
    (axis,) = plot.plot_density(runs, "title").axes
    heights = [bar.get_height() for bars in axis.containers for bar in bars]
    assert heights == [2.0, 0.5, 1.0, 0.0]
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["hidden", "output"]
    assert len({bars[0].get_hatch() for bars in axis.containers}) == 2
    lefts = [bar.get_x() for bars in axis.containers for bar in bars]
    assert len(set(lefts)) == 4, "bars do not overlap"


def test_anytime_curve_is_a_step_function_with_marks_at_means():
    run = plot.AnytimeRun("random", curve(), [point()])
    (axis,) = plot.plot_anytime([run], "title").axes
    line, mark, legend = axis.lines
    assert line.get_xydata().tolist() == [[0, 0], [2, 50], [5, 75]]
    assert line.get_drawstyle() == "steps-post"
    assert mark.get_xydata().tolist() == [[2, 100]]
    assert [text.get_text() for text in axis.texts] == ["1"]
    assert legend.get_label() == "1: margin(2)"
    assert "rounds" in axis.get_xlabel()


def test_runs_differ_in_line_and_marker():
    runs = [plot.AnytimeRun(str(k), curve()) for k in range(4)]
    (axis,) = plot.plot_anytime(runs, "title").axes
    assert len({line.get_linestyle() for line in axis.lines}) == 4
    assert len({line.get_marker() for line in axis.lines}) == 4


def test_stop_rule_without_samples_has_no_mark():
    run = plot.AnytimeRun("random", curve(), [point(spent=())])
    (axis,) = plot.plot_anytime([run], "title").axes
    assert len(axis.texts) == 0


def test_group_size_plot_shows_standard_errors():
    runs = {"random": [(1, 0.5, 0.05), (8, 0.75, None)], "fifo": [(1, 0.25, 0.0), (8, 0.5, 0.1)]}
    (axis,) = plot.plot_group_sizes(runs, "title").axes
    drawn = [bars.lines[0].get_xydata().tolist() for bars in axis.containers]
    assert drawn == [[[1, 50], [8, 75]], [[1, 25], [8, 50]]]
    (errors,) = axis.containers[0].lines[2]
    assert [segment[:, 1].tolist() for segment in errors.get_segments()] == [[45, 55], [75, 75]]
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["1", "8"]
    with pytest.raises(ValueError, match="`runs` must have at least one run"):
        plot.plot_group_sizes({}, "title")


def test_latency_boxes_span_the_middle_half():
    (axis,) = plot.plot_latency({"a": range(101), "none": []}, "rounds", "title").axes
    box = axis.patches[0].get_path().vertices[:, 0]
    assert (box.min(), box.max()) == (25, 75)
    assert [tick.get_text() for tick in axis.get_yticklabels()] == ["a", "none"]


def test_stress_has_a_panel_for_each_kind_and_a_line_for_the_untouched_network():
    points = {"weight-bits": [("4", 0.9, 0.01), ("2", 0.5, None)], "order": [("fifo F=1", 0.8, 0)]}
    first, second = plot.plot_stress(points, 0.95, "accuracy", "title").axes
    assert [first.get_title(), second.get_title()] == ["weight-bits", "order"]
    untouched, marks = first.lines[:2]
    assert list(untouched.get_xdata()) == [95, 95]
    assert list(marks.get_xdata()) == [90, 50]
    assert [tick.get_text() for tick in first.get_yticklabels()] == ["4", "2"]
    with pytest.raises(ValueError, match="`points` must have at least one kind of stress"):
        plot.plot_stress({}, 0.95, "accuracy", "title")


def test_missing_runs_and_mixed_units_are_rejected():
    with pytest.raises(ValueError, match=r"^`runs` must have at least one run"):
        plot.plot_density({}, "title")
    with pytest.raises(ValueError, match=r"^`runs` must have at least one run"):
        plot.plot_latency({}, "rounds", "title")
    with pytest.raises(ValueError, match=r"^`unit` must be one of rounds, steps, ms, got 'hours'"):
        plot.plot_latency({"a": [1]}, "hours", "title")
    mixed = [plot.AnytimeRun("a", curve("steps")), plot.AnytimeRun("b", curve("rounds"))]
    with pytest.raises(
        ValueError, match=r"^`runs` must all have the same unit, got \['rounds', 'steps'\]"
    ):
        plot.plot_anytime(mixed, "title")


def test_figures_without_panels_or_points_are_rejected():
    with pytest.raises(ValueError, match=r"^`runs` must have at least one run, got none$"):
        plot.plot_anytime([], "title")
    with pytest.raises(ValueError, match=r"^`runs\['a'\]` must have at least one point, got none$"):
        plot.plot_group_sizes({"a": []}, "title")
    with pytest.raises(ValueError, match=r"^`runs\[\('fifo', 'queued'\)\]` must have at least one"):
        plot.plot_comparison({("fifo", "queued"): []}, "accuracy", "title")
    with pytest.raises(ValueError, match=r"^`panels` must have at least one panel, got none$"):
        plot.raster([], [("output", 2)], "output", "title", "decided")
    with pytest.raises(ValueError, match=r"^`panels` must have at least one panel, got none$"):
        plot.plot_decisions([], np.zeros((8, 8), np.int64), "title", "footnote")


@pytest.mark.parametrize("samples", [0, 2])
@pytest.mark.parametrize("function", [plot.rounds_of, plot.steps_of, plot.decided_at])
def test_steps_and_rounds_need_a_recording_of_one_sample(function, samples):
    recording = record(relay(), [SpikeTrain([0], [0])] * samples, RunSettings(Fifo(), 1))
    with pytest.raises(RecordingError, match=f"must have one sample, got {samples}$"):
        function(recording)


def test_dollar_signs_are_no_formulas_and_underscores_hide_nothing(tmp_path):
    name = r"_$\no$"  # as a formula, it could not be drawn
    figures = (
        plot.plot_density({name: {name: 1.0}}, name),
        plot.plot_anytime([plot.AnytimeRun(name, curve())], name),
        plot.plot_latency({name: [1, 2]}, "steps", name),
        plot.plot_group_sizes({name: [(1, 0.5, None)]}, name),
        plot.plot_comparison({(name, "queued"): [(1, 2.0, 3.0, 0.5)]}, name, name),
        plot.plot_stress({name: [(name, 0.5, None)]}, 0.5, name, name),
        plot.raster([panel()], [(name, 1)], "output", name, name),
    )
    for figure in figures:
        plot.save_png(figure, tmp_path / "figure.png")
    legends = [[text.get_text() for text in f.legends[0].get_texts()] for f in figures if f.legends]
    assert legends == [[name], [name], [name], [f"{name}, queued"], [f"{name} (1 neuron)", name]]


def test_budgets_above_10000_have_ticks():
    high = AnytimeCurve("spikes", np.array([0, 2_000_000]), np.array([0, 0.5]), np.zeros(2))
    (axis,) = plot.plot_anytime([plot.AnytimeRun("a", high)], "title").axes
    labels = [label.get_text() for label in axis.get_xticklabels()]
    assert labels[-5:-2] == ["10000", "100000", "1000000"]


def test_every_figure_can_be_saved(tmp_path):
    figures = (
        plot.plot_density({"a": {"hidden": 1.0}}, "title"),
        plot.plot_anytime([plot.AnytimeRun("a", curve(), [point()])], "title"),
        plot.plot_latency({"a": [1, 2]}, "steps", "title"),
    )
    for k, figure in enumerate(figures):
        plot.save_png(figure, tmp_path / f"{k}.png")
        assert (tmp_path / f"{k}.png").read_bytes().startswith(PNG)
