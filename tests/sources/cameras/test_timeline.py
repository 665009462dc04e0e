"""Times of cameras with damaged, restarted and wrapping clocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync.sources.cameras.timeline import Timeline

S = 1_000_000


def placed(*chunks, bits=64):
    """Return all times of a recording with its numbers of late events and of jumps."""
    timeline = Timeline(bits)
    found = [timeline.place(np.array(chunk, np.int64)) for chunk in chunks]
    found.append(timeline.place(np.empty(0, np.int64), is_end=True))
    times = [t for part in found for t in part.t_us.tolist()]
    return times, sum(part.late for part in found), sum(part.jumps for part in found)


def test_times_count_from_the_first_event():
    assert placed([700, 750], [], [760]) == ([0, 50, 60], 0, 0)
    assert placed([]) == ([], 0, 0)


def test_late_events_are_moved_forward_to_the_latest_time():
    assert placed([100, 300], [200, 400], [350, 410]) == ([0, 200, 200, 300, 300, 310], 2, 0)


def test_one_damaged_timestamp_is_moved_and_the_others_keep_their_distances():
    expected = [0, 10, 10, 20, 39_990, 499_990]
    for wrong in (900 * S, 10**15, 70 * S, 3 * S, -(10**9)):
        assert placed([10, 20, wrong, 30, 40_000, 500_000]) == (expected, 1, 0)


def test_several_damaged_timestamps_are_moved():
    assert placed([0, 10, 900 * S, 7, 20, 5 * S, -S, 10**18, 30]) == (
        [0, 10, 10, 10, 20, 20, 20, 20, 30],
        5,  # The time 7 is only late.
        0,
    )


def test_a_block_of_zeros_is_moved():
    normal = np.arange(5 * S, 5 * S + 3000)
    times, late, jumps = placed([*normal[:1000], *[0] * 512, *normal[1000:]])
    assert times == [*range(1000), *[999] * 512, *range(1000, 3000)]
    assert (late, jumps) == (512, 0)


@pytest.mark.parametrize("wrong", [900 * S, -900 * S, 10**15])
def test_a_damaged_first_timestamp_leaves_no_gap(wrong):
    assert placed([wrong, 10, 20, 50]) == ([0, 0, 10, 40], 0, 1)


@pytest.mark.parametrize("wrong", [900 * S, -900 * S])
def test_a_damaged_last_timestamp_leaves_no_gap(wrong):
    assert placed([0, 10, 20, wrong]) == ([0, 10, 20, 20], 0, 1)


def test_a_restarted_clock_goes_on_at_the_latest_time():
    half = S // 2
    first, second = [0, half, S, 3 * half], [[0, half], [S, 3 * half]]
    expected = [0, half, S, 3 * half, 3 * half, 2 * S, 5 * half, 3 * S]
    assert placed(first, *second) == (expected, 0, 1)


def test_a_clock_may_restart_again_and_again():
    run = list(range(0, S, 1000))
    times, late, jumps = placed(run * 3)
    assert times == [t + k * 999_000 for k in range(3) for t in run]
    assert (late, jumps) == (0, 2)


def test_a_jump_ahead_of_hours_leaves_no_gap():
    run = list(range(0, S, 1000))
    times, late, jumps = placed(run, [t + 10_000 * S for t in run])
    assert times == [t + k * 999_000 for k in range(2) for t in run]
    assert (late, jumps) == (0, 1)


def test_silence_of_seconds_is_kept():
    assert placed([0], [5 * S], [6 * S, 30 * S]) == ([0, 5 * S, 6 * S, 30 * S], 0, 0)
    sparse = list(range(0, 300 * S, 3 * S))
    assert placed(sparse) == (sparse, 0, 0)


def test_damage_is_recognised_in_a_sparse_recording():
    times = [0, 5 * S, 300 * S, 6 * S, 7 * S]
    assert placed(times) == ([0, 5 * S, 5 * S, 6 * S, 7 * S], 1, 0)


@pytest.mark.parametrize("bits", [24, 32, 34])
def test_a_clock_wraps_around(bits):
    wrap = 2**bits
    device = np.array([wrap - 20, wrap - 10, wrap + 5, wrap + S, 2 * wrap - S])
    device = np.concatenate([device[:4], np.arange(device[3], 3 * wrap, 1.9 * S)[1:40]])
    expected = (device - device[0]).astype(np.int64).tolist()
    assert placed((device % wrap).astype(np.int64).tolist(), bits=bits) == (expected, 0, 0)


def test_a_late_event_at_a_wrap_is_late():
    assert placed([2**24 - 10, 5, 2**24 - 5, 7], bits=24) == ([0, 15, 15, 17], 1, 0)


def test_random_bytes_leave_no_gaps_of_hours():
    rng = np.random.default_rng(0)
    normal = np.arange(0, 50_000, 10)
    garbage = rng.integers(0, 2**32, 20_000)
    times, late, jumps = placed(normal, garbage, normal + 51_000, bits=32)
    assert times[-1] < 3600 * S
    assert times == sorted(times)
    assert late + jumps > 19_000


steps = st.lists(
    st.one_of(
        st.integers(0, 1000),
        st.sampled_from(
            [-50_000, -100_001, 15_000, 2 * S + 1, -5 * S, 100 * S, -100 * S, -(2**31)]
        ),
    ),
    max_size=40,
)


@given(steps, st.sampled_from([24, 32, 34, 64]), st.data())
def test_times_ascend_whatever_the_clock_does_and_however_it_is_divided(steps, bits, data):
    device = np.cumsum(np.array([2**40, *steps], np.int64))
    if bits < 64:
        device %= 2**bits
    cuts = data.draw(st.lists(st.integers(0, device.size), max_size=4).map(sorted))
    whole = placed(device, bits=bits)
    assert placed(*np.split(device, cuts), bits=bits) == whole
    times, late, jumps = whole
    assert len(times) == device.size
    assert times == sorted(times)
    assert 0 <= late <= device.size
    assert jumps <= sum(not 0 <= step <= S for step in steps)


@given(st.lists(st.integers(0, 2 * S), max_size=30), st.integers(-(2**62), 2**62))
def test_ascending_times_keep_their_distances(steps, start):
    expected = np.cumsum([0, *steps])
    assert placed(start + expected) == (expected.tolist(), 0, 0)
    assert placed((start + expected) % 2**24, bits=24) == (expected.tolist(), 0, 0)
