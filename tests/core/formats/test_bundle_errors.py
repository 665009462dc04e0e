"""Bundles that a reader must refuse, each with the path and the reason in the error."""

import math
import struct

import msgpack
import pytest

from neuroasync.core.formats.bundle import dump_bundle, read_bundle
from neuroasync.errors import BundleError
from tests.helpers.malformed_files import Pairs, body_of, pack, rich_bundle, seal


def outer(**changes) -> bytes:
    fields = msgpack.unpackb(dump_bundle(rich_bundle())) | changes
    return pack({k: v for k, v in fields.items() if v != "gone"})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"damaged: byte 0: 0 bytes left, expected 1$"),
        (b"\x90", r"^format: expected a map with format 'neuroasync-bundle'; this is no bundle$"),
        (outer(format="other"), r"^format: expected a map with format"),
        (outer(format="gone"), r"^format: expected a map with format"),
        (outer(version=2, more=1), r"^version: 2, this reader knows version 1$"),
        (outer(version="1"), r"^version: '1', this reader knows version 1$"),
        (outer(version=True), r"^version: True, this reader knows version 1$"),
        (outer(version="gone"), r"^version: None, this reader knows version 1$"),
        (outer(more=1), r"^more: unknown key, expected one of \['format', 'version', 'sha256', 'n"),
        (outer(sha256="gone"), r"^sha256: missing$"),
        (outer(network="gone"), r"^network: missing$"),
        (outer(network="x"), r"^network: expected binary data$"),
        (
            outer(sha256=b""),
            r"^sha256: the network does not have this digest; the bundle is damaged",
        ),
        (outer(network=b""), r"^sha256: the network does not have this digest"),
        (seal(b""), r"^network: byte 0: 0 bytes left, expected 1$"),
        (seal(b"\x80\x00"), r"^network: byte 1: 1 more, expected the end$"),
        (outer() + b"\x00", r"damaged: byte \d+: 1 more, expected the end$"),
        (seal(b"\x90"), r"^bundle: a list, expected a map$"),
    ],
)
def test_a_damaged_wrapping_is_refused(data, message):
    with pytest.raises(BundleError, match=message):
        read_bundle(data)


