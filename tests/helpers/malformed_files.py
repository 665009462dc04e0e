"""Build files that the package's writers would not write, for tests of the readers.

``seal`` and ``sealed`` add a valid digest to any bytes, so that damage reaches the decoder and the
checks after it. ``pack`` packs like msgpack, and also maps with a repeated key. ``archive`` and
``npy`` build an .npz file from raw parts.
"""

import hashlib
import io
import struct
import zipfile

import msgpack
import numpy as np

from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.bundle import (
    Bundle,
    Calibration,
    GoldenSample,
    PolicySpec,
    dump_bundle,
)
from neuroasync.core.model.connections import Conv2d, Dense, Sparse
from neuroasync.core.model.model import Model, Population
from neuroasync.core.model.neurons import LIF


class Pairs(list):
    """A map as (key, value) pairs, in which a key may be repeated."""


def pack(value) -> bytes:
    """Pack maps, lists and scalars as msgpack does; ``Pairs`` as a map."""
    packer = msgpack.Packer()
    if isinstance(value, dict):
        value = Pairs(value.items())
    if isinstance(value, Pairs):
        entries = b"".join(pack(key) + pack(entry) for key, entry in value)
        return packer.pack_map_header(len(value)) + entries
    if isinstance(value, list):
        return packer.pack_array_header(len(value)) + b"".join(map(pack, value))
    return packer.pack(value)


def seal(network: bytes) -> bytes:
    """Return a bundle with the body ``network`` and a valid digest."""
    digest = hashlib.sha256(network).digest()
    return pack({"format": "neuroasync-bundle", "version": 1, "sha256": digest, "network": network})


def unsealed(snapshot: bytes) -> dict:
    """Return the inner map of a snapshot."""
    return msgpack.unpackb(msgpack.unpackb(snapshot)["session"])


def sealed(session: dict | bytes, changes: dict | None = None) -> bytes:
    """Return a snapshot of ``session`` with a valid digest, then ``changes`` to its outer map."""
    data = session if isinstance(session, bytes) else msgpack.packb(session)
    fields = {"format": "neuroasync-session", "version": 2}
    fields |= {"sha256": hashlib.sha256(data).digest(), "session": data}
    return msgpack.packb(fields | (changes or {}))


def body_of(bundle: Bundle) -> dict:
    """Return the body of a bundle as mutable maps and lists."""
    return msgpack.unpackb(msgpack.unpackb(dump_bundle(bundle))["network"])


def rich_bundle() -> Bundle:
    """Return a bundle that uses every field of the format."""
    populations = (
        Population("conv", (2, 3, 3), LIF(1000.0, np.full((2, 3, 3), 0.5, np.float32))),
        Population("hidden", (5,), LIF(np.full(5, 20_000.0, np.float32), 1.0, "subtract", False)),
        Population("out", (3,), LIF(sync_threshold=2)),
    )
    connections = (
        Conv2d("input", "conv", np.full((2, 1, 2, 2), 0.25), bias=np.array([0.5, -0.5])),
        Sparse(
            "conv",
            "hidden",
            np.arange(19).clip(0, 4),
            np.array([0, 2, 4, 1]),
            np.array([1.0, -1.0, 0.5, 0.0]),
        ),
        Dense("hidden", "out", np.arange(15).reshape(3, 5) / 64, bias=np.zeros(3)),
        Dense("hidden", "hidden", np.eye(5) / 64, delay_us=2000),
    )
    model = Model(1000, (1, 4, 4), populations, connections, "out")
    golden = (
        GoldenSample(SpikeTrain([0, 10, 2500], [3, 15, 0]), PolicySpec("fifo", 8), 7, 2, bytes(32)),
        GoldenSample(SpikeTrain([], []), PolicySpec("momentum", 1, "queued", 0.5), 2**64 - 1),
    )
    meta = {"data_set": "synthetic", "accuracy": 0.5, "seed": 3, "note": None, "final": True}
    policy = PolicySpec("random", 4, "queued")
    calibration = (
        Calibration(0.9, 0.04, 0.925, 200, (3, 2), policy),
        Calibration(0.9, 0.0, 1.0, 2**53, (0, 5), PolicySpec("momentum", 1, "queued", 0.5)),
    )
    return Bundle(model, ("cat", "dog", "fish"), policy, golden, meta, calibration)


def some_spikes() -> SpikeTrains:
    """Return four samples, one of them empty."""
    return SpikeTrains(
        np.array([0, 5, 5, 900, 2, 3, 1]),
        np.array([0, 5, 2, 1, 3, 3, 4]),
        np.array([0, 4, 4, 6, 7]),
        np.array([2, 0, 1, 1]),
        (2, 3),
    )


def npy(array) -> bytes:
    """Return an array as numpy writes it, pickled if its type requires it."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array))
    return file.getvalue()


def npy_raw(header: str, data: bytes = b"") -> bytes:
    """Return a .npy file of format 1.0 with any header."""
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def npy_header(descr: str, shape: str, order: str = "False") -> str:
    """Return the header that numpy writes."""
    return f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"


def spike_members(**changes) -> dict[str, bytes]:
    """Return the entries of a spike file; ``name=bytes`` replaces one, ``name=None`` removes it."""
    spikes = some_spikes()
    members = {
        "t_us": npy(spikes.t_us),
        "index": npy(spikes.index.astype(np.uint32)),
        "offsets": npy(spikes.offsets),
        "labels": npy(spikes.labels),
        "shape": npy(np.array(spikes.shape)),
    }
    return {k: v for k, v in (members | changes).items() if v is not None}


def archive(members, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip file with an entry ``name.npy`` for each of ``members`` (a dict or pairs)."""
    file = io.BytesIO()
    pairs = members.items() if isinstance(members, dict) else members
    with zipfile.ZipFile(file, "w", method) as written:
        for name, data in pairs:
            written.writestr(name if "." in name else f"{name}.npy", data)
    return file.getvalue()
