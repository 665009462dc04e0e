"""A damaged or hostile file gives the documented error, and takes bounded time and memory."""

import io
import random
import tracemalloc

import h5py
import nir
import numpy as np
import pytest

from neuroasync import InterchangeError
from neuroasync.interchange import import_nir
from tests.core.formats.test_mutated_files import damaged
from tests.helpers.nir_graphs import chain, lif
from tests.helpers.paths import DATA

HOW = {"timestep_us": 100, "jump": "euler", "reset": "zero"}


def written(change=None):
    """Return a small file, after ``change`` was applied to its HDF5 tree."""
    file = io.BytesIO()
    nir.write(file, chain(nir.Linear(np.ones((3, 4), np.float32)), lif(3), shape=[4]))
    if change is not None:
        with h5py.File(file, "r+") as root:
            change(root)
    return file.getvalue()


def replaced(path, **options):
    """Return a change that replaces a data set."""

    def change(root):
        del root[path]
        root.create_dataset(path, **options)

    return change


def test_the_file_itself_is_fine():
    assert import_nir(written(), **HOW).model.size == 3


def external(root):
    del root["node/nodes/n1/tau"]
    root["node/nodes/n1/tau"] = h5py.ExternalLink("/etc/passwd", "/x")


def soft(root):
    del root["node/nodes/n1/tau"]
    root["node/nodes/n1/tau"] = h5py.SoftLink("/node/nodes/n1/r")


def endless(root):
    root["node/nodes/n1/inner"] = root["node"]


def virtual(root):
    del root["node/nodes/n1/tau"]
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (3,))
    root.create_virtual_dataset("node/nodes/n1/tau", layout)


def outside(root):
    del root["node/nodes/n1/tau"]
    root.create_dataset(
        "node/nodes/n1/tau", (3,), "f8", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
    )


def named_type(root):
    root["node/nodes/n1/kind"] = np.dtype("f8")


def many(root):
    group = root["node"].create_group("metadata")
    names = group.create_dataset("names", (2**18,), h5py.string_dtype())
    names[0] = "x" * 2**20
    # All elements refer to the same text.
    names[:] = names[0]


HUGE = {"shape": (2**20, 2**14), "dtype": "f4", "chunks": (1024, 1024), "compression": "gzip"}
ATTACKS = {
    "external link": (external, r"`node/nodes/n1/tau` must not be a link to another place$"),
    "soft link": (soft, r"`node/nodes/n1/tau` must not be a link to another place$"),
    "endless groups": (endless, r"`node/.*` is nested deeper than 32 groups$"),
    "virtual": (virtual, r"`node/nodes/n1/tau` must be stored in the file itself$"),
    "outside": (outside, r"`node/nodes/n1/tau` must be stored in the file itself$"),
    "type": (named_type, r"`node/nodes/n1/kind` must be a group or a data set$"),
    "huge": (replaced("node/nodes/n0/weight", **HUGE), r"`node/nodes/n0/weight` is too large: all"),
    "block": (
        replaced("node/nodes/n0/weight", **HUGE | {"chunks": (2**13, 2**14)}),
        r"`node/nodes/n0/weight` must be stored in blocks of at most \d+ bytes, got 536870912$",
    ),
    "empty": (
        replaced("node/nodes/n1/tau", data=h5py.Empty("f8")), r"`node/nodes/n1/tau` must not be"
    ),
    "compound": (
        replaced("node/nodes/n1/tau", data=np.zeros(3, [("a", "f4")])),
        r"`node/nodes/n1/tau` must be numbers or text, got ",
    ),
    "complex": (
        replaced("node/nodes/n1/tau", data=np.zeros(3, complex)),
        r"`node/nodes/n1/tau` must be numbers or text, got complex128$",
    ),
    "reference": (
        replaced("node/nodes/n1/tau", shape=(3,), dtype=h5py.ref_dtype), r"`node/nodes/n1/tau` must"
    ),
    "missing": (lambda root: root.pop("node"), r"`node` is missing, so this is not a file of NIR$"),
    "other": (replaced("node", data=3), r"`node` must be a group, as in files of NIR$"),
    "text": (
        replaced("node/edges", data=np.array([[b"\xff", b"n0"]], "S1")),
        r"`node/edges` must be text in UTF-8$",
    ),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_file_is_refused_before_memory_is_taken(attack):
    change, message = ATTACKS[attack]
    data = written(change)
    tracemalloc.start()
    with pytest.raises(InterchangeError, match=f"^{message}"):
        import_nir(data, **HOW)
    assert tracemalloc.get_traced_memory()[1] < 2**24 + 4 * len(data)
    tracemalloc.stop()


def test_errors_of_a_file_name_it(tmp_path):
    path = tmp_path / "a.nir"
    path.write_bytes(written(external))
    with pytest.raises(InterchangeError, match=r"^'.*a\.nir': `node/nodes/n1/tau` must not"):
        import_nir(path, **HOW)
    with pytest.raises(InterchangeError, match=r"^'.*b\.nir': cannot be read: No such file"):
        import_nir(tmp_path / "b.nir", **HOW)
    (tmp_path / "c.nab").write_bytes(b"neuroasync-bundle")
    with pytest.raises(
        InterchangeError, match=r"c\.nab' is a network \(\.nab\), not an HDF5 file$"
    ):
        import_nir(tmp_path / "c.nab", **HOW)


def test_a_file_above_the_limit_is_not_read():
    with pytest.raises(InterchangeError, match=r"^the file has \d+ bytes, the limit is 100"):
        import_nir(written(), **HOW, max_bytes=100)


def test_compression_that_would_load_a_library_is_refused():
    hdf5plugin = pytest.importorskip("hdf5plugin")
    weight = np.ones((3, 4), np.float32)
    change = replaced("node/nodes/n0/weight", data=weight, **hdf5plugin.Blosc())
    with pytest.raises(InterchangeError, match=r"^`node/nodes/n0/weight` must be compressed with"):
        import_nir(written(change), **HOW)


def test_damaged_files_are_read_or_refused():
    # Damage to the structure of HDF5 itself can make its library loop, so this test damages the
    # stored values of a file without compression only.
    file = io.BytesIO()
    graph = nir.read(DATA / "nir" / "lif_norse.nir")
    nir.write(file, graph, compression=None)
    data = file.getvalue()
    start = data.index(np.float32(0.0025).tobytes())
    messages = set()
    for seed in range(200):
        rng = random.Random(seed)
        part = damaged(data[start : start + 4], rng)[:4].ljust(4, b"\0")
        try:
            import_nir(data[:start] + part + data[start + 4 :], **HOW)
        except InterchangeError as error:
            messages.add(str(error)[:15])
    assert messages == {"node '1' (LIF): "[:15]}


@pytest.mark.parametrize("size", [0, 8, 100, 2000, 10_000])
def test_a_file_that_ends_early_is_refused(size):
    with pytest.raises(InterchangeError, match=r"^this is not a NIR file, or it is damaged: "):
        import_nir(written()[:size], **HOW)
