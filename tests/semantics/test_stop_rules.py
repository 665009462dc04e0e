"""Votes, labels, stop rules and the counts of a decision, computed by hand in the comments."""

import numpy as np
import pytest

from neuroasync.core.engine.policies import Fifo, LayerSync
from neuroasync.core.model.connections import INPUT
from tests.helpers.hand_networks import (
    MS,
    by_step,
    dense,
    events,
    fired,
    in_every_engine,
    network,
    one_neuron,
    population,
)

FIFO = Fifo()


def voters(classes=2):
    """Return a network in which input i makes class i vote.

    Each vote is a spike of the output population and takes one forward step.
    """
    return network(
        [population("out", classes)], [dense(INPUT, "out", 2 * np.eye(classes))], inputs=classes
    )


def votes_for(*classes):
    """Return input that causes one vote per pass."""
    return events(*[(k * MS, c) for k, c in enumerate(classes)])


# Labels


@in_every_engine
def test_label_is_the_class_with_the_most_votes(run):
    result = run(voters(), votes_for(0, 1, 1), FIFO)
    assert (result.label, result.votes, result.stopped) == (1, [1, 2], False)


@in_every_engine
@pytest.mark.parametrize(("votes", "label"), [((1, 0), 1), ((0, 1, 1, 0), 1), ((1, 0, 0, 1), 0)])
def test_ties_go_to_the_class_that_reached_its_count_first(run, votes, label):
    assert run(voters(), votes_for(*votes), FIFO).label == label


@in_every_engine
def test_ties_within_a_pass_go_to_the_class_of_the_earlier_step(run):
    # queued, one by one: class 1 votes at step 1, class 0 at step 2
    assert run(voters(), events((0, 1), (1, 0)), FIFO, 1, "queued").label == 1


@in_every_engine
def test_ties_of_one_step_go_to_the_lower_class(run):
    assert run(voters(3), events((0, 2), (0, 1)), FIFO).label == 1


@in_every_engine
def test_without_a_vote_there_is_no_label(run):
    result = run(one_neuron(0.5), events((0, 0)), FIFO)
    assert (result.label, result.votes, result.first_spike) == (None, [0], None)


@in_every_engine
def test_only_the_output_population_votes_at_any_position_in_the_declaration(run):
    model = network(
        [population("out", 2), population("hidden")],
        [dense(INPUT, "hidden", 2), dense("hidden", "out", [[0], [2]])],
        output="out",
    )
    result = run(model, events((0, 0)), FIFO)
    assert (result.label, result.votes) == (1, [0, 1])
    assert fired(result) == [(0, 0, 2), (0, 1, 1)]


# Stop rules

CLOSE = votes_for(0, 1, 1, 0, 0, 0, 0)
"""Votes of (class 0, class 1) by pass: 1-0, 1-1, 1-2, 2-2, 3-2, 4-2, 5-2."""


@in_every_engine
@pytest.mark.parametrize(
    ("until", "passes", "steps", "label"),
    [
        ("quiet", 7, 7, 0),
        ("first-spike", 1, 0, 0),
        ("votes(1)", 1, 0, 0),
        ("votes(2)", 3, 2, 1),  # class 1 has two in pass 2
        ("votes(5)", 7, 6, 0),
        ("margin(1)", 1, 0, 0),
        ("margin(2)", 6, 5, 0),  # 4-2
        ("margin(3)", 7, 6, 0),
        ("margin(0,1)", 3, 2, 1),  # never in pass 0; 1-2 in pass 2
        ("margin(2,0,1,9)", 3, 2, 1),
        ("margin(2,2,2,2,1)", 5, 4, 0),  # 3-2
        ("margin(4,4,4,3)", 7, 6, 0),  # the last holds for all later passes
        ("steps(0)", 1, 0, 0),
        ("steps(1)", 1, 1, 0),  # after the step that delivered the output's own spike
        ("steps(3)", 3, 3, 1),
    ],
)
def test_stop_rules_are_evaluated_after_the_input_group_and_after_each_step(
    run, until, passes, steps, label
):
    result = run(voters(), CLOSE, FIFO, until=until)
    assert (result.passes, result.steps, result.label) == (passes, steps, label)
    assert result.stopped == (until != "quiet")
    assert result.input_events == passes


@in_every_engine
@pytest.mark.parametrize("until", ["votes(9)", "margin(9)", "steps(9)", "margin(9,1,0)"])
def test_sample_whose_stop_rule_is_never_met_runs_to_its_end(run, until):
    result = run(voters(), CLOSE, FIFO, until=until)
    assert (result.stopped, result.passes) == (False, 7)


@in_every_engine
def test_margin_of_a_network_with_one_class_is_its_number_of_votes(run):
    result = run(voters(1), votes_for(0, 0, 0), FIFO, until="margin(2)")
    assert (result.passes, result.votes) == (2, [2])


