"""Sources of events: files, cameras, sockets and custom generators.

A source is an async iterator over the chunks of one stream. Use it in ``async with``. Its
``counts`` report events that were late, lost or rejected::

    async with UdpSource(model.input_shape, port=3333) as source:
        async for chunk in source:
            await session.send(chunk)

:class:`Paced` delays the chunks of any source until they are due. :func:`buffered` reads any async
iterable in a separate task, so that a slow reader does not delay it.
"""

from neuroasync.core.events.pixel_grid import PixelGrid, View
from neuroasync.sources.array_source import ArraySource
from neuroasync.sources.base import Source
from neuroasync.sources.buffered import Buffered, buffered
from neuroasync.sources.camera_files import CameraFileSource
from neuroasync.sources.cameras.faery_streams import CameraStream
from neuroasync.sources.counts import SourceCounts
from neuroasync.sources.paced import Paced
from neuroasync.sources.spike_files import SpikeFileSource
from neuroasync.sources.udp.sender import send_udp
from neuroasync.sources.udp.source import PacketFormat, UdpSource
from neuroasync.sources.websocket import WebsocketSource

__all__ = [
    "ArraySource",
    "Buffered",
    "CameraFileSource",
    "CameraStream",
    "Paced",
    "PacketFormat",
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
