"""Bundles (``.nab``): a trained network in one file. This module alone reads and writes them.

A bundle is MessagePack inside MessagePack: the network is stored as a byte string, so that the
digest covers exact bytes. The outer level is a map::

    {"format": "neuroasync-bundle", "version": 1, "sha256": bin (32 bytes), "network": bin}

``network`` holds the body, which is MessagePack again, and ``sha256`` is its SHA-256 digest. The
body is a map. A reader must accept its keys in any order; the first five are required::

    timestep_us   int, timestep in µs; 0: one forward pass per distinct timestamp
    input         {"shape": [int, ..]}
    populations   [{"name": text, "shape": [int, ..],
                    "neuron": {"model": "lif", "tau_mem_us": number or array f32,
                               "v_threshold": number or array f32,
                               "reset": "zero", "subtract" or "none", "refractory": bool,
                               "sync_threshold"?: int, "reset_delayed"?: bool,
                               "reset_amount"?: number or array f32,
                               "tau_syn_us"?: number or array f32,
                               "adaptation"?: {"tau_us": number or array f32,
                                               "increment": number or array f32}}}, ..];
                  or, for leaky integrators,
                    "neuron": {"model": "li", "tau_mem_us", "tau_syn_us"?}
    connections   [{"source": name of a population or "input", "target": name of a population,
                    "kind": "dense", "conv1d", "conv2d", "pool" or "sparse",
                    "bias"?: array f32, "delay_us"?: int, ..}, ..]; and depending on the kind:
                      dense   "weight": array f32 [target, source]
                      conv1d  "weight": array f32 [out, in, k], "stride": int, "padding": int
                      conv2d  "weight": array f32 [out, in, kh, kw], "stride": [y, x],
                              "padding": [y, x]
                      pool    "mode": "sum" or "average", "size": [int, ..], "stride": [int, ..],
                              "padding": [int, ..], one entry per axis; it has no "bias"
                      sparse  "indptr": array i64 [source + 1], "indices": array i64 [synapses],
                              "weight": array f32 [synapses]
    output        name of a population
    classes       [text, ..], distinct, one per output neuron
    policy        {"name": text, "group_size": int, "input"?: text, "noise"?: number}
    golden        [{"events": {"t_us": array i64, "index": array i64}, "policy": name of a policy,
                    "group_size": int, "input"?, "noise"?, "seed": int, "label": int or nil,
                    "spikes_sha256": bin (32 bytes)}, ..]
    meta          {text: text, int, float, bool or nil}
    calibration   [{"accuracy": float, "error": float, "measured": float, "samples": int,
                    "leads": [int, ..], "policy": as above}, ..]
    duration_us   int, length of each sample in µs
    vote_window   {"duration_us": int, "scale": float}
    certificate   {"network_sha256": bin, "samples": int, "samples_sha256": bin, "first": int,
                   "seed": int, "until": text,
                   "modes": [{"policy": as above, "correct": [int, ..], "weight"?: int}, ..],
                   "always_correct": int}

``golden`` lists samples with the digest of the spikes that the network must fire; ``calibration``
lists stop rules with the accuracy that each guarantees; ``certificate`` states the accuracy in
sampled orders. Without ``duration_us``, a sample ends with the bin of its last event.
``vote_window`` says how a network decides over time. A ``?`` marks an optional key of an inner map.
The meaning of the fields, their ranges and their defaults are those of the classes ``Model``,
``LIF``, ``LI``, ``Population``, ``Dense``, ``Conv1d``, ``Conv2d``, ``Pool``, ``Sparse``,
``PolicySpec``, ``GoldenSample``, ``Calibration``, ``VoteWindow`` and ``OrderCertificate``.

An array is a map ``{"dtype": "<f4" or "<i8", "shape": [int, ..], "data": bin}``; the data is in C
order. The MessagePack must be strict, see :mod:`neuroasync.core.formats.strict_msgpack`.

The writer is canonical: it writes keys in the order above, sorts ``meta`` by key, and leaves out
optional keys whose value is the default, as well as empty ``golden``, ``meta`` and
``calibration``, and ``duration_us``, ``vote_window`` and ``certificate`` if there is none.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import msgpack

from neuroasync import limits
from neuroasync.core.formats.atomic_write import atomic_file
from neuroasync.core.formats.bounded_open import PathOrBytes, open_bounded
from neuroasync.core.formats.bundle_calibration import (
    Calibration,
    calibration_map,
    check_calibrations,
    read_calibration,
)
from neuroasync.core.formats.bundle_golden import (
    GoldenSample,
    PolicySpec,
    check_golden,
    golden_map,
    policy_map,
    read_golden,
    read_policy,
)
from neuroasync.core.formats.bundle_model import MODEL_KEYS, model_map, read_model
from neuroasync.core.formats.envelope import Envelope
from neuroasync.core.formats.field_checks import (
    Scalar,
    as_list,
    as_map,
    check_classes,
    checked_meta,
    located,
)
from neuroasync.core.formats.file_kind import FileKind, name_file_in_errors
from neuroasync.core.formats.orders.certificate import (
    OrderCertificate,
    certificate_map,
    read_certificate,
)
from neuroasync.core.formats.strict_msgpack import decode
from neuroasync.core.formats.vote_window import VoteWindow, read_vote_window, vote_window_map
from neuroasync.core.model.checks import check_int, must_be
from neuroasync.core.model.model import Model
from neuroasync.core.quantity import quantity
from neuroasync.errors import BundleError

__all__ = [
    "Bundle",
    "Calibration",
    "GoldenSample",
    "OrderCertificate",
    "PolicySpec",
    "Scalar",
    "VoteWindow",
    "dump_bundle",
    "read_bundle",
    "write_bundle",
]

_ENVELOPE: Final = Envelope("bundle", "neuroasync-bundle", 1, "network", BundleError)
_OPTIONAL: Final = (
    "classes", "policy", "golden", "meta", "calibration", "duration_us", "vote_window",
    "certificate",
)  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class Bundle:
    """A trained network and the data that belongs to it.

    Two bundles are equal if :func:`write_bundle` writes the same bytes for both.

    Attributes:
        model: the network.
        classes: a distinct label for each output neuron.
        policy: the ordering policy that the network was trained for, which is the default when it
            runs.
        golden: samples with the digests of the spikes that they must produce.
        meta: origin of the network, such as data set, method, accuracy, seed and versions. Do not
            modify it.
        calibration: the stop rules that ``until="confidence(p)"`` chooses from.
        duration_us: length of the samples that the network was trained on, µs, at least 1. It is
            the default of every call that takes a ``duration_us``, and golden samples last as long.
            If None, a sample ends with its last event.
        vote_window: how the network decides over time, if it was trained to.
        certificate: the accuracy in sampled orders. It is dropped if it was measured with other
            weights or another ``duration_us``, for example when :func:`dataclasses.replace` changes
            the model.

    Raises:
        BundleError: the parts do not fit each other. The message names the path of the field.
    """

    model: Model
    classes: tuple[str, ...] | None = None
    policy: PolicySpec = field(default_factory=PolicySpec)
    golden: tuple[GoldenSample, ...] = ()
    meta: Mapping[str, Scalar] = field(default_factory=dict)
    calibration: tuple[Calibration, ...] = ()
    duration_us: int | None = None
    vote_window: VoteWindow | None = None
    certificate: OrderCertificate | None = None

    def __post_init__(self) -> None:
        """Check that the parts fit each other."""
        self._check_types()
        outputs = self.model.populations[self.model.index(self.model.output)].size
        with located():
            if self.classes is not None:
                check_classes(self.classes, outputs)
            object.__setattr__(self, "meta", checked_meta(self.meta))
            check_calibrations(self.calibration)
            if self.duration_us is not None:
                object.__setattr__(self, "duration_us", _checked_duration(self.duration_us))
            check_golden(self.golden, self.model.input_size, outputs, self.duration_us)
        if self.certificate is not None and not self.certificate.holds_for(
            self.model, self.duration_us
        ):
            object.__setattr__(self, "certificate", None)

    def _check_types(self) -> None:
        for name in ("classes", "golden", "calibration"):
            entries = getattr(self, name)
            if entries is not None or name != "classes":
                if isinstance(entries, str) or not isinstance(entries, Iterable):
                    raise BundleError(must_be(name, "a tuple", type(entries).__name__))
                object.__setattr__(self, name, tuple(entries))
        parts = [("model", self.model, Model), ("policy", self.policy, PolicySpec)]
        if self.vote_window is not None:
            parts.append(("vote_window", self.vote_window, VoteWindow))
        if self.certificate is not None:
            parts.append(("certificate", self.certificate, OrderCertificate))
        parts += [(f"golden[{k}]", part, GoldenSample) for k, part in enumerate(self.golden)]
        parts += [(f"calibration[{k}]", x, Calibration) for k, x in enumerate(self.calibration)]
        for path, part, kind in parts:
            if not isinstance(part, kind):
                raise BundleError(must_be(path, f"of type {kind.__name__}", type(part).__name__))

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the body as :func:`write_bundle` writes it.

        A file in which another program wrote the keys in a different order has another digest.
        """
        return hashlib.sha256(_pack(_body_map(self))).digest()

    def __eq__(self, other: object) -> bool:
        """Return whether both are written as the same bytes."""
        return self.digest == other.digest if isinstance(other, Bundle) else NotImplemented

    def __hash__(self) -> int:
        """Return the hash of the digest."""
        return hash(self.digest)

    def __repr__(self) -> str:
        """Return one line with the sizes, the policy of the training, and the optional parts."""
        policy = self.policy
        return (
            f"<Bundle {self.model.sizes}, policy={policy.name!r}, group_size={policy.group_size}, "
            f"input={policy.input!r}, {quantity(len(self.golden), 'golden sample')}, "
            f"{quantity(len(self.calibration), 'calibration')}>"
        )


