"""The cochlea model follows its published equations."""

import math

import numpy as np
import pytest

from neuroasync import cochlea
from neuroasync.cochlea import (
    CHANNELS,
    centre_frequencies,
    encode_sound,
    erb_hz,
    levels,
    sound_envelopes,
)


def tone(hz, amplitude=8000, ms=200):
    """Return a sine tone at 8 kHz, i16[8 * ms]."""
    return np.rint(amplitude * np.sin(2 * np.pi * hz * np.arange(8 * ms) / 8000)).astype(np.int16)


def test_auditory_filter_at_1_khz_is_133_hz_wide():
    # Glasberg and Moore (1990): 24.7 * (4.37 + 1) Hz
    assert erb_hz(1000) == pytest.approx(132.639)


def test_channels_have_equal_distances_on_the_erb_rate_scale_from_100_to_3600_hz():
    centres = centre_frequencies()
    assert (centres[0], centres[-1]) == (pytest.approx(100), pytest.approx(3600))
    rates = [21.4 * math.log10(0.00437 * f + 1) for f in centres]
    assert np.diff(rates) == pytest.approx([np.diff(rates)[0]] * (CHANNELS - 1))


@pytest.mark.parametrize("channel", [0, 11, 20, 31])
def test_envelope_of_a_tone_is_half_its_amplitude_in_its_channel_and_small_elsewhere(channel):
    (envelope,) = sound_envelopes([tone(centre_frequencies()[channel])], 8000)
    steady = envelope[60:95].mean(axis=0)
    # Near 0 Hz and 4 kHz, the mirror image of the tone is also close to the channel, which explains
    # the tolerance.
    assert steady[channel] == pytest.approx(4000, rel=0.05)
    assert steady.argmax() == channel
    distant = np.abs(np.arange(CHANNELS) - channel) > 6
    assert steady[distant].max() < 400


def test_narrower_gammatone_filter_rings_longer():
    click = np.zeros(1600, np.int16)
    click[0] = 30_000
    (envelope,) = sound_envelopes([click], 8000)
    peaks = envelope.argmax(axis=0)
    # The peak of t**3 exp(-2 pi b t) is at 3 / (2 pi b): 13 ms at 100 Hz; the leaky
    # integrator delays it further. Frames have 2 ms.
    assert 6 <= peaks[0] <= 10
    assert peaks[-1] <= 2
    assert np.all(np.diff(peaks) <= 0)


def test_silence_and_an_empty_recording_give_no_spikes():
    trains = encode_sound([np.zeros(800, np.int16), np.zeros(0, np.int16)], 8000, [1, 2])
    assert [len(train) for train in trains] == [0, 0]
    assert trains.labels.tolist() == [1, 2]


def test_levels_count_eighths_of_3_db_from_40_db_below_the_maximum():
    db = np.array([0.0, -3.0, -3.01, -6.0, -39.7, -40.0, -90.0])
    # (40 + dB) / 0.375: 106.67, 98.67, 98.64, 90.67, 0.8, 0, below
    assert levels(5.0 * 10 ** (db / 20)).tolist() == [106, 98, 98, 90, 0, 0, 0]
    assert levels(np.zeros((2, 3))).tolist() == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_levels_of_what_is_no_envelope_are_refused(value):
    with pytest.raises(ValueError, match=r"^`envelope` must have finite values of at least 0$"):
        levels(np.array([[1.0, value]]))


def test_tone_gives_on_spikes_at_its_start_and_off_spikes_after_its_end():
    hz = centre_frequencies()[16]
    sound = np.concatenate([tone(hz), np.zeros(1600, np.int16)])
    trains = encode_sound([sound], 8000)
    assert trains.shape == (2, CHANNELS)
    on, off = (trains.t_us[trains.index == polarity * CHANNELS + 16] for polarity in (1, 0))
    # The level rises to 106 eighths of a step, which is 13 whole steps, and falls below the first.
    assert (len(on), len(off)) == (13, 13)
    assert on.max() < 60_000
    assert off.min() > 200_000
    assert not np.any(trains.t_us % 2000)


def test_gain_of_a_recording_does_not_change_its_spikes():
    quiet, loud = tone(500, 4000), tone(500, 4000) * 2
    assert encode_sound([quiet], 8000) == encode_sound([loud], 8000)


def test_spikes_of_a_sound_do_not_depend_on_the_other_sounds():
    sounds = [tone(300), tone(900, ms=70), tone(2500, ms=130)]
    together = encode_sound(sounds, 8000)
    assert [together[k] for k in range(3)] == [encode_sound([s], 8000)[0] for s in sounds]


