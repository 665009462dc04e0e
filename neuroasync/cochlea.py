"""A cochlea-like filter bank: spike trains from sound.

1. A gammatone filter for each of 32 channels, 100 to 3,600 Hz, at equal distances on the
   ERB-rate scale; of its output the envelope. A gammatone of order 4 is four equal low-pass
   filters about a shifted frequency: the sound is multiplied by the channel's carrier, and what
   comes down to 0 Hz passes four leaky integrators.
2. A fifth leaky integrator (5 ms), read every 2 ms.
3. Level in dB, from 40 dB below the recording's loudest (as silence) up.
4. Delta code: a channel's "on" neuron spikes for each 3 dB up, its "off" neuron for each 3 dB down.

The same sound gives the same spikes on every machine: coefficients, carriers and levels are
rounded to multiples of a power of two, which leaves no room for the last bit of a ``cos``; what
remains are additions, multiplications and square roots of single numbers, which IEEE 754 fixes.

Sources:
    R. D. Patterson et al., "Complex sounds and auditory images" (1992): gammatone, b = 1.019 ERB.
    B. R. Glasberg and B. C. J. Moore, Hearing Research 47:103-138 (1990): ERB, ERB-rate scale.
    V. Hohmann, Acta Acustica 88:433-442 (2002): gammatone as a cascade, and its envelope.
"""

import math
from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.encoders import encode_delta

__all__ = [
    "CHANNELS",
    "FRAME_US",
    "centre_frequencies",
    "encode_sound",
    "erb_hz",
    "levels",
    "sound_envelopes",
]

CHANNELS: Final = 32
FRAME_US: Final = 2000
_LOWEST_HZ: Final = 100.0
_HIGHEST_HZ: Final = 3600.0
_LEAK_US: Final = 5000
_FLOOR_DB: Final = 40.0
_STEP_DB: Final = 3.0
_GRAINS: Final = 8
"""Levels are counted in this fraction of a step of the delta code."""

_ORDER: Final = 4
_TURN: Final = 2**16
"""Number of phases of a carrier."""

_BATCH: Final = 64
"""Number of sounds that are filtered together."""

Floats: TypeAlias = NDArray[np.float64]


def encode_sound(
    sounds: Sequence[ArrayLike], sample_rate_hz: int, labels: ArrayLike | None = None
) -> SpikeTrains:
    """Encode sounds by the filter bank that this module describes.

    Args:
        sounds: i16[samples] for each recording, mono. Their lengths may differ.
        sample_rate_hz: Sample rate, at least 8000 Hz and a multiple of 500 Hz, because a frame
            of 2 ms must be a whole number of samples.
        labels: [recordings], classes.

    Returns:
        Spike trains of shape (2, 32): polarity (0 off, 1 on) and channel. Times are multiples of
        2 ms, because the events of a frame have the time of its end.

    Raises:
        ValueError: There is no recording, one is not mono int16, or the sample rate is not
            supported.
    """
    silence = np.zeros((1, CHANNELS), np.int64)
    signals = [
        np.concatenate([silence, levels(envelope)])
        for envelope in sound_envelopes(sounds, sample_rate_hz)
    ]
    return encode_delta(signals, _GRAINS, FRAME_US, labels)


def erb_hz(frequency_hz: float) -> float:
    """Return the equivalent rectangular bandwidth of an auditory filter, Hz.

    Source:
        Glasberg and Moore (1990).
    """
    return 24.7 * (4.37e-3 * frequency_hz + 1)


def centre_frequencies() -> list[float]:
    """Return the channels' centre frequencies, Hz, at equal distances on the ERB-rate scale.

    Source:
        Glasberg and Moore (1990): ERB-rate = 21.4 log10(0.00437 f + 1).
    """
    low, high = (21.4 * math.log10(4.37e-3 * f + 1) for f in (_LOWEST_HZ, _HIGHEST_HZ))
    rates = [low + (high - low) * k / (CHANNELS - 1) for k in range(CHANNELS)]
    return [(10 ** (rate / 21.4) - 1) / 4.37e-3 for rate in rates]


