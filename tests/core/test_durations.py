"""Durations in µs, as text and as timedelta mean the same integer, and nothing is rounded."""

from datetime import timedelta
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import neuroasync as na
from neuroasync.core.durations import microseconds, optional_microseconds
from neuroasync.encoders import encode_latency
from neuroasync.runtime.clock import ManualClock, VirtualClock
from neuroasync.sources import Paced, SpikeFileSource, UdpSource
from tests.helpers.small_networks import chain, sample

BUNDLE, SAMPLE = chain(), sample()
UNITS = {"us": 1, "µs": 1, "μs": 1, "ms": 1000, "s": 1_000_000}


@pytest.mark.parametrize(
    ("value", "us"),
    [
        (0, 0),
        (1500, 1500),
        (np.int64(7), 7),
        (np.uint16(65535), 65535),
        ("20ms", 20_000),
        ("20 ms", 20_000),
        ("50us", 50),
        ("50µs", 50),
        ("50μs", 50),
        ("1.5s", 1_500_000),
        ("0.001ms", 1),
        ("1.500000000ms", 1500),
        ("2.0us", 2),
        ("9007199254.740992s", 2**53),
        (timedelta(milliseconds=20), 20_000),
        (timedelta(days=1, microseconds=1), 86_400_000_001),
    ],
)
def test_each_form_gives_the_same_microseconds(value, us):
    found = microseconds(value, "t")
    assert found == us
    assert type(found) is int


@given(st.integers(0, 2**53))
def test_texts_and_timedeltas_are_exact(us):
    assert microseconds(timedelta(microseconds=us), "t") == us
    assert microseconds(f"{us // 10**6}.{us % 10**6:06}s", "t") == us
    assert microseconds(f"{us // 1000}.{us % 1000:03}ms", "t") == us


@given(st.integers(0, 10**9), st.text("0123456789", max_size=9), st.sampled_from(list(UNITS)))
def test_a_text_is_the_number_it_says_or_an_error(whole, fraction, unit):
    text = f"{whole}.{fraction}{unit}" if fraction else f"{whole}{unit}"
    exact = (whole + (Fraction(int(fraction), 10 ** len(fraction)) if fraction else 0)) * UNITS[
        unit
    ]
    if exact.denominator == 1 and exact <= 2**53:
        assert microseconds(text, "t") == exact
    else:
        with pytest.raises(ValueError, match=r"^`t` must be "):
            microseconds(text, "t")


NO_DURATION = st.one_of(
    st.text().filter(lambda text: not text.endswith("s")),
    st.floats(), st.none(), st.booleans(), st.binary(), st.complex_numbers(),
)  # fmt: skip


@given(NO_DURATION)
def test_anything_else_is_an_error_that_names_the_argument(value):
    with pytest.raises(ValueError, match=r"\A`window_us` must be .*\Z"):
        microseconds(value, "window_us")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("20", "`t` must be a whole number of µs with a unit, such as '50us', '20ms' or '1.5s', "
         "got '20'"),
        ("1.5us", "`t` must be a whole number of µs with a unit, such as '50us', '20ms' or "
         "'1.5s', got '1.5us'"),
        ("-1ms", "`t` must be a whole number of µs with a unit, such as '50us', '20ms' or "
         "'1.5s', got '-1ms'"),
        ("٢ms", "`t` must be a whole number of µs with a unit, such as '50us', '20ms' or "
         "'1.5s', got '٢ms'"),
        (1.5, "`t` must be an integer of µs, a text such as '20ms', or a timedelta, got 1.5"),
        (True, "`t` must be an integer of µs, a text such as '20ms', or a timedelta, got True"),
        (np.zeros(2, int), "`t` must be an integer of µs, a text such as '20ms', or a timedelta, "
         "got array([0, 0])"),
        (-1, "`t` must be an integer of at least 0, got -1"),
        (timedelta(microseconds=-1), "`t` must be at least 0 µs, got -1 day, 23:59:59.999999"),
        (2**53 + 1, f"`t` must be an integer of at most {2**53}, got {2**53 + 1}"),
        ("9999999999s", f"`t` must be at most {2**53} µs, got 9999999999s"),
    ],
)  # fmt: skip
def test_errors_say_what_is_allowed(value, message):
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        microseconds(value, "t")
    assert str(raised.value) == message


def test_none_is_no_duration():
    assert optional_microseconds(None, "t") is None
    assert optional_microseconds("1ms", "t") == 1000


@pytest.mark.parametrize("duration", [20_000, "20ms", "0.02s", timedelta(milliseconds=20)])
async def test_network_and_session_take_every_form(duration, no_leaks):
    async with na.Network(BUNDLE) as network, network.session() as session:
        expected = await network.decide(SAMPLE, duration_us=20_000)
        recorder = network.recorder()
        assert await network.decide(SAMPLE, duration_us=duration, recorder=recorder) == expected
        assert recorder.finish().duration(0) == 20_000
        assert await network.decide_all([SAMPLE], duration_us=duration, seed=0) == [
            await network.decide(SAMPLE, duration_us=20_000, seed=na.sample_seed(0, 0))
        ]
        expected = await session.decide(SAMPLE, duration_us=duration)
        assert expected.passes == 20
        session.reset()
        await session.send(SAMPLE)
        assert (await session.finish_sample(duration)).passes == 20
        last = [d async for d in session.watch(SAMPLE, duration_us=duration)][-1]
        assert last.passes == 20
        await session.advance(duration)
        assert (await session.finish_sample("30ms")).passes == 30


@pytest.mark.parametrize("window", ["time(5000)", "time(5ms)", "time(0.005s)", "time(5000us)"])
async def test_windows_may_have_a_unit(window, no_leaks):
    assert na.parse_window(window) == na.Window("time", 5000)
    async with na.Network(BUNDLE) as network, network.session() as session:
        expected = [d async for d in session.stream([SAMPLE], window="time(5000)")]
        async with network.session() as other:
            assert [d async for d in other.stream([SAMPLE], window=window)] == expected


@pytest.mark.parametrize("window", ["time(0ms)", "events(5ms)", "silence(1.5us)", "time()", "time"])
def test_windows_reject_what_is_no_duration(window):
    with pytest.raises(
        ValueError, match=r"^`window` must be time\(t\) or silence\(t\) with a time"
    ):
        na.parse_window(window)


async def test_clocks_and_sources_take_every_form():
    clock = ManualClock()
    await clock.advance("20ms")
    await clock.advance(timedelta(microseconds=5))
    assert clock.now_us() == 20_005
    Paced(_nothing(), VirtualClock(), every_us="2ms")
    SpikeFileSource("spikes.npz", period_us="20ms")
    UdpSource((4,), tolerance_us="1ms")
    for make in (
        lambda: Paced(_nothing(), VirtualClock(), every_us="0ms"),
        lambda: SpikeFileSource("spikes.npz", period_us="20"),
        lambda: UdpSource((4,), tolerance_us="1h"),
    ):
        with pytest.raises(ValueError, match=r"^`(every|period|tolerance)_us` must be "):
            make()


def test_encoders_take_every_form():
    assert encode_latency([[0.5]], 4, "1ms") == encode_latency([[0.5]], 4, 1000)


def test_files_keep_integers(tmp_path):
    with pytest.raises(na.ModelError, match="`timestep_us` must be an integer of at least 0"):
        na.Model("1ms", (1,), (), (), "output")


async def _nothing():
    return
    yield