def chord(rate, ms=300, silence_ms=0):
    """Return the sum of four tones below 3.6 kHz, and silence after it, f64[samples]."""
    t = np.arange(rate * ms // 1000) / rate
    tones = [np.sin(2 * np.pi * hz * t + hz) for hz in (100, 440, 1234.5, 3600)]
    return np.concatenate([4000 * np.sum(tones, axis=0), np.zeros(rate * silence_ms // 1000)])


@pytest.mark.parametrize("rate", [8012, 11025, 12345, 22050, 44100, 88200])
def test_a_resampled_sound_equals_the_one_sampled_at_16_khz(rate):
    found = cochlea._resampled(np.rint(chord(rate)).astype(np.int16), rate, 16_000)
    expected = chord(16_000)
    assert abs(found.size - expected.size) <= 2
    # The sound begins and ends abruptly, so that both ends differ.
    inner = slice(200, expected.size - 200)
    # Rounding to int16 makes errors of up to 0.5 per sample; 16,000 is the largest amplitude.
    assert np.abs(found[inner] - expected[inner]).max() < 4


@pytest.mark.parametrize("rate", [22050, 44100])
def test_a_tone_above_8_khz_is_no_part_of_the_resampled_sound(rate):
    hz = (8_600 + rate / 2) / 2
    wave = (16_000 * np.sin(2 * np.pi * hz * np.arange(rate // 4) / rate)).astype(np.int16)
    found = cochlea._resampled(wave, rate, 16_000)
    assert np.abs(found[200:-200]).max() < 4


@pytest.mark.parametrize("rate", [8012, 11025, 22050, 44100])
def test_envelopes_of_a_resampled_sound_are_those_of_the_sound_at_16_khz(rate):
    found, expected = (
        sound_envelopes([np.rint(chord(hz)).astype(np.int16)], hz)[0][:150] for hz in (rate, 16_000)
    )
    # At its start and end, the sound has frequencies up to half its sample rate.
    steady = slice(30, 140)
    assert np.abs(found[steady] - expected[steady]).max() < 2
    assert np.abs(found - expected).max() < 60


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 32000, 44100, 48000])
def test_sounds_of_all_usual_rates_are_encoded(rate):
    assert len(encode_sound([np.rint(chord(rate, 60)).astype(np.int16)], rate)[0]) > 100
    assert len(encode_sound([np.zeros(0, np.int16), np.ones(1, np.int16)], rate)) == 2


@pytest.mark.parametrize("rate", [11025, 22050, 44100])
def test_no_tap_is_so_close_to_a_rounding_tie_that_machines_could_differ(rate, monkeypatch):
    exact = []
    monkeypatch.setattr(np, "rint", lambda values: exact.append(values) or values)
    cochlea._resampling_taps.__wrapped__(rate, 16_000)
    distance = np.abs(exact[0] - np.floor(exact[0]) - 0.5)
    # The tolerance is a hundred times the error of sin in any C library.
    assert exact[0].size > 10_000
    assert np.all(distance > 2.0**20 * 2.0**-52 * 100)


def test_no_constant_is_so_close_to_a_rounding_tie_that_machines_could_differ(monkeypatch):
    values = []
    rounded = cochlea._rounded

    def record(value, parts):
        values.append((value, parts))
        return rounded(value, parts)

    monkeypatch.setattr(cochlea, "_rounded", record)
    encode_sound([tone(500, ms=10)], 8000)
    assert len(values) > 65_536
    scaled = np.array([value * parts for value, parts in values])
    distance = np.abs(scaled - np.floor(scaled) - 0.5)
    # The tolerance is a thousand times the error of exp, log10 and cos in any C library.
    assert np.all(distance > np.array([parts for _, parts in values]) * 2.0**-52 * 1000)


@pytest.mark.parametrize(
    ("sounds", "rate", "message"),
    [
        (
            [tone(500)],
            7999,
            "`sample_rate_hz` must be an integer from 8000 to 192000, got 7999",
        ),
        ([tone(500)], 192_001, "`sample_rate_hz` must be .*, got 192001"),
        ([tone(500)], 8000.0, "`sample_rate_hz` must be .*, got 8000.0"),
        (
            [tone(500), [0.5]],
            8000,
            r"`sounds\[1\]` must be a .* int16 array, got float64 of shape \(1,\)",
        ),
        (
            [np.zeros((2, 5), np.int16)],
            8000,
            r"`sounds\[0\]` must be a one-dim.*, got int16 of shape \(2, 5\)",
        ),
        ([[1, [2]]], 8000, r"`sounds\[0\]` must be a one-dim.*, got \[1, \[2\]\]"),
        ([], 8000, "`sounds` must have at least one recording, got none"),
    ],
)
def test_invalid_sound_or_sample_rate_is_rejected(sounds, rate, message):
    with pytest.raises(ValueError, match=message):
        encode_sound(sounds, rate)