def sound_envelopes(sounds: Sequence[ArrayLike], sample_rate_hz: int) -> list[Floats]:
    """Return each recording's envelope in each channel, at the end of each frame: f64[frames, 32].

    A tone of amplitude A at the centre frequency of a channel has an envelope of A / 2 there. The
    last frame is padded with silence.

    Raises:
        ValueError: A recording is not mono int16, or the sample rate is not supported.
    """
    if sample_rate_hz < 8000 or sample_rate_hz % 500:
        raise ValueError(f"sample_rate_hz: {sample_rate_hz}, expected from 8000, a multiple of 500")
    waves = [np.asarray(sound) for sound in sounds]
    for k, wave in enumerate(waves):
        if wave.dtype != np.int16 or wave.ndim != 1:
            found = f"{wave.dtype} of shape {wave.shape}"
            raise ValueError(f"sounds[{k}]: {found}, expected int16 in one dimension")
    frame = sample_rate_hz * FRAME_US // 10**6
    found_envelopes: list[Floats] = [np.zeros((0, CHANNELS))] * len(waves)
    # Filtering sounds of similar length together keeps the padding small.
    order = sorted(range(len(waves)), key=lambda k: waves[k].size)
    for start in range(0, len(order), _BATCH):
        batch = order[start : start + _BATCH]
        frames = -(-waves[batch[-1]].size // frame)
        block = np.zeros((frames * frame, len(batch)))
        for column, k in enumerate(batch):
            block[: waves[k].size, column] = waves[k]
        read = _filtered(block, sample_rate_hz, frame)
        for column, k in enumerate(batch):
            found_envelopes[k] = read[: -(-waves[k].size // frame), column].copy()
    return found_envelopes


def levels(envelope: Floats) -> NDArray[np.int64]:
    """Return levels above the floor in eighths of 3 dB, i64[frames, 32]; 0 is below the floor.

    The floor is 40 dB below the largest value, so the gain of the recording does not matter.
    """
    peak = envelope.max(initial=0.0)
    if peak == 0:
        return np.zeros(envelope.shape, np.int64)
    grain_db = _STEP_DB / _GRAINS
    count = int(_FLOOR_DB / grain_db)
    table = [_rounded(10 ** ((k * grain_db - _FLOOR_DB) / 20), 2**30) for k in range(1, count + 1)]
    return np.searchsorted(peak * np.array(table), envelope, side="right").astype(np.int64)


def _filtered(block: Floats, rate: int, frame: int) -> Floats:
    """Run the filters over f64[time, sounds], and return envelopes f64[frames, sounds, 32]."""
    centres = centre_frequencies()
    widths = [1.019 * erb_hz(f) for f in centres]
    turns = np.array([int(_rounded(f / rate, _TURN) * _TURN) for f in centres])  # phases a sample
    gain = np.array([_rounded(1 - math.exp(-2 * math.pi * b / rate), 2**24) for b in widths])
    leak = _rounded(1 - math.exp(-(10**6) / (rate * _LEAK_US)), 2**24)
    cosine = np.array([_rounded(math.cos(2 * math.pi * k / _TURN), 2**14) for k in range(_TURN)])
    state = np.zeros((_ORDER, 2, block.shape[1], CHANNELS))  # in phase, and a quarter turn behind
    smooth = np.zeros(state.shape[2:])
    read = np.empty((len(block) // frame, *smooth.shape))
    for t, sound in enumerate(block):
        phase = (turns * t) % _TURN
        carrier = cosine[np.stack([phase, (phase + _TURN // 4) % _TURN])]
        moved = carrier[:, None, :] * sound[:, None]
        for stage in state:
            stage += gain * (moved - stage)
            moved = stage
        squares = moved * moved
        smooth += leak * (np.sqrt(squares[0] + squares[1]) - smooth)
        if t % frame == frame - 1:
            read[t // frame] = smooth
    return read


def _rounded(value: float, parts: int) -> float:
    return round(value * parts) / parts
