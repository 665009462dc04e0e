"""Votes and stop rules."""

from neuroasync.core.kernels import layout as lay
from neuroasync.core.kernels.array_views import arguments_of, control_of, settings_of, votes_of
from neuroasync.core.kernels.jit import kernel

__all__ = ["leader", "should_stop"]


@kernel
def leader(votes):
    """Class with the most votes; ties to who reached its count first, then the lower; or -1."""
    best = -1
    for c in range(votes.shape[1]):
        count = votes[lay.VOTES, c]
        ties = best >= 0 and count == votes[lay.VOTES, best]
        ahead = best < 0 or count > votes[lay.VOTES, best]
        if count and (ahead or (ties and votes[lay.LATEST, c] < votes[lay.LATEST, best])):
            best = c
    return best


@kernel
def should_stop(c):
    """Whether the stop rule says stop now."""
    rule, control = settings_of(c)[lay.RULE], control_of(c)
    if rule == lay.QUIET or rule == lay.CALLABLE or control[lay.FIRST_VOTE] < 0:
        return False
    if control[lay.IS_DECIDED]:
        return False
    arguments = arguments_of(c)
    if rule == lay.STEPS_AFTER:
        return control[lay.STEPS] - control[lay.FIRST_VOTE] >= arguments[0]
    votes = votes_of(c)
    first, second = 0, 0
    for cls in range(votes.shape[1]):
        count = votes[lay.VOTES, cls]
        if count > first:
            first, second = count, first
        elif count > second:
            second = count
    if rule == lay.VOTE_COUNT:
        return first >= arguments[0]
    lead = arguments[min(control[lay.PASS], arguments.size - 1)]
    return lead > 0 and first - second >= lead
