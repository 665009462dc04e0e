"""The figures of the demo show what the recordings hold."""

import numpy as np
import pytest

from neuroasync import Network
from neuroasync.cli.decide_samples import decide_samples, run_in_loop
from neuroasync.core.recording.recorder import Recorder
from tests.helpers.cli_files import golden_bundle, some_trains

plot = pytest.importorskip("neuroasync.plot")

POLICIES = ("layer-sync", "random", "momentum", "fifo")


def recorded(policy, until):
    """Return the recording of one sample under the given options."""
    bundle = golden_bundle()
    network = Network(bundle, policy=policy, until=until)
    recorder = Recorder(bundle, network.settings)
    run_in_loop(decide_samples(network, some_trains(), range(2, 3), 0, recorder))
    return recorder.finish()


@pytest.mark.parametrize("policy", POLICIES)
def test_steps_are_numbered_across_passes(policy):
    recording = recorded(policy, "quiet")
    starts, step = plot.steps_of(recording)
    assert starts[0] == 0
    assert (np.diff(starts) >= 1).all()
    assert (np.diff(step) >= 0).all(), "rows are in firing order"
    assert step.max() < recording.steps[0] + recording.passes[0]
    assert (np.searchsorted(starts, step, "right") - 1 == recording.pass_).all()
    assert plot.decided_at(recording) is None


@pytest.mark.parametrize("policy", POLICIES)
def test_decision_is_marked_at_the_deciding_spike(policy):
    stopped, whole = recorded(policy, "votes(2)"), recorded(policy, "quiet")
    _, step = plot.steps_of(stopped)
    assert plot.decided_at(stopped) == step[-1]
    same = whole.step[: step.size] == stopped.step
    assert same.all()
    assert (plot.steps_of(whole)[1][: step.size] == step).all()


def test_latency_curve_rises_by_one_sample_per_decision():
    curve = plot.LatencyCurve("net", [3, 1], [4], "margin(2)", 2)
    (axis,) = plot.decision_latency([curve], "title").axes
    first, rule = (line.get_xydata().tolist() for line in axis.lines)
    assert first == [[1, 0], [1, 50], [3, 100]]
    assert rule == [[4, 0], [4, 50]]


def test_figures_can_be_drawn_without_data():
    curve = plot.LatencyCurve("net", [], [], "margin(2)", 0)
    plot.decision_latency([curve], "title")
    nothing = np.zeros(0, np.int64)
    panel = plot.RasterPanel("fifo", nothing, nothing, nothing, None)
    plot.raster([panel], [("output", 3)], "output", "title", "decided")
