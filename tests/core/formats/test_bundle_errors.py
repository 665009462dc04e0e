"""Invalid bundles, which the reader must reject with the path of the field."""

import math
import struct

import msgpack
import pytest

from neuroasync.core.formats.bundle import dump_bundle, read_bundle
from neuroasync.errors import BundleError
from tests.helpers.malformed_files import Pairs, body_of, pack, rich_bundle, seal


def outer(**changes) -> bytes:
    """Return a bundle with some top-level fields replaced, or removed if the value is "gone"."""
    fields = msgpack.unpackb(dump_bundle(rich_bundle())) | changes
    return pack({k: v for k, v in fields.items() if v != "gone"})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"^this is not a bundle, or it is damaged: byte 0: 1 bytes needed, 0 left$"),
        (b"\x90", r"^this is not a bundle: a map with `format` 'neuroasync-bundle' is required$"),
        (outer(format="other"), r"^this is not a bundle: a map with `format` 'neuroasync-bundle'"),
        (outer(format="gone"), r"^this is not a bundle: a map with `format` 'neuroasync-bundle' i"),
        (outer(version=2, more=1), r"^`version` must be 1, the version that this package reads, g"),
        (outer(version="1"), r"^`version` must be 1, the version that this package reads, got '1'"),
        (outer(version=True), r"^`version` must be 1, the version that this package reads, got Tr"),
        (outer(version="gone"), r"^`version` must be 1, the version that this package reads, got"),
        (outer(more=1), r"^`more` is an unknown key; known keys are \['format', 'version', 'sha25"),
        (outer(sha256="gone"), r"^`sha256` is missing$"),
        (outer(network="gone"), r"^`network` is missing$"),
        (outer(network="x"), r"^`network` must be binary data$"),
        (outer(sha256=b""), r"^`sha256` is not the digest of `network`; the bundle is damaged$"),
        (outer(network=b""), r"^`sha256` is not the digest of `network`; the bundle is damaged$"),
        (seal(b""), r"^`network` cannot be decoded: byte 0: 1 bytes needed, 0 left$"),
        (seal(b"\x80\x00"), r"^`network` cannot be decoded: byte 1: 1 bytes follow the value$"),
        (outer() + b"\x00", r"^this is not a bundle, or it is damaged: byte \d+: 1 bytes follow t"),
        (seal(b"\x90"), r"^`bundle` must be a map, got a list$"),
    ],
)
def test_damaged_envelope_is_rejected(data, message):
    with pytest.raises(BundleError, match=message):
        read_bundle(data)


def set_in(*path_and_value):
    """Return a function that sets the value at a path of a body; ``"gone"`` removes it."""
    *path, last, value = path_and_value

    def change(body):
        for key in path:
            body = body[key]
        if value == "gone":
            del body[last]
        else:
            body[last] = value

    change.__name__ = ".".join(map(str, (*path, last)))
    return change


