"""Networks for the user's data get an output that votes repeatedly, with connections from all."""

import numpy as np
import pytest

from neuroasync import LabelsOverTime, SpikeTrain, SpikeTrains, parse_topology
from neuroasync.core.model.topology import same_topology
from neuroasync.errors import ModelError
from neuroasync.train.recipes import RECIPES, default_topology, recipes_for_topology
from neuroasync.train.recipes.own_topology import with_good_output


def same(one, other):
    return same_topology(parse_topology(one), parse_topology(other))


def test_the_output_votes_often_and_earlier_populations_are_connected_to_it():
    text = "timestep_us=1000; input 4; a d3; b d3 reset=zero  # deep\nc d3; answer d2; input -> b"
    assert with_good_output(text) == (
        "timestep_us=1000\ninput 4\na d3\nb d3 reset=zero\nc d3\n"
        "answer d2 refractory=false reset=subtract"
        "  # added: can vote more than once per pass\n"
        "input -> b\n"
        "a -> answer  # added: votes without waiting for the populations between\n"
        "b -> answer  # added: votes without waiting for the populations between"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("timestep_us=1; input 4; output d2", "refractory=false reset=subtract"),
        ("timestep_us=1; input 4; output d2 reset=zero", ""),
        ("timestep_us=1; input 4; output d2 refractory=true", ""),
        ("timestep_us=1 reset=subtract; input 4; output d2", ""),
        ("timestep_us=1; input 4; output d2 neuron=li", ""),
        ("timestep_us=1; input 4; a d3 reset=zero; output d2", "refractory=false reset=subtract"),
    ],
)
def test_what_the_text_says_about_the_output_is_kept(text, expected):
    changed = f"{text} {expected}" if expected else text
    assert same(with_good_output(text), changed)


def test_arrows_to_the_output_replace_those_that_would_be_added():
    text = "timestep_us=1; input 4; a d3; b d3; output d2; input -> output; output -> a delay_us=1"
    voting = text.replace("d2", "d2 refractory=false reset=subtract")
    assert same(with_good_output(text), voting)


@pytest.mark.parametrize("text", ["", "timestep_us=1; input 4; output", "timestep_us=1; input 4"])
def test_a_text_with_an_error_is_refused(text):
    with pytest.raises(ModelError):
        recipes_for_topology(text)


def test_a_second_time_adds_nothing():
    text = with_good_output("timestep_us=1000; input 4; a d3; b d3; output d2")
    assert same(with_good_output(text), text)


def test_the_network_of_a_data_set_is_that_of_its_recipe():
    text = "timestep_us=10000; input 2x32; hidden1 d64; hidden2 d64; hidden3 d64; output d10"
    own = recipes_for_topology(text)
    for name in ("layered", "unlayered-random", "layered-paper"):
        assert same(own[name].topology, RECIPES["spoken-digits"][name].topology)


@pytest.mark.parametrize(
    ("settings", "leaky", "paper"),
    [
        ("decay=0.5", "decay=0.5 v_threshold=1.0", "decay=0.5 v_threshold=0.3"),
        ("v_threshold=2", "decay=0.9 v_threshold=2", "decay=0.0 v_threshold=2"),
        ("v_threshold=2; decay=0.5", "decay=0.5 v_threshold=2", "decay=0.5 v_threshold=2"),
        ("tau_mem_us=9000", "tau_mem_us=9000 v_threshold=1", "tau_mem_us=9000 v_threshold=0.3"),
    ],
)
def test_a_decay_or_threshold_for_all_populations_replaces_that_of_the_recipe(
    settings, leaky, paper
):
    rest = "input 4; a d3; output d2 refractory=false reset=subtract"
    own = recipes_for_topology(f"timestep_us=1000 {settings}; {rest}")
    assert same(own["layered"].topology, f"timestep_us=1000 {leaky}; {rest}")
    assert same(own["layered-paper"].topology, f"timestep_us=1000 {paper}; {rest}")


@pytest.mark.parametrize(
    ("times", "timestep_us"),
    [
        ([[0, 1000, 5000], [3000], []], 1000),
        ([[0, 20_000], [60_000], [40_000]], 20_000),
        ([[7, 999_999], [3, 1_000_000], [5, 1_200_000]], 20_000),
        ([[1, 2, 100], [99], [130]], 1),
        ([[1, 2, 301], [299], [300]], 10),
        ([[0], [0]], 1),
        ([[], []], 1000),
    ],
)
def test_the_default_timestep_fits_the_times(times, timestep_us):
    trains = [SpikeTrain(t, np.zeros(len(t), int)) for t in times]
    samples = SpikeTrains.from_trains(trains, (2, 3), np.arange(len(times)))
    model = parse_topology(default_topology(samples))
    assert (model.timestep_us, model.input_shape) == (timestep_us, (2, 3))
    assert model.populations[-1].size == len(times)


def test_labels_over_time_give_a_timestep_that_divides_their_interval():
    labels = LabelsOverTime([0, 2, -1, 1], [0, 4], 30_000)
    samples = SpikeTrains([0, 90_000, 110_000], [0, 1, 2], [0, 3], None, (3,), labels)
    assert default_topology(samples) == (
        "timestep_us=10000; input 3; hidden1 d64; hidden2 d64; hidden3 d64; output d3 decay=0.6"
    )
    parse_topology(default_topology(samples))
    odd = SpikeTrains([0, 70, 117], [0, 1, 2], [0, 3], None, (3,), LabelsOverTime([0], [0, 1], 121))
    assert default_topology(odd).startswith("timestep_us=1;")


@pytest.mark.parametrize(
    ("every_us", "timestep_us"),
    [
        (33_333, 11_111),  # The other divisors are 33,333 and at most 3,333.
        (33_331, 33_331),  # It is a prime number.
        (40_014, 13_338),
        (2 * 20_011, 20_011),  # Its other divisors are 1, 2 and itself.
        (19_997, 19_997),  # A prime number below the timestep of samples without labels.
    ],
)
def test_an_interval_with_few_divisors_does_not_give_a_pass_for_each_us(every_us, timestep_us):
    labels = LabelsOverTime([0] * 60, [0, 60], every_us)
    samples = SpikeTrains([3, 999_999], [0, 1], [0, 2], None, (3,), labels)
    assert default_topology(samples).startswith(f"timestep_us={timestep_us};")
    assert every_us % timestep_us == 0


def test_an_input_that_is_too_large_for_the_default_network_is_named():
    samples = SpikeTrains.from_trains([SpikeTrain([1000], [0])], (2, 720, 1280), np.zeros(1, int))
    expected = (
        r"^the default network does not fit an input of 2x720x1280; choose a topology, for example "
        r"with convolutions \(topology, line 1, 'hidden1 d64': .* at most 67108864 weights"
    )
    with pytest.raises(ModelError, match=expected):
        default_topology(samples)
