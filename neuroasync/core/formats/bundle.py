"""Bundles (``.nab``): a trained network in one file. The only reader and writer of the format.

MessagePack in two levels, so that the digest covers exact bytes::

    {"format": "neuroasync-bundle", "version": 1, "sha256": bin32, "network": bin of the body}

The body is a map, its keys in any order, of which the first five are required::

    timestep_us   int
    input         {"shape": [..]}
    populations   [{"name", "shape", "neuron": {"model": "lif", "tau_mem_us", "v_threshold",
                    "reset", "refractory", "sync_threshold"?}}, ..]
    connections   [{"source", "target", "kind", "bias"?, "delay_us"?, ..}, ..]; besides
                    dense "weight"; conv2d "weight", "stride", "padding";
                    sparse "indptr", "indices", "weight"
    output        name of a population
    classes       [text, ..], distinct, one per output neuron
    policy        {"name", "group_size", "input"?, "noise"?}
    golden        [{"events": {"t_us": array, "index": array}, "policy": name, "group_size",
                    "input"?, "noise"?, "seed", "label", "spikes_sha256"}, ..]; label nil: none
    meta          {text: text | int | float | bool | nil}
    calibration   [{"accuracy", "error", "measured", "samples", "leads": [int, ..],
                    "policy": as above}, ..]: what "confidence(accuracy)" stands for and promises;
                    see ``Calibration``

An array is ``{"dtype": "<f4" | "<i8", "shape": [..], "data": bin}``, C order. What is written is
canonical: keys in the order above, ``meta`` sorted, what has its default left out.
"""

import hashlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeAlias

import msgpack

from neuroasync import limits
from neuroasync.core.formats.atomic_write import atomic_file
from neuroasync.core.formats.bounded_open import Source, errors_name_file, open_bounded
from neuroasync.core.formats.bundle_calibration import (
    Calibration,
    calibration_map,
    check_calibrations,
    read_calibration,
)
from neuroasync.core.formats.bundle_golden import (
    GoldenSample,
    PolicySpec,
    golden_map,
    policy_map,
    read_golden,
    read_policy,
)
from neuroasync.core.formats.bundle_model import MODEL_KEYS, model_map, read_model
from neuroasync.core.formats.envelope import Envelope
from neuroasync.core.formats.field_checks import as_list, as_map, located
from neuroasync.core.formats.strict_msgpack import MAX_ITEMS, decode
from neuroasync.core.model.model import Model, check_int, check_text
from neuroasync.errors import BundleError

__all__ = [
    "Bundle",
    "Calibration",
    "GoldenSample",
    "PolicySpec",
    "Scalar",
    "dump_bundle",
    "read_bundle",
    "write_bundle",
]

_SEAL: Final = Envelope("bundle", "neuroasync-bundle", 1, "network", BundleError)
_OPTIONAL: Final = ("classes", "policy", "golden", "meta", "calibration")

