"""A recording of a camera that ``neuroasync watch`` shows with a shipped network."""

from neuroasync import Network
from neuroasync.shipped import shipped_bundle
from neuroasync.sources import CameraFileSource
from tests.helpers.paths import ROOT

RECORDING = ROOT / "tests" / "data" / "camera" / "dvs.es"
NETWORK = "nmnist-unlayered"
SHAPE = (2, 34, 34)


def watched(*args):
    """Return a command line that watches the recording."""
    return ("watch", NETWORK, "--camera", RECORDING, "--speed", "inf", *args)


async def streamed(window_us=50_000, **options):
    """Return the decisions of the recording by a session."""
    async with (
        Network(shipped_bundle(NETWORK)) as network,
        network.session(**options) as session,
        CameraFileSource(RECORDING, SHAPE) as source,
    ):
        stream = session.stream(source, window=f"time({window_us})")
        return [decision async for decision in stream]
