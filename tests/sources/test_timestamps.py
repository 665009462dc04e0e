"""Conversion of 32-bit timestamps to ascending times."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync import limits
from neuroasync.sources.timestamps import Stamps, ascending

WRAP = 2**32


def u32(*stamps):
    """Return timestamps as a device sends them, modulo 2**32."""
    return np.array([s % WRAP for s in stamps], np.uint32)


def placed(stamps, *values, arrived_us=0):
    """Return the stream times of a packet and its count of moved events, or None."""
    found = stamps.place(u32(*values), arrived_us)
    return None if found is None else (found[0].tolist(), found[1])


def test_times_that_go_back_are_moved_forward_and_counted():
    t_us, late = ascending(np.array([5, 3, 9, 8, 9]), 4)
    assert (t_us.tolist(), late) == ([5, 5, 9, 9, 9], 2)


def test_the_first_timestamp_maps_to_its_arrival_and_the_others_keep_their_distance():
    stamps = Stamps(1000)
    assert placed(stamps, 70, 71, 90, arrived_us=500) == ([500, 501, 520], 0)
    assert placed(stamps, 100, arrived_us=90_000) == ([530], 0)


def test_timestamps_wrap_around_within_and_between_packets():
    stamps = Stamps(1000)
    assert placed(stamps, WRAP - 2, WRAP + 1) == ([0, 3], 0)
    assert placed(stamps, WRAP + 10) == ([12], 0)
    assert placed(stamps, 2 * WRAP - 1, 2 * WRAP, arrived_us=WRAP - 11) == ([WRAP + 1, WRAP + 2], 0)
    assert stamps.jumps == 0


def test_a_device_may_be_silent_for_many_wraps():
    stamps = Stamps(1000)
    assert placed(stamps, 5, arrived_us=100) == ([100], 0)
    assert placed(stamps, 7 * WRAP + 9, arrived_us=7 * WRAP + 300) == ([7 * WRAP + 104], 0)


def test_packets_may_be_out_of_order_by_the_tolerance():
    stamps = Stamps(100)
    assert placed(stamps, 1000) == ([0], 0)
    assert placed(stamps, 900, 1010) == ([0, 10], 1)
    assert placed(stamps, 909) is None
    assert placed(stamps, 910, 1005, 1009) == ([10, 10, 10], 3)
    assert placed(stamps, 1020, 919) is None
    assert placed(stamps, 1020) == ([20], 0)


def test_a_step_back_of_less_than_a_second_is_not_a_restart():
    stamps = Stamps(100)
    placed(stamps, 10_000_000)
    for k in range(5):
        assert placed(stamps, 9_100_000 + k) is None
    assert placed(stamps, 10_000_001) == ([1], 0)


def test_a_restart_loses_one_packet_and_continues_at_the_time_of_the_clock():
    stamps = Stamps(100)
    assert placed(stamps, 50_000_000, arrived_us=0) == ([0], 0)
    assert placed(stamps, 10, 12, arrived_us=5_000) is None
    assert placed(stamps, 11, 30, arrived_us=6_000) == ([6_000, 6_019], 0)
    assert placed(stamps, 31, arrived_us=6_020) == ([6_020], 0)
    assert stamps.jumps == 1


def test_a_jump_ahead_of_the_arrivals_continues_at_the_time_of_the_clock():
    stamps = Stamps(100)
    assert placed(stamps, 3_000_000_000) == ([0], 0)
    # The shorter way around leads 1295 s ahead.
    assert placed(stamps, 20, arrived_us=10_000) is None
    assert placed(stamps, 10_020, arrived_us=20_000) == ([20_000], 0)
    assert placed(stamps, 20_020, arrived_us=30_000) == ([30_000], 0)
    assert stamps.jumps == 1


@pytest.mark.parametrize("wrong", [2**31 - 1, 2**31, 1_000_300, -1_000_051])
def test_one_packet_from_far_away_is_skipped(wrong):
    stamps = Stamps(100)
    assert placed(stamps, 0) == ([0], 0)
    assert placed(stamps, wrong, arrived_us=50) is None
    assert placed(stamps, 100, arrived_us=100) == ([100], 0)
    assert placed(stamps, wrong, arrived_us=150) is None
    assert placed(stamps, 200, arrived_us=200) == ([200], 0)
    assert stamps.jumps == 0


def test_a_packet_with_one_timestamp_far_away_is_skipped():
    stamps = Stamps(100)
    for values in ((0, 5, 2_000_000), (0, 2**31, 10), (2_000_000, 10)):
        assert placed(stamps, *values) is None
    assert placed(stamps, 20) == ([0], 0)


def test_timestamps_may_run_ahead_of_the_arrivals_by_steps_of_a_second():
    stamps = Stamps(0)
    for k in range(100):
        assert placed(stamps, k * 1_000_000) == ([k * 1_000_000], 0)


def test_random_packets_do_not_confirm_each_other():
    stamps = Stamps(100)
    placed(stamps, 0)
    for far in (900_000_000, 1_800_000_000, 2_700_000_000, 7_000_000):
        assert placed(stamps, far) is None
    assert placed(stamps, 10) == ([10], 0)


def test_a_single_stray_old_packet_does_not_look_like_a_restart():
    stamps = Stamps(100)
    placed(stamps, 50_000_000)
    assert placed(stamps, 1_000) is None
    assert placed(stamps, 50_000_010) == ([10], 0)
    assert placed(stamps, 1_050) is None
    assert placed(stamps, 50_000_020) == ([20], 0)


def test_times_above_the_maximum_are_rejected():
    stamps = Stamps(0)
    assert placed(stamps, 0, arrived_us=limits.MAX_TIME_US) == ([limits.MAX_TIME_US], 0)
    assert placed(stamps, 1) is None


packets = st.lists(st.integers(0, WRAP - 1), min_size=1, max_size=6)


@given(st.lists(st.tuples(packets, st.integers(0, 10**9)), max_size=8), st.integers(0, 2**31 - 1))
def test_any_timestamps_are_rejected_or_ascend(sent, tolerance_us):
    stamps, latest = Stamps(tolerance_us), 0
    for packet, arrived_us in sent:
        found = stamps.place(np.array(packet, np.uint32), arrived_us)
        if found is not None:
            t_us, late = found
            assert len(t_us) == len(packet)
            assert t_us[0] >= latest
            assert (np.diff(t_us) >= 0).all()
            assert 0 <= late <= len(packet)
            latest = int(t_us[-1])


@given(
    st.integers(0, WRAP - 1),
    st.lists(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=4), min_size=1, max_size=6),
)
def test_ascending_timestamps_keep_their_distances_across_wraps(first, packets):
    sizes = [len(packet) for packet in packets]
    # Steps inside a packet are short; before a packet, the device may be silent.
    steps = [
        step if k == 0 else step % 10**6 for packet in packets for k, step in enumerate(packet)
    ]
    device = first + np.cumsum([0, *steps[1:]])
    stamps, found = Stamps(0), []
    for piece in np.split(device, np.cumsum(sizes[:-1])):
        arrived_us = int(piece[0]) - first
        t_us, late = stamps.place((piece % WRAP).astype(np.uint32), arrived_us)
        assert late == 0
        found += t_us.tolist()
    assert found == (device - first).tolist()
    assert stamps.jumps == 0
