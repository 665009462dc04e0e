"""A filter bank like that of the cochlea: spike trains from sound.

Sounds of all usual sample rates are encoded. If a frame of 2 ms is not a whole number of samples,
as at 11,025, 22,050 and 44,100 Hz, the sound is first resampled to 16 kHz with a windowed sinc.

The encoding has four steps.

1. The sound passes 32 gammatone filters. Their centre frequencies, from 100 Hz to 3,600 Hz, have
   equal distances on the ERB-rate scale. A gammatone filter of order 4 is a cascade of four equal
   low-pass filters around its centre frequency. The sound is therefore multiplied by the carrier
   of the channel, which shifts the centre frequency to 0 Hz, and then passes four leaky
   integrators. The magnitude of the result is the envelope.
2. A fifth leaky integrator (time constant 5 ms) smooths the envelope, which is sampled every 2 ms.
3. The envelope becomes a level in dB. All values lower than 40 dB below the maximum of the
   recording count as silence.
4. A delta code turns levels into spikes: in each channel, the "on" neuron spikes for each rise by
   3 dB, and the "off" neuron for each fall by 3 dB.

The same sound gives the same spikes on every machine. The results of ``exp``, ``log10``, ``sin``
and ``cos`` can differ in the last bit between machines, so all values computed with them are
rounded to multiples of a power of two. The other operations are additions, multiplications,
divisions and square roots, whose results IEEE 754 defines exactly.

Sources:
    R. D. Patterson et al., "Complex sounds and auditory images" (1992): gammatone, b = 1.019 ERB.
    B. R. Glasberg and B. C. J. Moore, Hearing Research 47:103-138 (1990): ERB, ERB-rate scale.
    J. O. Smith, "Digital Audio Resampling", https://ccrma.stanford.edu/~jos/resample/: resampling.
    V. Hohmann, Acta Acustica 88:433-442 (2002): gammatone as a cascade, and its envelope.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.model.checks import as_integer, must_be, shown
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
"""Time between two samples of an envelope, µs."""

_MIN_HZ: Final = 100.0
_MAX_HZ: Final = 3600.0
_LEAK_US: Final = 5000
_FLOOR_DB: Final = 40.0
_STEP_DB: Final = 3.0
_UNITS_PER_STEP: Final = 8
"""Number of level units in a step of the delta code."""

_ORDER: Final = 4
_PHASES: Final = 2**16
"""Number of phases of a carrier."""

_MIN_RATE_HZ: Final = 8000
_MAX_RATE_HZ: Final = 192_000
_TARGET_RATE_HZ: Final = 16_000
"""Rate that sounds are resampled to."""

_ZERO_CROSSINGS: Final = 32
"""Zero crossings of the resampling filter on each side of its middle."""

_KAISER_BETA: Final = 7.857
"""Form of the window of Kaiser for 80 dB of attenuation."""

_TAP_PARTS: Final = 2**20
"""Parts of 1 that taps of the resampling filter are rounded to."""

_BATCH: Final = 64
"""Number of sounds that are filtered together."""

Floats: TypeAlias = NDArray[np.float64]


def encode_sound(
    sounds: Sequence[ArrayLike], sample_rate_hz: int, labels: ArrayLike | None = None
) -> SpikeTrains:
    """Encode sounds with the filter bank that the module docstring describes.

    Args:
        sounds: i16[samples] for each recording, mono. Their lengths may differ.
        sample_rate_hz: Sample rate, from 8000 to 192000 Hz.
        labels: [recordings], classes.

    Returns:
        Spike trains of shape (2, 32): polarity (0 off, 1 on) and channel. Times are multiples of
        2 ms, because the events of a frame have the time of its end.

    Raises:
        ValueError: There is no recording, one is not mono int16, or the sample rate is not
            supported.
    """
    envelopes = sound_envelopes(sounds, sample_rate_hz)
    if not envelopes:
        raise ValueError("`sounds` must have at least one recording, got none")
    silence = np.zeros((1, CHANNELS), np.int64)
    signals = [np.concatenate([silence, levels(envelope)]) for envelope in envelopes]
    return encode_delta(signals, _UNITS_PER_STEP, FRAME_US, labels)


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
    low, high = (21.4 * math.log10(4.37e-3 * f + 1) for f in (_MIN_HZ, _MAX_HZ))
    rates = [low + (high - low) * k / (CHANNELS - 1) for k in range(CHANNELS)]
    return [(10 ** (rate / 21.4) - 1) / 4.37e-3 for rate in rates]


def sound_envelopes(sounds: Sequence[ArrayLike], sample_rate_hz: int) -> list[Floats]:
    """Return the envelope of each recording in each channel.

    A tone of amplitude A at the centre frequency of a channel has an envelope of A / 2 in that
    channel. The last frame is padded with silence.

    Args:
        sounds: i16[samples] for each recording, mono. Their lengths may differ.
        sample_rate_hz: Sample rate, from 8000 to 192000 Hz.

    Returns:
        f64[frames, 32] for each recording: the envelopes at the end of each frame.

    Raises:
        ValueError: A recording is not mono int16, or the sample rate is not supported.
    """
    rate = as_integer(sample_rate_hz)
    if rate is None or not _MIN_RATE_HZ <= rate <= _MAX_RATE_HZ:
        requirement = f"an integer from {_MIN_RATE_HZ} to {_MAX_RATE_HZ}"
        raise ValueError(must_be("sample_rate_hz", requirement, shown(sample_rate_hz)))
    waves: list[NDArray[Any]] = []
    for k, sound in enumerate(sounds):
        try:
            wave = np.asarray(sound)
        except ValueError as error:  # lists of different lengths
            requirement = "a one-dimensional int16 array"
            raise ValueError(must_be(f"sounds[{k}]", requirement, shown(sound))) from error
        if wave.dtype != np.int16 or wave.ndim != 1:
            raise ValueError(
                f"`sounds[{k}]` must be a one-dimensional int16 array, "
                f"got {wave.dtype} of shape {wave.shape}"
            )
        waves.append(wave)
    if rate * FRAME_US % 10**6:
        waves = [_resampled(wave, rate, _TARGET_RATE_HZ) for wave in waves]
        rate = _TARGET_RATE_HZ
    frame = rate * FRAME_US // 10**6  # samples per frame
    envelopes: list[Floats] = [np.zeros((0, CHANNELS))] * len(waves)
    # Filtering sounds of similar length together keeps the padding small.
    order = sorted(range(len(waves)), key=lambda k: waves[k].size)
    for start in range(0, len(order), _BATCH):
        batch = order[start : start + _BATCH]
        # The last recording of the batch is the longest. The division rounds up.
        frames = -(-waves[batch[-1]].size // frame)
        block = np.zeros((frames * frame, len(batch)))
        for column, k in enumerate(batch):
            block[: waves[k].size, column] = waves[k]
        filtered = _filtered(block, rate, frame)
        for column, k in enumerate(batch):
            envelopes[k] = filtered[: -(-waves[k].size // frame), column].copy()
    return envelopes


def levels(envelope: Floats) -> NDArray[np.int64]:
    """Return the level of each envelope value, in eighths of 3 dB above the floor.

    The floor is 40 dB below the maximum of the recording, so the gain does not change the result.

    Args:
        envelope: f64[frames, 32], the envelopes of one recording.

    Returns:
        i64[frames, 32]. Values below the floor have the level 0.

    Raises:
        ValueError: A value is below 0 or not finite.
    """
    if not np.all(np.isfinite(envelope) & (envelope >= 0)):
        raise ValueError("`envelope` must have finite values of at least 0")
    peak = envelope.max(initial=0.0)
    if peak == 0:
        return np.zeros(envelope.shape, np.int64)
    unit_db = _STEP_DB / _UNITS_PER_STEP
    count = int(_FLOOR_DB / unit_db)
    table = [_rounded(10 ** ((k * unit_db - _FLOOR_DB) / 20), 2**30) for k in range(1, count + 1)]
    return np.searchsorted(peak * np.array(table), envelope, side="right").astype(np.int64)


def _resampled(wave: NDArray[np.int16], rate: int, target: int) -> Floats:
    """Return a sound at another sample rate, f64[samples].

    All sums are sums of integers, so their order does not matter.
    """
    step, phases = rate // math.gcd(rate, target), target // math.gcd(rate, target)
    size = -(-wave.size * phases // step)
    first, phase = np.divmod(np.arange(size) * step, phases)
    taps = _resampling_taps(rate, target)
    padded = np.pad(wave.astype(np.int64), taps.shape[1])
    total = np.zeros(size, np.int64)
    for k in range(taps.shape[1]):
        # Tap k belongs to the sample ``first + k + 1 - reach``, where ``reach`` is half the number
        # of taps. The sound is padded by twice as much.
        total += taps[phase, k] * padded[first + (k + 1 + taps.shape[1] // 2)]
    return total / _TAP_PARTS


@lru_cache(maxsize=2)
def _resampling_taps(rate: int, target: int) -> NDArray[np.int64]:
    """Return the taps of the resampling filter, i64[phases, taps], in parts of 2**-20.

    Phase p interpolates at ``p / phases`` samples behind the middle tap.
    """
    phases = target // math.gcd(rate, target)
    cutoff = min(1.0, target / rate)  # Relative to half the sample rate of the sound.
    reach = math.ceil(_ZERO_CROSSINGS / cutoff)
    # Distance of each tap from the point of interpolation, in samples of the sound.
    distance = np.arange(-reach + 1, reach + 1) - np.arange(phases)[:, None] / phases
    window = np.maximum(1 - (distance / reach) ** 2, 0)
    values = cutoff * np.sinc(cutoff * distance) * _bessel(_KAISER_BETA**2 / 4 * window)
    return np.rint(values / _bessel(np.array(_KAISER_BETA**2 / 4)) * _TAP_PARTS).astype(np.int64)


def _bessel(quarter: Floats) -> Floats:
    """Return the modified Bessel function I0 of ``2 * sqrt(quarter)``, by its power series."""
    term = total = np.ones_like(quarter)
    for k in range(1, 40):
        term = term * quarter / (k * k)
        total = total + term
    return total


def _filtered(block: Floats, rate: int, frame: int) -> Floats:
    """Filter f64[samples, sounds], and return the envelopes, f64[frames, sounds, 32]."""
    centres = centre_frequencies()
    widths = [1.019 * erb_hz(f) for f in centres]
    # The phase advance of each carrier, in phases per sample.
    phase_steps = np.array([int(_rounded(f / rate, _PHASES) * _PHASES) for f in centres])
    gain = np.array([_rounded(1 - math.exp(-2 * math.pi * b / rate), 2**24) for b in widths])
    leak = _rounded(1 - math.exp(-(10**6) / (rate * _LEAK_US)), 2**24)
    cosine = np.array(
        [_rounded(math.cos(2 * math.pi * k / _PHASES), 2**14) for k in range(_PHASES)]
    )
    # The second axis holds the in-phase and the quadrature part, which together give the
    # magnitude, whatever the phase of the sound.
    state = np.zeros((_ORDER, 2, block.shape[1], CHANNELS))
    smooth = np.zeros(state.shape[2:])
    envelopes = np.empty((len(block) // frame, *smooth.shape))
    for t, sound in enumerate(block):
        phase = (phase_steps * t) % _PHASES
        carrier = cosine[np.stack([phase, (phase + _PHASES // 4) % _PHASES])]
        shifted = carrier[:, None, :] * sound[:, None]
        for stage in state:
            stage += gain * (shifted - stage)
            shifted = stage
        squares = shifted * shifted
        smooth += leak * (np.sqrt(squares[0] + squares[1]) - smooth)
        if t % frame == frame - 1:
            envelopes[t // frame] = smooth
    return envelopes


def _rounded(value: float, parts: int) -> float:
    """Round the value to a multiple of ``1 / parts``, so that every machine gets the same bits."""
    return round(value * parts) / parts
