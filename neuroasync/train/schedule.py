"""Schedules of the learning rate and of the weight of the spike penalty."""

import math

__all__ = ["learning_rate_factor", "penalty_factor"]


def learning_rate_factor(step: int, steps: int, warmup: float) -> float:
    """Return the factor of the learning rate: a linear warm-up, then a cosine down to 0.

    Args:
        step: Number of the optimiser step, from 0.
        steps: Number of optimiser steps in the whole training.
        warmup: Fraction of the training that the warm-up takes, from 0 to 1.

    Source:
        Loshchilov and Hutter, SGDR, ICLR 2017, arXiv 1608.03983, equation 5, without restarts.
    """
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    done = (step - rising) / max(1, steps - rising)
    return 0.5 * (1 + math.cos(math.pi * done))


def penalty_factor(step: int, steps: int, off_until: float = 0.1, full_from: float = 0.4) -> float:
    """Return the factor of the spike penalty: 0 at first, then a linear ramp, then 1.

    A full penalty from the start would silence a network that has not learned anything yet.

    Args:
        step: Number of the optimiser step, from 0.
        steps: Number of optimiser steps in the whole training.
        off_until: Fraction of the training at which the ramp starts, from 0 to 1.
        full_from: Fraction of the training at which the ramp ends.
    """
    done = step / max(1, steps)
    if done < off_until:
        return 0.0
    if done >= full_from:
        return 1.0
    return (done - off_until) / (full_from - off_until)
