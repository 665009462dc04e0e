"""The context of the CUDA kernels: addresses and numbers, as one i64 array.

``source`` generates constants such as ``CONTEXT_WEIGHTS`` from these columns. B is the number of
samples, T the maximum number of passes, N the number of neurons, P that of populations, and C that
of connections. The capacities of the record are per sample.
"""

from typing import Final, NamedTuple

__all__ = ["SEVERAL", "STATUS_COLUMNS", "CudaContext", "Status"]

SEVERAL: Final = -2


class _CudaContext(NamedTuple):
    POPULATIONS: int = 0
    """i32[P + 1, 26], the table of ``neuroasync.core.kernels.layout``."""
    CONNECTIONS: int = 1
    """i32[C, 18], the same; but the column ``DELAY`` counts passes."""
    LINKS: int = 2
    """i32[..]"""
    OWNER: int = 3
    """i32[N], population of each neuron."""
    WEIGHTS: int = 4
    """f32[W]"""
    THRESHOLDS: int = 5
    """f32[N]"""
    DECAYS: int = 6
    """f32[D, N], decay factors of each distinct interval between passes."""
    DECAY_OF: int = 7
    """i32[B, T], row of ``DECAYS`` for the interval before each pass."""
    DUE: int = 8
    """i32[..], connections with a delay: by descending delay, then in declared order."""
    DUE_COUNT: int = 9
    NEURONS: int = 10
    POPULATION_COUNT: int = 11
    CONNECTION_COUNT: int = 12
    OUTPUT: int = 13
    """Position of the output population."""
    CLASSES: int = 14
    WEIGHT_COUNT: int = 15
    """W"""
    POLICY: int = 16
    """A ``PolicyCode``."""
    GROUP_SIZE: int = 17
    QUEUED: int = 18
    """1 if input is queued."""
    MAX_STEPS: int = 19
    NOISE: int = 20
    """Bits of an f64: noise of the momentum order."""
    DROPOUT: int = 21
    """Bits of an f64: probability that a spike leaves its neuron non-refractory."""
    SAMPLES: int = 22
    """B"""
    TIMESTEPS: int = 23
    """T"""
    SEEDS: int = 24
    """u64[B]"""
    PASSES: int = 25
    """i32[B], number of passes of each sample."""
    INPUT_STARTS: int = 26
    """i32[B * T + 1], where the input of each pass starts."""
    INPUT_ORIGIN: int = 27
    """i32[..], N + input index."""
    INPUT_COUNT: int = 28
    """i32[..], number of events."""
    QUEUED_EVENTS: int = 29
    """E: maximum number of queued input events in a pass."""
    KEEPS: int = 30
    """1 if the record is kept for the backward pass."""
    ROWS: int = 31
    """Capacity for spikes that fired."""
    ROW_NEURON: int = 32
    """i32[B, rows], 2 * neuron, plus 1 if the spike made it refractory."""
    ROW_POTENTIAL: int = 33
    """f32[B, rows], potential before the reset."""
    SLOTS: int = 34
    """Capacity for delivered spike events."""
    SLOT: int = 35
    """i32[B, slots, 4]: origin, multiplicity, connection by which it arrives or -1, population."""
    STEPS: int = 36
    """Capacity for forward steps, the input groups included."""
    STEP_ROWS: int = 37
    """i32[B, steps], first row of each step."""
    STEP_SLOTS: int = 38
    """i32[B, steps], first slot of each step."""
    TURNS: int = 39
    """Capacity for turns under layer-sync."""
    TURN: int = 40
    """i32[B, turns, 5]: population, step, and its first row, potential and slot."""
    POTENTIALS: int = 41
    """Capacity for the potentials of turns."""
    TURN_POTENTIALS: int = 42
    """f32[B, potentials]"""
    PASS_STEPS: int = 43
    """i32[B, T + 1], first step of each pass."""
    PASS_TURNS: int = 44
    """i32[B, T + 1], first turn of each pass."""
    PEAKS: int = 45
    """f32[B, T, N], highest potential at which a neuron stayed silent."""
    PEAK_STEPS: int = 46
    """i32[B, T, N], its step; -1 if nothing reached the neuron, -2 if it fired."""
    FIRST: int = 47
    """i32[B, T, P], step in which a population was first evaluated, or -1."""
    AFTER: int = 48
    """i32[B, T, P], late step after which the sites of an unevaluated population lie; -1: none."""
    VOTES: int = 49
    """f32[B, T, classes]"""
    SPIKES: int = 50
    """f32[B, T, P]"""
    LABELS: int = 51
    """i64[B]"""
    STATUS: int = 52
    """i32[B, 6], see ``Status``."""
    STATE: int = 53
    """State of the blocks in global memory, or 0 if it is in shared memory."""
    STATE_BYTES: int = 54
    """Bytes per block."""
    RING: int = 55
    """1 + the longest delay in passes."""
    GRAD_VOTES: int = 56
    """f32[B, T, classes]"""
    GRAD_SPIKES: int = 57
    """f32[B, T, P]"""
    SURROGATE: int = 58
    """See ``neuroasync.train.kernels.surrogate``."""
    SLOPE: int = 59
    """Bits of an f64."""
    GRADS: int = 60
    """f32[G, W], a buffer for each block of the backward pass."""
    GRAD_COUNT: int = 61
    """G"""
    GRAD: int = 62
    """f32[W], their sum."""
    ROUTES: int = 63
    """i32[P + 1, P], the connection without delay from one population to another; -1 if there is
    none, ``SEVERAL`` if there are several."""
    RULE: int = 64
    """A ``RuleCode``: the stop rule. ``decide_samples`` alone uses this entry and the following."""
    RULE_ARGUMENTS: int = 65
    """i64[..]"""
    RULE_ARGUMENT_COUNT: int = 66
    HEADS: int = 67
    """i64[B, words], the first words of a session's memory after each sample, from which decisions
    are made; initially 0."""
    HEAD_WORDS: int = 68
    """Words of a head."""
    HEAD_VOTES: int = 69
    """Position of the votes in a head."""
    HEAD_SPIKES: int = 70
    """Position of the spikes in a head."""


CudaContext: Final = _CudaContext()


class _Status(NamedTuple):
    """Columns of a sample's status after the forward passes."""

    CODE: int = 0
    """0: completed; 1: the record was too small; 2: a pass took too many steps."""
    ROWS: int = 1
    """Entries of each part of the record that the sample used, or of which it needed at least so
    many."""
    SLOTS: int = 2
    STEPS: int = 3
    TURNS: int = 4
    POTENTIALS: int = 5
    PASS: int = 1
    """If it took too many steps: the pass, and the population that fired last or -1."""
    OWNER: int = 2


Status: Final = _Status()
STATUS_COLUMNS: Final = 6
