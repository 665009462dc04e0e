"""What changes during training: the learning rate, and the weight of the spike penalty."""

import math

__all__ = ["learning_rate_factor", "penalty_factor"]


def learning_rate_factor(step: int, steps: int, warmup: float) -> float:
    """Factor of the learning rate: a linear warm-up, then a cosine down to 0.

    Args:
        step: from 0.
        steps: of the whole training.
        warmup: part of it that the warm-up takes, 0 to 1.

    Source:
        Loshchilov and Hutter, SGDR, ICLR 2017, arXiv 1608.03983, equation 5, without restarts.
    """
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    done = (step - rising) / max(1, steps - rising)
    return 0.5 * (1 + math.cos(math.pi * done))


def penalty_factor(step: int, steps: int, off_until: float = 0.1, full_from: float = 0.4) -> float:
    """Factor of the spike penalty: 0 at first, a linear ramp, then 1.

    At full strength from the start it would silence a network that has not learned yet.

    Args:
        step: from 0.
        steps: of the whole training.
        off_until: part of it, 0 to 1, without penalty.
        full_from: part of it from which on the penalty is full.
    """
    done = step / steps
    if done < off_until:
        return 0.0
    if done >= full_from:
        return 1.0
    return (done - off_until) / (full_from - off_until)
