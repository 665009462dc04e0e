"""If windows carry state, they only assign votes to samples; the network runs without reset."""

import pytest

import neuroasync as na
from tests.helpers.relay_streams import at, relay, votes
from tests.helpers.small_networks import chain, sample


@pytest.mark.parametrize("engine", ["compiled", "coroutines"])
@pytest.mark.parametrize("timestep_us", [0, 1000])
async def test_delayed_spike_arrives_in_the_next_window(timestep_us, engine, no_leaks):
    bundle = relay(timestep_us=timestep_us)
    parts = [at(0, 1000), at(13_000)]
    assert await votes(bundle, parts, "time(3000)", engine=engine) == [0, 1, 1, 0, 0]
    # If samples start from rest, spikes in flight at the end of a sample are dropped.
    assert await votes(bundle, parts, "time(3000)", False, engine=engine) == [0, 0, 0, 0, 0]


@pytest.mark.parametrize("timestep_us", [0, 1000])
async def test_membrane_potentials_are_kept_from_window_to_window(timestep_us):
    bundle = relay(0, timestep_us, weight=0.3)
    assert await votes(bundle, [at(0, 4000)], "time(3000)", True) == [0, 1]
    assert await votes(bundle, [at(0, 4000)], "time(3000)", False) == [0, 0]


async def test_without_delays_windows_start_from_rest_by_default():
    assert await votes(relay(0, weight=0.3), [at(0, 4000)], "time(3000)") == [0, 0]


@pytest.mark.parametrize("engine", ["compiled", "coroutines"])
async def test_network_continues_after_the_stop_rule_has_decided(engine, no_leaks):
    """The first window is decided early, but its remaining events still reach the network."""
    parts = [at(0, 1000, 2000, 3000), at(9000)]
    network = na.Network(relay(), engine=engine, until="first-spike")
    async with network, network.session() as session:
        stream = session.stream(parts, window="time(6000)")
        found = [(int(d.votes[0]), d.t_us, d.stopped) async for d in stream]
        # Spikes arrive at 5, 6, 7 and 8 ms, and at 14 ms, when the stream is over.
        assert found == [(1, 5000, True), (1, 0, True)]
        assert session.counts == na.Counts(events=5, decisions=2)


async def test_window_until_decided_ends_with_its_timestep(no_leaks):
    parts = [at(0, 1000, 2000, 3000), at(9000), at(20_000)]
    async with na.Network(relay(), until="votes(2)") as network, network.session() as session:
        found = [d async for d in session.stream(parts, window="decided")]
    # Spikes arrive at 5, 6, 7, 8 and 14 ms. Passes up to 9 ms take place when that event is here.
    assert [(int(d.votes[0]), d.t_us, d.stopped) for d in found] == [
        (2, 6000, True),
        (1, 11_000, False),
    ]


async def test_events_of_one_timestep_belong_to_one_window(no_leaks):
    async with na.Network(relay(0)) as network, network.session() as session:
        stream = session.stream(
            [at(0, 100), at(200, 1000), at(5500)], window="events(2)", carry_state=True
        )
        found = [(d.input_events, d.passes) async for d in stream]
    assert found == [(3, 1), (2, 5)]


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ("time(1500)", r"^`window` must be a multiple of the timestep \(1000 µs\), which carry_st"),
        ("silence(999)", r"^`window` must be at least as long as the timestep \(1000 µs\), which"),
    ],
)
async def test_windows_that_carry_state_must_be_whole_timesteps(window, message):
    async with na.Network(relay()) as network, network.session() as session:
        with pytest.raises(ValueError, match=message):
            await anext(session.stream([at(0)], window=window))
        assert [d.passes async for d in session.stream([at(0)], window=window, carry_state=False)]


async def test_recording_session_rejects_carry_state():
    async with (
        na.Network(relay()) as network,
        network.session(recorder=network.recorder()) as session,
    ):
        with pytest.raises(ValueError, match=r"^a recording session cannot carry state from"):
            await anext(session.stream([at(0)], window="time(1000)"))
        stream = session.stream([at(0)], window="time(1000)", carry_state=False)
        assert [d.undelivered async for d in stream] == [1]


async def test_carry_state_needs_a_window():
    async with na.Network(relay()) as network, network.session() as session:
        with pytest.raises(ValueError, match=r"^`carry_state`, `late` and `jitter_buffer_us` need"):
            await anext(session.stream([at(0)], carry_state=True))


async def test_samples_after_a_stream_that_carries_state_start_from_rest(no_leaks):
    bundle, train = chain(), sample()
    async with na.Network(bundle) as network:
        async with network.session() as session:
            session.skip()
            expected = await session.decide(train)
        async with network.session() as session:
            async for _ in session.stream([train], window="time(1000)", carry_state=True):
                break
            session.reset()
            assert session.sample == 1
            assert await session.decide(train) == expected


@pytest.mark.parametrize("carry_state", ["yes", 1, 0, []])
async def test_carry_state_must_be_bool_or_none(carry_state):
    async with na.Network(relay()) as network, network.session() as session:
        with pytest.raises(ValueError, match=r"^`carry_state` must be True, False or None, got "):
            await anext(session.stream([at(0)], window="time(1000)", carry_state=carry_state))