def read_bundle(source: PathOrBytes, max_bytes: int = limits.MAX_BUNDLE_BYTES) -> Bundle:
    """Read a bundle. Its content is not trusted, and nothing in it is executed.

    Args:
        source: path of the file, or its bytes.
        max_bytes: maximum size of the file, bytes. Reading needs about twice that in memory.

    Raises:
        BundleError: the file is missing, damaged, too large, or describes a network that cannot
            run. The message names the path of the field and what is allowed.
    """
    with name_file_in_errors(source, FileKind.BUNDLE):
        with open_bounded(source, max_bytes, BundleError) as (file, size):
            data = source if isinstance(source, bytes) else file.read(size + 1)
        if len(data) != size:
            raise BundleError(
                f"the file had {size} bytes and then {len(data)}; it changed while it was read"
            )
        try:
            outer = decode(data)
        except BundleError as error:
            raise BundleError(f"this is not a bundle, or it is damaged: {error}") from error
        network = _ENVELOPE.open(outer)
        try:
            body = decode(network)
        except BundleError as error:
            raise BundleError(f"`network` cannot be decoded: {error}") from error
        return _read_body(body)


def dump_bundle(bundle: Bundle) -> bytes:
    """Return the bytes of a bundle file. Equal bundles give equal bytes.

    Raises:
        BundleError: the network is larger than MessagePack can hold (4 GiB).
    """
    network = _pack(_body_map(bundle))
    return _pack(_ENVELOPE.close(network))


