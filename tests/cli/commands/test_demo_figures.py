"""The figures of the demo show what the recordings hold."""

from types import SimpleNamespace

import numpy as np
import pytest

from neuroasync import Network
from neuroasync.cli.commands.demo.figures import choose_example
from neuroasync.cli.commands.demo.runs import Row
from neuroasync.cli.decide_samples import decide_samples, run_in_loop
from neuroasync.core.recording.recorder import Recorder
from tests.helpers.cli_files import golden_bundle, some_trains

plot = pytest.importorskip("neuroasync.plot")

POLICIES = ("layer-sync", "random", "momentum", "fifo")


def recorded(policy, until, mode="prioritised"):
    """Return the recording of one sample under the given options."""
    bundle = golden_bundle()
    network = Network(bundle, policy=policy, until=until, input=mode)
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


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("mode", ["prioritised", "queued"])
def test_rounds_of_spikes_end_at_the_rounds_of_the_decision(policy, mode):
    whole, stopped = recorded(policy, "quiet", mode), recorded(policy, "votes(2)", mode)
    rounds = plot.rounds_of(whole)
    assert (np.diff(rounds) >= 0).all()
    assert rounds.max() <= whole.rounds[0]
    # The spikes that a stop rule leaves are those up to its decision.
    assert rounds[stopped.neuron.size - 1] == stopped.rounds[0]


def comparison(name, sync, free):
    """Return a comparison of decisions, each given as (label, rounds)."""
    results = []
    for policy, pairs in (("layer-sync", sync), ("random", free)):
        decisions = [SimpleNamespace(label=label, rounds=rounds) for label, rounds in pairs]
        results.append(
            SimpleNamespace(network=name, row=Row(policy, 8, "queued"), decisions=decisions)
        )
    return SimpleNamespace(network=name, sync=results[0], free=results[1])


def test_example_is_the_first_digit_that_only_the_second_run_gets_wrong():
    # The classes of samples 2 to 5 are 2, 3, 0, 1.
    fragile = comparison(
        "layered-paper",
        [(2, 9), (0, 9), (0, 9), (1, 9)],
        [(2, 10), (0, 8), (3, 20), (2, 30)],
    )
    robust = comparison("unlayered", [(2, 5)] * 4, [(2, 5), (3, 5), (0, 5), (1, 5)])
    example = choose_example([fragile, robust], some_trains(), range(2, 6))
    assert (example.number, example.position, example.target, example.samples) == (4, 2, 0, 4)
    assert "digit 4 is the first that only the second run gets wrong" in example.caption
    assert "2 of 4 digits (50 %)" in example.caption
    assert "In 1 more, the second run is right, but later" in example.caption


def test_without_such_a_digit_the_first_one_is_shown_and_the_caption_says_so():
    same = [comparison(name, [(2, 5)], [(2, 5)]) for name in ("layered-paper", "unlayered")]
    example = choose_example(same, some_trains(), range(2, 3))
    assert example.number == 2
    assert "Of 1 digits, none is wrong in the second run only." in example.caption


@pytest.mark.parametrize("dark", [False, True])
def test_decision_figure_shows_each_run_on_one_axis_in_rounds(dark):
    recording = recorded("random", "quiet")
    label = int(recording.target[0])
    panels = [
        plot.DecisionPanel("one", "note", recording, 2, label),
        plot.DecisionPanel("two", "", recording, int(recording.rounds[0]), None),
    ]
    image = np.arange(12).reshape(3, 4)
    figure = plot.plot_decisions(panels, image, "title", "chosen", notes="all", dark=dark)
    one, two = (axis for axis in figure.axes if axis.get_title(loc="left") in ("one", "two"))
    assert one.get_xlim() == two.get_xlim()
    assert [axis.texts[0].get_text() for axis in (one, two)] == [
        f"answers {label}: right, after 2 rounds",
        f"no answer: wrong, after {recording.rounds[0]} rounds",
    ]
    shown = sum(len(points.get_offsets()) for points in one.collections)
    assert shown == recording.neuron.size, "every spike is drawn once"


def test_raster_can_be_drawn_without_data():
    nothing = np.zeros(0, np.int64)
    panel = plot.RasterPanel("fifo", nothing, nothing, nothing, None)
    figure = plot.raster([panel], [("output", 3)], "output", "title", "decided")
    assert [axes.get_title() for axes in figure.axes] == ["fifo"]
    assert not figure.axes[0].collections
