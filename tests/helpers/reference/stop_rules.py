"""Stop rules as plain functions, written from the specification."""

from collections.abc import Callable

from neuroasync.core.engine.stop_rules import Progress


def stop_rule(until: str | Callable[[Progress], bool]) -> Callable[[Progress], bool]:
    """Return the stop rule as a function of the progress of the sample."""
    if not isinstance(until, str):
        return until
    name, _, arguments = until.rstrip(")").partition("(")
    numbers = [int(number) for number in arguments.split(",") if number]
    n = numbers[0] if numbers else 0
    first_at: list[int] = []

    def steps_after_first(p: Progress) -> bool:
        if p.votes.any() and not first_at:
            first_at.append(p.steps)
        return bool(first_at) and p.steps - first_at[0] >= n

    def leads(p: Progress) -> bool:
        *_, second, maximum = sorted([0, *p.votes.tolist()])
        lead = numbers[min(p.passes, len(numbers)) - 1]
        return lead > 0 and maximum - second >= lead

    return {
        "quiet": lambda p: False,
        "first-spike": lambda p: p.votes.any(),
        "votes": lambda p: p.votes.max() >= n,
        "margin": leads,
        "steps": steps_after_first,
    }[name]