def write_bundle(bundle: Bundle, path: str | os.PathLike[str]) -> None:
    """Write a bundle file atomically.

    Args:
        bundle: the bundle to write.
        path: path of the file. An existing file is replaced; it stays as it was if writing fails.

    Raises:
        BundleError: the file cannot be written, or the network is too large.
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
    if bundle.duration_us is not None:
        body["duration_us"] = bundle.duration_us
    if bundle.vote_window is not None:
        body["vote_window"] = vote_window_map(bundle.vote_window)
    if bundle.certificate is not None:
        body["certificate"] = certificate_map(bundle.certificate)
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
    duration_us = None
    if "duration_us" in body:  # nil is no duration
        with located():
            duration_us = _checked_duration(body["duration_us"])
    window = certificate = None
    if "vote_window" in body:
        window = read_vote_window("vote_window", body["vote_window"])
    if "certificate" in body:
        certificate = read_certificate("certificate", body["certificate"], model, duration_us)
    return Bundle(
        model, classes, policy, golden, meta, calibration, duration_us, window, certificate
    )


def _checked_duration(duration_us: object) -> int:
    return check_int("duration_us", duration_us, 1, limits.MAX_TIME_US)


def _pack(value: dict[str, Any]) -> bytes:
    try:
        return bytes(msgpack.packb(value))
    except (OverflowError, ValueError) as error:
        raise BundleError(f"the network is too large for a bundle: {error}") from error