@in_every_engine
def test_steps_after_the_first_output_spike_count_on_in_the_next_pass(run):
    # the output votes late, at step 1 of pass 1; step 2 delivers it; pass 2: step 3 late again
    model = network([population("out")], [dense(INPUT, "out", 0, [0.75])])
    result = run(model, events(), FIFO, until="steps(2)", duration_us=9 * MS)
    assert fired(result) == [(1, 1, 0), (3, 1, 0)]
    assert (result.passes, result.steps) == (4, 3)


@in_every_engine
def test_stopped_sample_drops_pending_spikes_and_does_not_read_later_input(run):
    # a and out fire in pass 0, step 0: neither is delivered
    model = network(
        [population("a"), population("out")],
        [dense(INPUT, "a", 2), dense(INPUT, "out", 2), dense("a", "out", 2)],
    )
    train = events((0, 0), (500, 0), (1 * MS, 0))
    result = run(model, train, FIFO, until="first-spike")
    assert (result.steps, result.synops, result.input_events) == (0, 4, 2)
    assert (result.undelivered, result.t_us) == (0, 0)


@in_every_engine
def test_queued_input_of_a_stopped_pass_counts_as_read(run):
    result = run(voters(), events((0, 0), (1, 1)), FIFO, 1, "queued", until="first-spike")
    assert (result.votes, result.input_events, result.rounds) == ([1, 0], 2, 1)


@by_step
def test_custom_stop_rule_is_called_after_each_input_group_and_step(run):
    # pass 0: input, a delivered, out delivered; pass 1 is empty, but the rule is called
    model = network(
        [population("a"), population("out")], [dense(INPUT, "a", 2), dense("a", "out", 2)]
    )
    seen = []

    def ask(p):
        seen.append((p.t_us, p.passes, p.steps, p.rounds, p.spikes, p.votes.tolist(), p.label))
        return p.t_us == 2 * MS

    result = run(model, events((0, 0), (5 * MS, 0)), FIFO, until=ask)
    assert seen == [
        (0, 1, 0, 0, 1, [0], None),
        (0, 1, 1, 1, 2, [1], 0),
        (0, 1, 2, 2, 2, [1], 0),
        (1 * MS, 2, 2, 2, 2, [1], 0),
        (2 * MS, 3, 2, 2, 2, [1], 0),
    ]
    assert (result.stopped, result.input_events, result.passes) == (True, 1, 3)


@by_step
def test_custom_stop_rule_can_stop_a_sample_without_a_label(run):
    result = run(voters(), CLOSE, FIFO, 1, "queued", until=lambda p: True)
    assert (result.stopped, result.label, result.passes, result.steps) == (True, None, 1, 0)


# Counts


@in_every_engine
@pytest.mark.parametrize(("group_size", "rounds"), [(1, 5 + 1), (2, 3 + 1), (3, 2 + 1), (5, 1 + 1)])
def test_layer_takes_as_many_rounds_as_its_spikes_need(run, group_size, rounds):
    model = network(
        [population("a", 5), population("out")],
        [dense(INPUT, "a", [[2]] * 5), dense("a", "out", [[2] * 5])],
    )
    result = run(model, events((0, 0)), LayerSync(), group_size)
    assert (result.rounds, result.steps) == (rounds, 2)


@in_every_engine
def test_synaptic_operations_are_targets_of_delivered_spikes(run):
    # input: 3 targets; a: 3 spikes of 2 targets each over one connection and of 1 over another
    model = network(
        [population("a", 3), population("b", 2), population("out")],
        [
            dense(INPUT, "a", [[2]] * 3),
            dense("a", "b", np.zeros((2, 3))),
            dense("a", "out", np.zeros((1, 3))),
        ],
    )
    assert run(model, events((0, 0)), FIFO).synops == 3 + 3 * 2 + 3 * 1


@in_every_engine
def test_first_output_spike_has_its_count_of_spikes_steps_and_rounds(run):
    # a's three neurons fire, go in two groups of at most two; the second makes the output fire
    model = network(
        [population("a", 3), population("out")],
        [dense(INPUT, "a", [[2]] * 3), dense("a", "out", [[0, 0, 2]])],
    )
    result = run(model, events((0, 0)), FIFO, 2)
    assert result.first_spike == (4, 2, 2)


@in_every_engine
def test_each_leading_class_has_the_counts_of_its_first_lead(run):
    # votes by pass: 1-0, 1-1, 1-2, 2-2: class 0 leads from pass 0, class 1 from pass 2.
    # Each vote is a spike; each pass delivers one, in a step and a round.
    result = run(voters(3), votes_for(0, 1, 1, 0), FIFO)
    assert result.first_led == {0: (1, 0, 0), 1: (3, 2, 2)}


@by_step
def test_custom_stop_rule_cannot_change_votes_and_may_keep_them(run):
    kept = []

    def spoil(progress):
        kept.append(progress.votes.copy())
        progress.votes[:] = 7
        return False

    result = run(voters(), CLOSE, FIFO, 1, "queued", until=spoil)
    assert kept[-1].tolist() == result.votes
    assert result == run(voters(), CLOSE, FIFO, 1, "queued", until=lambda p: False)
