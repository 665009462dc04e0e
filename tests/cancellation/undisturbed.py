"""The sample of the cases, and the decision of a call that nothing has cancelled."""

import neuroasync as na
from tests.helpers.small_networks import chain, sample

BUNDLE, SAMPLE = chain(), sample(events=400, duration_us=2000)
PARTS = [na.SpikeTrain(SAMPLE.t_us[a:b], SAMPLE.index[a:b]) for a, b in ((0, 150), (150, 400))]
SEED = na.sample_seed(0, 0)
_UNDISTURBED: dict[tuple[tuple[str, object], ...], na.Decision] = {}


async def same(network: na.Network, **options: object) -> None:
    """Check that a network still decides as it should, and holds no session of the call."""
    expected = await undisturbed(**options)
    assert await network.decide(SAMPLE, seed=SEED, **options) == expected
    assert network.open_sessions == 0


async def undisturbed(**options: object) -> na.Decision:
    """Return the decision that no call has cancelled."""
    key = tuple(options.items())
    if key not in _UNDISTURBED:
        async with na.Network(BUNDLE, **options) as network:
            _UNDISTURBED[key] = await network.decide(SAMPLE, seed=SEED)
    return _UNDISTURBED[key]