NAN = struct.pack("<f", math.nan)
CONV = ("connections", 0)
EVENTS = ("golden", 0, "events")
FIRST = ("calibration", 0)
NEURON = ("populations", 0, "neuron")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_in("timestep_us", "gone"), r"^`timestep_us` is missing$"),
        (set_in("timestep_us", 1.0), r"^`timestep_us` must be an integer of at least 0, got 1\.0$"),
        (set_in("timestep_us", 2**64 - 1), r"^`timestep_us` must be an integer of at most 9007199"),
        (set_in("more", 1), r"^`more` is an unknown key; known keys are \['timestep_us', 'input',"),
        (set_in("input", [1]), r"^`input` must be a map, got a list$"),
        (set_in("input", "size", 1), r"^`input\.size` is an unknown key; known keys are \['shape'"),
        (set_in("input", "shape", 16), r"^`input\.shape` must be a list, got an integer$"),
        (set_in("input", "shape", [-1, 4, 4]), r"^`input\.shape\[0\]` must be an integer from 1 t"),
        (set_in("populations", {}), r"^`populations` must be a list, got a map$"),
        (set_in("populations", []), r"^`populations` must be a list of 1 to 4096 entries, got 0 e"),
        (set_in("populations", 0, None), r"^`populations\[0\]` must be a map, got nil$"),
        (set_in("populations", 0, "name", "gone"), r"^`populations\[0\]\.name` is missing$"),
        (set_in("populations", 0, "name", b"x"), r"^`populations\[0\]\.name` must be text, got bi"),
        (set_in("populations", 1, "name", "conv"), r"^`populations\[1\]\.name` must be different"),
        (
            set_in("populations", 0, "shape", [2, True, 9]),
            r"^`populations\[0\]\.shape\[1\]` must be an integer from 1 to 16777216, got True$",
        ),
        (set_in(*NEURON, "model", "alif"), r"^`populations\[0\]\.neuron\.model` must be one of \["),
        (set_in(*NEURON, "tau", 1), r"^`populations\[0\]\.neuron\.tau` is an unknown key; known k"),
        (set_in(*NEURON, "tau_mem_us", math.nan), r"^`populations\[0\]\.neuron\.tau_mem_us` must"),
        (set_in(*NEURON, "tau_mem_us", None), r"^`populations\[0\]\.neuron\.tau_mem_us` must be a"),
        (set_in(*NEURON, "tau_mem_us", b"1"), r"^`populations\[0\]\.neuron\.tau_mem_us` must be a"),
        (set_in(*NEURON, "v_threshold", math.inf), r"^`populations\[0\]\.neuron\.v_threshold` mus"),
        (set_in(*NEURON, "v_threshold", False), r"^`populations\[0\]\.neuron\.v_threshold` must b"),
        (
            set_in(*NEURON, "v_threshold", "shape", [18]),
            r"^`populations\[0\]\.neuron\.v_threshold` must be of shape \(2, 3, 3\), got shape",
        ),
        (set_in(*NEURON, "reset", []), r"^`populations\[0\]\.neuron\.reset` must be one of \['zer"),
        (set_in(*NEURON, "refractory", 1), r"^`populations\[0\]\.neuron\.refractory` must be true"),
        (
            set_in(*NEURON, "reset_delayed", 1),
            r"^`populations\[0\]\.neuron\.reset_delayed` must be",
        ),
        (
            set_in(*NEURON, "reset_amount", 1),
            r"^`populations\[0\]\.neuron\.reset_amount` must be l",
        ),
        (
            set_in(*NEURON, "tau_syn_us", None),
            r"^`populations\[0\]\.neuron\.tau_syn_us` must be a ",
        ),
        (
            set_in(*NEURON, "adaptation", []),
            r"^`populations\[0\]\.neuron\.adaptation` must be a ma",
        ),
        (
            set_in(*NEURON, "adaptation", {"tau_us": 1.0}),
            r"^`populations\[0\]\.neuron\.adaptation\.increment` is missing$",
        ),
        (
            set_in(*NEURON, {"model": "li", "tau_mem_us": 1.0, "reset": "none"}),
            r"^`populations\[0\]\.neuron\.reset` is an unknown key; known keys are \['model', 't",
        ),
        (set_in(*NEURON, "sync_threshold", 1.5), r"^`populations\[0\]\.neuron\.sync_threshold` mu"),
        (set_in(*CONV, "kind", "gone"), r"^`connections\[0\]\.kind` is missing$"),
        (
            set_in(*CONV, "kind", "conv3d"),
            r"^`connections\[0\]\.kind` must be one of \['dense', 'co",
        ),
        (set_in(*CONV, "kind", []), r"^`connections\[0\]\.kind` must be text, got a list$"),
        (set_in(*CONV, "kind", "dense"), r"^`connections\[0\]\.stride` is an unknown key; known k"),
        (set_in(*CONV, "source", "x"), r"^`connections\[0\]\.source` must be one of \['input', 'c"),
        (set_in(*CONV, "source", []), r"^`connections\[0\]\.source` must be text, got a list$"),
        (set_in(*CONV, "target", 0), r"^`connections\[0\]\.target` must be text, got an integer$"),
        (set_in(*CONV, "stride", [1]), r"^`connections\[0\]\.stride` must be two integers from 1"),
        (set_in(*CONV, "padding", 0), r"^`connections\[0\]\.padding` must be a list, got an integ"),
        (set_in(*CONV, "delay_us", 500), r"^`connections\[0\]\.delay_us` must be a multiple of `t"),
        (set_in(*CONV, "delay_us", None), r"^`connections\[0\]\.delay_us` must be an integer of a"),
        (set_in(*CONV, "bias", None), r"^`connections\[0\]\.bias` must be a map, got nil$"),
        (set_in(*CONV, "weight", "dtype", "<f8"), r"^`connections\[0\]\.weight\.dtype` must be '<"),
        (set_in(*CONV, "weight", "dtype", "O"), r"^`connections\[0\]\.weight\.dtype` must be '<f4"),
        (set_in(*CONV, "weight", "data", "x"), r"^`connections\[0\]\.weight\.data` must be binary"),
        (set_in(*CONV, "weight", "data", b""), r"^`connections\[0\]\.weight\.data` must be 32 byt"),
        (set_in(*CONV, "weight", "shape", 8), r"^`connections\[0\]\.weight\.shape` must be a list"),
        (set_in(*CONV, "weight", "shape", [-8]), r"^`connections\[0\]\.weight\.shape\[0\]` must b"),
        (set_in(*CONV, "weight", "shape", [1] * 9), r"^`connections\[0\]\.weight\.shape` must be"),
        (set_in(*CONV, "weight", "shape", [2.0]), r"^`connections\[0\]\.weight\.shape\[0\]` must"),
        (
            set_in(*CONV, "weight", "shape", [0, 2**40, 2**40]),
            r"^`connections\[0\]\.weight\.shape` must be a shape of at most 281474976710656",
        ),
        (set_in(*CONV, "weight", "data", NAN * 8), r"^`connections\[0\]\.weight\[0, 0, 0, 0\]` mu"),
        (
            set_in("connections", 2, "weight", "shape", [5, 3]),
            r"^`connections\[2\]\.weight` must be of shape \(3, 5\) \(target 'out' has 3 neurons,",
        ),
        (
            set_in("connections", 1, "indptr", "dtype", "<f4"),
            r"^`connections\[1\]\.indptr\.dtype` must be '<i8', got '<f4'$",
        ),
        (
            set_in("connections", 1, "indices", "data", struct.pack("<4q", 0, 2, 4, 5)),
            r"^`connections\[1\]\.indices` must be integers from 0 to 4$",
        ),
        (set_in("output", None), r"^`output` must be text, got nil$"),
        (set_in("output", "x"), r"^`output` must be one of \['conv', 'hidden', 'out'\], got 'x'$"),
        (set_in("classes", None), r"^`classes` must be a list, got nil$"),
        (set_in("classes", ["a"]), r"^`classes` must be a list of 3 names, one per output neuron"),
        (set_in("classes", ["a", "b", "a"]), r"^`classes\[2\]` must be different from all names b"),
        (set_in("classes", ["a", "b", []]), r"^`classes\[2\]` must be text of 1 to 128 characters"),
        (set_in("policy", "fifo"), r"^`policy` must be a map, got text$"),
        (set_in("policy", "name", "lifo"), r"^`policy\.name` must be one of \['layer-sync', 'rand"),
        (set_in("policy", "group_size", 0), r"^`policy\.group_size` must be an integer of at leas"),
        (set_in("policy", "input", "first"), r"^`policy\.input` must be one of \['prioritised', '"),
        (set_in("policy", "noise", 0.5), r"^`policy\.noise` must be 0 for policy 'random', got 0"),
        (set_in("policy", "noise", math.nan), r"^`policy\.noise` must be a number of at least 0,"),
        (set_in("policy", "seed", 1), r"^`policy\.seed` is an unknown key; known keys are \['name"),
        (set_in("golden", {}), r"^`golden` must be a list, got a map$"),
        (set_in("golden", 1, "seed", "gone"), r"^`golden\[1\]\.seed` is missing$"),
        (set_in("golden", 1, "seed", -1), r"^`golden\[1\]\.seed` must be an integer of at least 0"),
        (set_in("golden", 1, "label", 3), r"^`golden\[1\]\.label` must be an integer from 0 to 2,"),
        (set_in("golden", 1, "label", True), r"^`golden\[1\]\.label` must be an integer of at lea"),
        (set_in("golden", 1, "policy", {}), r"^`golden\[1\]\.policy` must be one of \['layer-sync"),
        (set_in("golden", 0, "noise", 1.0), r"^`golden\[0\]\.noise` must be 0 for policy 'fifo',"),
        (set_in("golden", 0, "group_size", 1.0), r"^`golden\[0\]\.group_size` must be an integer"),
        (set_in("golden", 0, "spikes_sha256", b""), r"^`golden\[0\]\.spikes_sha256` must be 32 by"),
        (set_in("golden", 0, "spikes_sha256", 0), r"^`golden\[0\]\.spikes_sha256` must be 32 byte"),
        (set_in(*EVENTS, []), r"^`golden\[0\]\.events` must be a map, got a list$"),
        (set_in(*EVENTS, "index", "dtype", "<f4"), r"^`golden\[0\]\.events\.index\.dtype` must be"),
        (
            set_in(*EVENTS, "t_us", "data", struct.pack("<3q", 0, 9, 8)),
            r"^`golden\[0\]\.events\.t_us\[2\]` must be at least 9, the time of the event before",
        ),
        (
            set_in(*EVENTS, "index", "data", struct.pack("<3q", 0, 16, 8)),
            r"^`golden\[0\]\.events\.index\[1\]` must be at most 15 \(the network has 16 inputs\),",
        ),
        (set_in("calibration", {}), r"^`calibration` must be a list, got a map$"),
        (set_in("calibration", 1, 7), r"^`calibration\[1\]` must be a map, got an integer$"),
        (set_in(*FIRST, "error", "gone"), r"^`calibration\[0\]\.error` is missing$"),
        (set_in(*FIRST, "bound", 1), r"^`calibration\[0\]\.bound` is an unknown key; known keys a"),
        (set_in(*FIRST, "accuracy", True), r"^`calibration\[0\]\.accuracy` must be a float betwee"),
        (set_in(*FIRST, "error", math.nan), r"^`calibration\[0\]\.error` must be a number from 0"),
        (set_in(*FIRST, "samples", 1.0), r"^`calibration\[0\]\.samples` must be an integer of at"),
        (set_in(*FIRST, "leads", 3), r"^`calibration\[0\]\.leads` must be a list, got an integer$"),
        (set_in(*FIRST, "leads", [b""]), r"^`calibration\[0\]\.leads\[0\]` must be an integer fro"),
        (set_in(*FIRST, "policy", "name", 1), r"^`calibration\[0\]\.policy\.name` must be one of"),
        (
            set_in(
                "calibration", 1, "policy", {"name": "random", "group_size": 4, "input": "queued"}
            ),
            r"^`calibration\[1\]\.accuracy` must be different from all others with the same",
        ),
        (set_in("meta", []), r"^`meta` must be a map, got a list$"),
        (set_in("meta", "a", []), r"^`meta\['a'\]` must be text, a number, a bool or nil, got \["),
        (set_in("meta", "a", b""), r"^`meta\['a'\]` must be text, a number, a bool or nil, got <m"),
        (set_in("meta", "a", math.inf), r"^`meta\['a'\]` must be a finite number, got inf$"),
        (set_in("meta", "", 1), r"^`key of meta` must be text of 1 to 128 characters, got ''$"),
        (set_in("meta", "a", "x" * 65537), r"^`meta\['a'\]` must be text of 0 to 65536 characters"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_invalid_body_is_rejected_by_path(change, message):
    body = body_of(rich_bundle())
    change(body)
    with pytest.raises(BundleError, match=message):
        read_bundle(seal(pack(body)))


@pytest.mark.parametrize("level", ["network", "outer"])
def test_repeated_key_is_rejected_on_both_levels(level):
    if level == "network":
        body = body_of(rich_bundle())
        data = seal(pack(Pairs([*body.items(), ("output", body["output"])])))
    else:
        data = pack(Pairs([*msgpack.unpackb(outer()).items(), ("version", 1)]))
    with pytest.raises(
        BundleError,
        match=r"byte \d+: key '(output|version)' is in the map twice$",
    ):
        read_bundle(data)


def test_number_in_a_longer_form_is_rejected():
    body = pack(body_of(rich_bundle()))
    longer = body.replace(b"\xabtimestep_us\xcd\x03\xe8", b"\xabtimestep_us\xce\x00\x00\x03\xe8")
    assert longer != body
    with pytest.raises(
        BundleError,
        match=r"^`network` cannot be decoded: byte 13: 1000 is not in its shortest form$",
    ):
        read_bundle(seal(longer))
