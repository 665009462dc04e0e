"""Sources and sinks in an installation without extras."""

import subprocess
import sys

import pytest

from neuroasync.sources import CameraFileSource, WebsocketSource
from tests.helpers.paths import DATA


def test_sources_and_sinks_can_be_used_in_a_base_install():
    code = """\
import asyncio, sys
for extra in ("msgspec", "websockets", "faery", "h5py", "hdf5plugin"):
    sys.modules[extra] = None
from neuroasync.sinks import JsonLines, WebsocketSink, pump
from neuroasync.sources import *

async def main():
    async with UdpSource((4,)) as source:
        await send_udp([([0], [3])], (4,), *source.address)
        print((await anext(source)).index)

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[3]\n"


@pytest.mark.parametrize(
    ("missing", "source"),
    [
        ("faery", lambda: CameraFileSource(DATA / "camera" / "dvs.es", (4, 4))),
        ("websockets.asyncio.client", lambda: WebsocketSource("ws://127.0.0.1", 4)),
    ],
)
async def test_an_error_names_the_missing_extra(missing, source, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"pip install 'neuroasync\[(camera|websocket)\]'$"):
        await anext(source())
