"""Votes of the output population, and the stop rules that depend on them.

Each spike of output neuron c is a vote for class c, counted over all passes of a sample. The
leading class has the most votes. Ties go to the class that reached its count first, by (pass,
step), then to the lower class. Without a vote there is no leader.

With ``first`` and ``second`` as the two highest vote counts, a rule stops the sample when

    votes(k)    first >= k
    margin(k)   first - second >= k; with several k, pass i uses the i-th or the last; 0 never stops
    steps(n)    n forward steps have followed the one in which the output first fired

An output of leaky integrators never votes. Its readout is its membrane potentials after the last
pass.

``quiet`` never stops a sample: the sample ends when no pass is left. No rule applies before the
first vote.
"""

from neuroasync.core.kernels.array_views import (
    control_of,
    populations_of,
    potentials_of,
    rule_arguments_of,
    settings_of,
    votes_of,
)
from neuroasync.core.kernels.decay import catch_up_decay
from neuroasync.core.kernels.jit import kernel, uncounted
from neuroasync.core.kernels.layout import (
    Context,
    Control,
    Populations,
    RuleCode,
    Settings,
    Votes,
)
from neuroasync.core.kernels.neurons.views import readout_of

__all__ = ["leader", "read_out", "should_stop"]


@uncounted
def leader(votes):
    """Return the leading class of ``votes``, i64[5, classes], or -1 without a vote."""
    best = -1
    for c in range(votes.shape[1]):
        count = votes[Votes.COUNT, c]
        ties = best >= 0 and count == votes[Votes.COUNT, best]
        ahead = best < 0 or count > votes[Votes.COUNT, best]
        if count and (ahead or (ties and votes[Votes.LATEST, c] < votes[Votes.LATEST, best])):
            best = c
    return best


@uncounted
def should_stop(c):
    """Return whether a built-in stop rule stops the sample now."""
    rule, control = settings_of(c)[Settings.STOP_RULE], control_of(c)
    if rule == RuleCode.QUIET or rule == RuleCode.CALLABLE or control[Control.FIRST_VOTE_STEPS] < 0:
        return False
    if control[Control.IS_DECIDED]:
        return False
    arguments = rule_arguments_of(c)
    if rule == RuleCode.STEPS:
        return control[Control.STEPS] - control[Control.FIRST_VOTE_STEPS] >= arguments[0]
    votes = votes_of(c)
    first, second = 0, 0
    for cls in range(votes.shape[1]):
        count = votes[Votes.COUNT, cls]
        if count > first:
            first, second = count, first
        elif count > second:
            second = count
    if rule == RuleCode.VOTES:
        return first >= arguments[0]
    lead = arguments[min(control[Control.PASS], arguments.size - 1)]
    return lead > 0 and first - second >= lead


@kernel
def read_out(c):
    """Store the potentials of the output, if it consists of leaky integrators."""
    if c[Context.READOUT_AT] < 0:
        return
    p = settings_of(c)[Settings.OUTPUT]
    catch_up_decay(c, p)
    row = populations_of(c)[p]
    readout_of(c)[:] = potentials_of(c)[row[Populations.START] : row[Populations.STOP]]
