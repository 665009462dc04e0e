"""Where events come from: files, cameras, sockets, generators of your own.

Every source is an async iterator over the parts of one stream, to be used in ``async with``; what
it could not hand on is in its ``counts``::

    async with UdpSource(model.input_shape, port=3333) as source:
        async for part in source:
            await session.send(part)

:class:`Paced` holds the parts of any source back until their time; :func:`buffered` reads any
async iterable in a task of its own, so that a slow reader does not hold it up.
"""

from neuroasync.sources.base import Source
from neuroasync.sources.buffered import Buffered, buffered
from neuroasync.sources.camera_files import CameraFileSource, CameraStream, View
from neuroasync.sources.counts import SourceCounts
from neuroasync.sources.paced import Paced
from neuroasync.sources.pixel_grid import PixelGrid
from neuroasync.sources.spike_files import SpikeFileSource
from neuroasync.sources.udp import UdpSource
from neuroasync.sources.udp_sender import send_udp
from neuroasync.sources.websocket import WebsocketSource

__all__ = [
    "Buffered",
    "CameraFileSource",
    "CameraStream",
    "Paced",
    "PixelGrid",
    "Source",
    "SourceCounts",
    "SpikeFileSource",
    "UdpSource",
    "View",
    "WebsocketSource",
    "buffered",
    "send_udp",
]
