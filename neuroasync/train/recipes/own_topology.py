"""Topology texts for the user's data: a default network, and a good output for any network.

Networks are more accurate without layer synchronization if their output neurons can vote several
times in a pass, and if every population has a direct connection to the output. The recipes of the
data sets are built this way; these functions do the same for a network of the user.
"""

import math
from typing import Final

import numpy as np

from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.model.neurons import LIF
from neuroasync.core.model.topology import parse_topology
from neuroasync.core.model.topology_lexer import Item, split_items
from neuroasync.errors import ModelError

__all__ = ["VOTING", "default_topology", "with_good_output"]

VOTING: Final = "refractory=false reset=subtract"
"""Output neurons that can vote more than once in a pass."""

_VOTING_KEYS: Final = ("refractory", "reset")
_OUTPUT_DECAY: Final = 0.6
"""Decay of the output for labels over time."""
_WHY_VOTING: Final = "added: can vote more than once per pass"
_WHY_ARROW: Final = "added: votes without waiting for the populations between"
_MAX_PASSES: Final = 200
"""Passes of an ordinary sample up to which the times of the events are kept exactly."""
_PASSES: Final = 50
"""Passes of an ordinary sample with more exact times."""
_MAX_SHORTER: Final = 10
"""Factor by which a timestep may become shorter so that it divides the interval of labels."""


def default_topology(samples: SpikeTrains) -> str:
    """Return a topology text for samples: three hidden populations of 64 neurons and an output.

    The timestep is the largest of which all times are multiples. If half of the samples would then
    have more than 200 passes, it is one of the form 1, 2 or 5 times a power of ten with which half
    of the samples have about 50 passes or fewer. With labels over time, it is the largest divisor
    of their interval up to that, or the next larger one if that is much shorter, and the output
    forgets faster.

    Args:
        samples: Training samples with labels.

    Raises:
        ModelError: The input is so large that the network has more weights than a bundle holds.
    """
    shape = "x".join(map(str, samples.shape))
    over = samples.labels_over_time
    labels = samples.labels if over is None else over.labels
    classes = 1 if labels is None else int(labels.max(initial=0)) + 1
    timestep_us, decay = _timestep_us(samples), ""
    if over is not None:
        # A vote against a class must be forgotten when the class changes.
        decay = f" decay={_OUTPUT_DECAY}"
        timestep_us = _divisor_near(over.every_us, timestep_us)
    text = (
        f"timestep_us={timestep_us}; input {shape}; "
        f"hidden1 d64; hidden2 d64; hidden3 d64; output d{classes}{decay}"
    )
    try:
        parse_topology(text)
    except ModelError as error:
        raise ModelError(
            f"the default network does not fit an input of {shape}; choose a topology, for "
            f"example with convolutions ({error})"
        ) from None
    return text


def _timestep_us(samples: SpikeTrains) -> int:
    used = samples.offsets[1:] > samples.offsets[:-1]
    if not used.any():
        return 1000
    lasts = np.sort(samples.t_us[samples.offsets[1:][used] - 1])
    usual = int(lasts[(lasts.size - 1) // 2])
    exact = int(np.gcd.reduce(samples.t_us))
    if exact and usual <= _MAX_PASSES * exact:
        return exact
    smallest = max(1, math.ceil(usual / _PASSES))
    power = int(10 ** (len(str(smallest)) - 1))
    return power * next(k for k in (1, 2, 5, 10) if power * k >= smallest)


def _divisor_near(number: int, highest: int) -> int:
    """Return the largest divisor of ``number`` up to ``highest``, or else the next larger one.

    The next larger one is taken if the other is far below ``highest``. Otherwise an interval that
    is a prime number of µs would give a pass for each µs.
    """
    small = np.arange(1, math.isqrt(number) + 1)
    small = small[number % small == 0]
    divisors = np.concatenate([small, number // small])
    low = int(divisors[divisors <= highest].max())
    if low * _MAX_SHORTER >= highest or highest >= number:
        return low
    return int(divisors[divisors > highest].min())


def with_good_output(topology: str) -> str:
    """Return a topology text whose output votes repeatedly, with connections from all populations.

    An output whose ``reset`` or ``refractory`` the text sets keeps them, and a network with an
    arrow to the output keeps its arrows. A comment explains what was added.

    Args:
        topology: Topology text.

    Raises:
        ModelError: The text cannot be parsed.
    """
    model = parse_topology(topology)
    items = split_items(topology)
    *hidden, output = (item for item in items if item.kind == "population")
    is_set = any(
        key in item.settings
        for item in (*(item for item in items if item.kind == "settings"), output)
        for key in _VOTING_KEYS
    )
    fires = isinstance(model.populations[model.index(model.output)].neuron, LIF)
    lines = []
    for item in items:
        adds = item is output and fires and not is_set
        lines.append(f"{_text(item)} {VOTING}  # {_WHY_VOTING}" if adds else _text(item))
    has_arrow = any(item.kind == "arrow" and item.words[2] == model.output for item in items)
    if not has_arrow:
        # The last hidden population is connected to the output already.
        names = [item.words[0] for item in hidden[:-1]]
        lines += [f"{name} -> {model.output}  # {_WHY_ARROW}" for name in names]
    return "\n".join(lines)


def _text(item: Item) -> str:
    return " ".join([*item.words, *(f"{key}={value}" for key, value in item.settings.items())])