Scalar: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, eq=False)
class Bundle:
    """A network, and what is known about it. Bundles are equal if they are written the same.

    Attributes:
        model: the network.
        classes: a distinct label for each output neuron.
        policy: what the network was trained for, and so the default at run time.
        golden: samples with the digests of the recordings that they must give.
        meta: where it comes from: data set, method, accuracy, seed, versions. Not to be changed.
        calibration: what ``until="confidence(p)"`` stands for.

    Raises:
        BundleError: the parts do not fit each other; says where.
    """

    model: Model
    classes: tuple[str, ...] | None = None
    policy: PolicySpec = field(default_factory=PolicySpec)
    golden: tuple[GoldenSample, ...] = ()
    meta: Mapping[str, Scalar] = field(default_factory=dict)
    calibration: tuple[Calibration, ...] = ()

    def __post_init__(self) -> None:
        """Check what the parts cannot know of each other."""
        outputs = self.model.populations[self.model.index(self.model.output)].size
        with located():
            if self.classes is not None:
                object.__setattr__(self, "classes", tuple(self.classes))
                _check_classes(self.classes, outputs)
            object.__setattr__(self, "golden", tuple(self.golden))
            _check_golden(self.golden, self.model.input_size, outputs)
            object.__setattr__(self, "meta", dict(self.meta))
            _check_meta(self.meta)
            object.__setattr__(self, "calibration", tuple(self.calibration))
            check_calibrations(self.calibration)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the body as :func:`write_bundle` writes it (not as a file had it)."""
        return hashlib.sha256(_pack(_body_map(self))).digest()

    def __eq__(self, other: object) -> bool:
        """Whether both are written as the same bytes."""
        return self.digest == other.digest if isinstance(other, Bundle) else NotImplemented

    def __hash__(self) -> int:
        """Hash of the digest."""
        return hash(self.digest)


def read_bundle(source: Source, max_bytes: int = limits.MAX_BUNDLE_BYTES) -> Bundle:
    """Read a bundle; nothing in it is trusted or executed.

    Args:
        source: path of the file, or its bytes.
        max_bytes: largest file that is read, in bytes; reading needs about twice that in memory.

    Raises:
        BundleError: the file is missing, damaged, too large, or describes a network that cannot
            be run. The message says where and what was expected.
    """
    with errors_name_file(source):
        with open_bounded(source, max_bytes, BundleError) as (file, size):
            data = source if isinstance(source, bytes) else file.read(size + 1)
        if len(data) != size:
            raise BundleError(f"{size} bytes at first, then {len(data)}; it is changing")
        try:
            outer = decode(data)
        except BundleError as error:
            raise BundleError(f"this is no bundle, or it is damaged: {error}") from error
        network = _SEAL.open(outer)
        try:
            body = decode(network)
        except BundleError as error:
            raise BundleError(f"network: {error}") from error
        return _read_body(body)


def dump_bundle(bundle: Bundle) -> bytes:
    """Return the bytes of the file; the same bundle gives the same bytes.

    Raises:
        BundleError: the network is larger than MessagePack can hold (4 GiB).
    """
    network = _pack(_body_map(bundle))
    return _pack(_SEAL.close(network))


def write_bundle(bundle: Bundle, path: str | os.PathLike[str]) -> None:
    """Write the file, atomically.

    Args:
        bundle: what to write.
        path: where to; a file there is replaced, and stays as it was if writing fails.

    Raises:
        BundleError: the file system refuses, or the network is too large.
    """
    data = dump_bundle(bundle)
    with atomic_file(path, BundleError) as file:
        file.write(data)


def _body_map(bundle: Bundle) -> dict[str, Any]:
    body = model_map(bundle.model)
    if bundle.classes is not None:
        body["classes"] = list(bundle.classes)
    body["policy"] = policy_map(bundle.policy)
    if bundle.golden:
        body["golden"] = [golden_map(golden) for golden in bundle.golden]
    if bundle.meta:
        body["meta"] = dict(sorted(bundle.meta.items()))
    if bundle.calibration:
        body["calibration"] = [calibration_map(entry) for entry in bundle.calibration]
    return body


def _read_body(value: object) -> Bundle:
    body = as_map("", value, MODEL_KEYS, _OPTIONAL)
    model = read_model(body)
    classes = None
    if "classes" in body:
        classes = tuple(as_list("classes", body["classes"]))
    policy = read_policy("policy", body["policy"]) if "policy" in body else PolicySpec()
    entries = as_list("golden", body.get("golden", []))
    golden = tuple(read_golden(f"golden[{k}]", entry) for k, entry in enumerate(entries))
    meta = as_map("meta", body.get("meta", {}), (), None)
    entries = as_list("calibration", body.get("calibration", []))
    calibration = tuple(
        read_calibration(f"calibration[{k}]", entry) for k, entry in enumerate(entries)
    )
    return Bundle(model, classes, policy, golden, meta, calibration)


def _check_classes(classes: tuple[str, ...], outputs: int) -> None:
    if len(classes) != outputs or outputs > MAX_ITEMS:
        raise BundleError(
            f"classes: {len(classes)}, expected {outputs}, one per output neuron "
            f"(and at most {MAX_ITEMS})"
        )
    seen: set[str] = set()
    for k, name in enumerate(classes):
        check_text(f"classes[{k}]", name, limits.MAX_NAME_CHARS)
        if name in seen:
            raise BundleError(f"classes[{k}]: {name!r} is used twice; expected a new name")
        seen.add(name)


def _check_golden(golden: tuple[GoldenSample, ...], inputs: int, outputs: int) -> None:
    if len(golden) > limits.MAX_GOLDEN:
        raise BundleError(f"golden: {len(golden)}, expected at most {limits.MAX_GOLDEN}")
    for k, sample in enumerate(golden):
        with located(f"golden[{k}].events."):
            sample.events.check_indices(inputs)
        if sample.label is not None:
            check_int(f"golden[{k}].label", sample.label, 0, outputs - 1)


def _check_meta(meta: Mapping[str, Scalar]) -> None:
    if len(meta) > limits.MAX_META_ENTRIES:
        raise BundleError(f"meta: {len(meta)} entries, expected at most {limits.MAX_META_ENTRIES}")
    for key, value in meta.items():
        check_text("meta: a key", key, limits.MAX_NAME_CHARS)
        where = f"meta[{key!r}]"
        if isinstance(value, str):
            check_text(where, value, limits.MAX_TEXT_CHARS, 0)
        elif type(value) is int:
            check_int(where, value, -(2**63), 2**64 - 1)
        elif not (value is None or type(value) is bool or type(value) is float):
            raise BundleError(f"{where}: {value!r:.80}, expected text, a number, a bool or nil")
        elif type(value) is float and not math.isfinite(value):
            raise BundleError(f"{where}: {value!r}, expected a finite number")


def _pack(value: dict[str, Any]) -> bytes:
    try:
        return bytes(msgpack.packb(value))
    except (OverflowError, ValueError) as error:
        raise BundleError(f"network: {error}; too large for a bundle") from error
