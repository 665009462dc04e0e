"""A session continues a restored stream with its own window only, and no damaged one."""

import pytest

import neuroasync as na
from tests.helpers.malformed_files import sealed, unsealed
from tests.helpers.resumable_streams import BUNDLE, TRAIN, Source


async def test_restored_stream_continues_only_with_its_window(no_leaks):
    async with na.Network(BUNDLE) as network:
        async with network.session() as session:
            stream = session.stream(Source(TRAIN, 7), window="events(9)")
            await anext(stream)
            data = session.snapshot()
            await stream.aclose()
        async with network.session() as session:
            session.restore(data)
            with pytest.raises(
                ValueError,
                match=r"^the session was restored with a stream of window='events\(9\)', "
                r"carry_state=False, got window='events\(8\)', carry_state=False; call reset\(\)",
            ):
                await anext(session.stream([], window="events(8)"))
            with pytest.raises(
                ValueError,
                match=r"^the session was restored with a stream of window='events\(9\)', carry_sta",
            ):
                await anext(session.stream([TRAIN]))
            session.restore(data)
            assert session.sample == 1
            expected = await session.decide(TRAIN)  # abandons the stream
            session.reset()
            await session.stream([], window="events(8)").aclose()
        async with network.session() as session:
            session.skip()
            assert await session.decide(TRAIN) == expected


async def damaged(change):
    """Restore a stream snapshot after ``change`` has modified its fields."""
    async with na.Network(BUNDLE) as network, network.session() as session:
        stream = session.stream(Source(TRAIN, 50), window="events(9)")
        await anext(stream)
        fields = unsealed(session.snapshot())
        await stream.aclose()
        change(fields)
        session.restore(sealed(fields))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f["stream"].pop("ahead"), r"^this is not a snapshot, or it is damaged: `stream"),
        (
            lambda f: f["stream"].update(window="weekly"),
            r"^`stream\.window` must be time\(t\) or silence\(t\) with a time of",
        ),
        (lambda f: f["stream"].update(carries=1), r"^`stream\.carries` must be true or false, got"),
        (lambda f: f["stream"].update(carries=True), r"^`counters\.carries` must be equal to `str"),
        (
            lambda f: f["stream"]["counters"].update(count=-2),
            r"^`stream\.counters\.count` must be an integer of at least -1, got -2$",
        ),
        (
            lambda f: f["stream"]["counters"].update(last_us=3),
            r"^`stream\.waiting\.t_us` must be from the start of the sample \(0\) to the last",
        ),
        (
            lambda f: f["stream"].update(ahead=[{}] * 65),
            r"^`stream\.ahead` must be a list of at most 64 chunks, got 65$",
        ),
        (lambda f: f.update(stream=5), r"^this is not a snapshot, or it is damaged: `stream` must"),
    ],
)
async def test_damaged_stream_state_is_rejected(change, message):
    with pytest.raises(na.SnapshotError, match=message):
        await damaged(change)
