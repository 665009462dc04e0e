"""Votes and stop rules."""

from neuroasync.core.kernels.array_views import control_of, rule_arguments_of, settings_of, votes_of
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import Control, RuleCode, Settings, Votes

__all__ = ["leader", "should_stop"]


@kernel
def leader(votes):
    """Class with the most votes; ties to who reached its count first, then the lower; or -1."""
    best = -1
    for c in range(votes.shape[1]):
        count = votes[Votes.COUNT, c]
        ties = best >= 0 and count == votes[Votes.COUNT, best]
        ahead = best < 0 or count > votes[Votes.COUNT, best]
        if count and (ahead or (ties and votes[Votes.LATEST, c] < votes[Votes.LATEST, best])):
            best = c
    return best


@kernel
def should_stop(c):
    """Whether the stop rule says stop now."""
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