def set_in(*path_and_value):
    """A change of a body: the value at a path; ``"gone"`` removes it."""
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
        (set_in("timestep_us", "gone"), r"^timestep_us: missing$"),
        (set_in("timestep_us", 1.0), r"^timestep_us: 1.0, expected an integer from 0 to"),
        (set_in("timestep_us", 2**64 - 1), r"^timestep_us: 18446744073709551615, expected an inte"),
        (set_in("more", 1), r"^more: unknown key, expected one of \['timestep_us', 'input', "),
        (set_in("input", [1]), r"^input: a list, expected a map$"),
        (set_in("input", "size", 1), r"^input.size: unknown key, expected one of \['shape'\]$"),
        (set_in("input", "shape", 16), r"^input.shape: an integer, expected a list$"),
        (
            set_in("input", "shape", [-1, 4, 4]),
            r"^input.shape\[0\]: -1, expected an integer from 1",
        ),
        (set_in("populations", {}), r"^populations: a map, expected a list$"),
        (set_in("populations", []), r"^populations: 0 of them, expected 1 to 4096$"),
        (set_in("populations", 0, None), r"^populations\[0\]: nil, expected a map$"),
        (set_in("populations", 0, "name", "gone"), r"^populations\[0\].name: missing$"),
        (set_in("populations", 0, "name", b"x"), r"^populations\[0\].name: binary data, expected "),
        (set_in("populations", 1, "name", "conv"), r"^populations\[1\].name: 'conv' is used twice"),
        (
            set_in("populations", 0, "shape", [2, True, 9]),
            r"^populations\[0\].shape\[1\]: True, exp",
        ),
        (set_in(*NEURON, "model", "alif"), r"^populations\[0\].neuron.model: 'alif', expected 'li"),
        (set_in(*NEURON, "tau", 1), r"^populations\[0\].neuron.tau: unknown key, expected one of"),
        (set_in(*NEURON, "tau_mem_us", math.nan), r"^populations\[0\].neuron.tau_mem_us: nan, exp"),
        (set_in(*NEURON, "tau_mem_us", None), r"^populations\[0\].neuron.tau_mem_us: None, expect"),
        (set_in(*NEURON, "tau_mem_us", b"1"), r"^populations\[0\].neuron.tau_mem_us: <memory.*, e"),
        (set_in(*NEURON, "v_threshold", math.inf), r"^populations\[0\].neuron.v_threshold: inf, e"),
        (set_in(*NEURON, "v_threshold", False), r"^populations\[0\].neuron.v_threshold: False, ex"),
        (
            set_in(*NEURON, "v_threshold", "shape", [18]),
            r"^populations\[0\].neuron.v_threshold: shape \(18,\), expected \(2, 3, 3\)$",
        ),
        (set_in(*NEURON, "reset", []), r"^populations\[0\].neuron.reset: \[\], expected one of"),
        (set_in(*NEURON, "refractory", 1), r"^populations\[0\].neuron.refractory: 1, expected tru"),
        (set_in(*NEURON, "sync_threshold", 1.5), r"^populations\[0\].neuron.sync_threshold: 1.5, "),
        (set_in(*CONV, "kind", "gone"), r"^connections\[0\].kind: missing$"),
        (set_in(*CONV, "kind", "pool"), r"^connections\[0\].kind: 'pool', expected one of \['dens"),
        (set_in(*CONV, "kind", []), r"^connections\[0\].kind: a list, expected text$"),
        (set_in(*CONV, "kind", "dense"), r"^connections\[0\].stride: unknown key, expected one of"),
        (set_in(*CONV, "source", "x"), r"^connections\[0\].source: 'x' is unknown, expected one"),
        (set_in(*CONV, "source", []), r"^connections\[0\].source: a list, expected text$"),
        (set_in(*CONV, "target", 0), r"^connections\[0\].target: an integer, expected text$"),
        (set_in(*CONV, "stride", [1]), r"^connections\[0\].stride: \(1,\), expected two integers"),
        (set_in(*CONV, "padding", 0), r"^connections\[0\].padding: an integer, expected a list$"),
        (set_in(*CONV, "delay_us", 500), r"^connections\[0\].delay_us: 500, expected a multiple"),
        (set_in(*CONV, "delay_us", None), r"^connections\[0\].delay_us: None, expected µs from 0$"),
        (set_in(*CONV, "bias", None), r"^connections\[0\].bias: nil, expected a map$"),
        (
            set_in(*CONV, "weight", "dtype", "<f8"),
            r"^connections\[0\].weight.dtype: '<f8', expecte",
        ),
        (set_in(*CONV, "weight", "dtype", "O"), r"^connections\[0\].weight.dtype: 'O', expected"),
        (set_in(*CONV, "weight", "data", "x"), r"^connections\[0\].weight.data: text, expected bi"),
        (
            set_in(*CONV, "weight", "data", b""),
            r"^connections\[0\].weight.data: 0 bytes, expected ",
        ),
        (set_in(*CONV, "weight", "shape", 8), r"^connections\[0\].weight.shape: an integer, expec"),
        (set_in(*CONV, "weight", "shape", [-8]), r"^connections\[0\].weight.shape\[0\]: -8, expec"),
        (set_in(*CONV, "weight", "shape", [1] * 9), r"^connections\[0\].weight.shape: 9 dimension"),
        (set_in(*CONV, "weight", "shape", [2.0]), r"^connections\[0\].weight.shape\[0\]: 2.0, exp"),
        (
            set_in(*CONV, "weight", "shape", [0, 2**40, 2**40]),
            r"^connections\[0\].weight.shape: \[0, .*\], expected at most 281474976710656 cells$",
        ),
        (
            set_in(*CONV, "weight", "data", NAN * 8),
            r"^connections\[0\].weight\[0, 0, 0, 0\]: nan, expected a finite value$",
        ),
        (
            set_in("connections", 2, "weight", "shape", [5, 3]),
            r"^connections\[2\].weight: shape \(5, 3\), expected \(3, 5\) \(target 'out' has 3",
        ),
        (set_in("connections", 1, "indptr", "dtype", "<f4"), r"^connections\[1\].indptr.dtype: "),
        (
            set_in("connections", 1, "indices", "data", struct.pack("<4q", 0, 2, 4, 5)),
            r"^connections\[1\].indices: out of range, expected 0 to 4$",
        ),
        (set_in("output", None), r"^output: nil, expected text$"),
        (set_in("output", "x"), r"^output: 'x' is no population; expected one of"),
        (set_in("classes", None), r"^classes: nil, expected a list$"),
        (set_in("classes", ["a"]), r"^classes: 1, expected 3, one per output neuron"),
        (set_in("classes", ["a", "b", "a"]), r"^classes\[2\]: 'a' is used twice; expected a new"),
        (set_in("classes", ["a", "b", []]), r"^classes\[2\]: \[\], expected text of 1 to 128 char"),
        (set_in("policy", "fifo"), r"^policy: text, expected a map$"),
        (set_in("policy", "name", "lifo"), r"^policy.name: 'lifo', expected one of \['layer-sync'"),
        (set_in("policy", "group_size", 0), r"^policy.group_size: 0, expected an integer from 1 "),
        (set_in("policy", "input", "first"), r"^policy.input: 'first', expected one of \['priorit"),
        (set_in("policy", "noise", 0.5), r"^policy.noise: 0.5, expected 0 with policy 'random'$"),
        (set_in("policy", "noise", math.nan), r"^policy.noise: nan, expected a number from 0"),
        (set_in("policy", "seed", 1), r"^policy.seed: unknown key, expected one of \['name', 'gr"),
        (set_in("golden", {}), r"^golden: a map, expected a list$"),
        (set_in("golden", 1, "seed", "gone"), r"^golden\[1\].seed: missing$"),
        (set_in("golden", 1, "seed", -1), r"^golden\[1\].seed: -1, expected an integer from 0 to"),
        (
            set_in("golden", 1, "label", 3),
            r"^golden\[1\].label: 3, expected an integer from 0 to 2",
        ),
        (set_in("golden", 1, "label", True), r"^golden\[1\].label: True, expected an integer"),
        (set_in("golden", 1, "policy", {}), r"^golden\[1\].policy: \{\}, expected one of"),
        (set_in("golden", 0, "noise", 1.0), r"^golden\[0\].noise: 1.0, expected 0 with policy 'f"),
        (set_in("golden", 0, "group_size", 1.0), r"^golden\[0\].group_size: 1.0, expected an int"),
        (set_in("golden", 0, "spikes_sha256", b""), r"^golden\[0\].spikes_sha256: b'', expected 3"),
        (set_in("golden", 0, "spikes_sha256", 0), r"^golden\[0\].spikes_sha256: 0, expected 32 by"),
        (set_in(*EVENTS, []), r"^golden\[0\].events: a list, expected a map$"),
        (set_in(*EVENTS, "index", "dtype", "<f4"), r"^golden\[0\].events.index.dtype: '<f4', exp"),
        (
            set_in(*EVENTS, "t_us", "data", struct.pack("<3q", 0, 9, 8)),
            r"^golden\[0\].events.t_us\[2\]: 8 after 9, expected ascending times",
        ),
        (
            set_in(*EVENTS, "index", "data", struct.pack("<3q", 0, 16, 8)),
            r"^golden\[0\].events.index\[1\]: 16, expected 0 to 15, the network's inputs$",
        ),
        (set_in("calibration", {}), r"^calibration: a map, expected a list$"),
        (set_in("calibration", 1, 7), r"^calibration\[1\]: an integer, expected a map$"),
        (set_in(*FIRST, "error", "gone"), r"^calibration\[0\].error: missing$"),
        (set_in(*FIRST, "bound", 1), r"^calibration\[0\].bound: unknown key, expected one of"),
        (set_in(*FIRST, "accuracy", True), r"^calibration\[0\].accuracy: True, expected a number"),
        (set_in(*FIRST, "error", math.nan), r"^calibration\[0\].error: nan, expected a number fr"),
        (set_in(*FIRST, "samples", 1.0), r"^calibration\[0\].samples: 1.0, expected an integer "),
        (set_in(*FIRST, "leads", 3), r"^calibration\[0\].leads: an integer, expected a list$"),
        (set_in(*FIRST, "leads", [b""]), r"^calibration\[0\].leads\[0\]: <memory.*, expected an"),
        (set_in(*FIRST, "policy", "name", 1), r"^calibration\[0\].policy.name: 1, expected one of"),
        (
            set_in(
                "calibration", 1, "policy", {"name": "random", "group_size": 4, "input": "queued"}
            ),
            r"^calibration\[1\].accuracy: 0.9 is promised twice for one policy; expected another$",
        ),
        (set_in("meta", []), r"^meta: a list, expected a map$"),
        (set_in("meta", "a", []), r"^meta\['a'\]: \[\], expected text, a number, a bool or nil$"),
        (set_in("meta", "a", b""), r"^meta\['a'\]: <memory at .*>, expected text, a number"),
        (set_in("meta", "a", math.inf), r"^meta\['a'\]: inf, expected a finite number$"),
        (set_in("meta", "", 1), r"^meta: a key: '', expected text of 1 to 128 characters$"),
        (set_in("meta", "a", "x" * 65537), r"^meta\['a'\]: 'x+, expected text of 0 to 65536 char"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_body_that_breaks_a_rule_is_refused_by_path(change, message):
    body = body_of(rich_bundle())
    change(body)
    with pytest.raises(BundleError, match=message):
        read_bundle(seal(pack(body)))


@pytest.mark.parametrize("level", ["network", "outer"])
def test_a_key_twice_is_refused_on_both_levels(level):
    if level == "network":
        body = body_of(rich_bundle())
        data = seal(pack(Pairs([*body.items(), ("output", body["output"])])))
    else:
        data = pack(Pairs([*msgpack.unpackb(outer()).items(), ("version", 1)]))
    with pytest.raises(BundleError, match=r"byte \d+: key '(output|version)' twice in one map$"):
        read_bundle(data)


def test_a_number_in_a_longer_form_is_refused():
    body = pack(body_of(rich_bundle()))
    longer = body.replace(b"\xabtimestep_us\xcd\x03\xe8", b"\xabtimestep_us\xce\x00\x00\x03\xe8")
    assert longer != body
    with pytest.raises(BundleError, match=r"^network: byte 13: 1000 is not in its shortest form$"):
        read_bundle(seal(longer))
