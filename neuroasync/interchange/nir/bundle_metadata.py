"""The parts of a bundle that NIR has no field for, in the metadata of a graph.

They are the choices of :class:`Discretisation`, and classes, policy, golden samples, ``meta``,
calibration, ``duration_us`` and the certificate of orders. Golden samples, calibrations and the
certificate are about one exact network, so they come back only if the network is still the one that
was exported.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

import msgpack

from neuroasync.core.formats.bundle import Bundle, Scalar
from neuroasync.core.formats.bundle_calibration import calibration_map, read_calibration
from neuroasync.core.formats.bundle_golden import (
    PolicySpec,
    golden_map,
    policy_map,
    read_golden,
    read_policy,
)
from neuroasync.core.formats.bundle_model import model_map
from neuroasync.core.formats.field_checks import as_list, as_map
from neuroasync.core.formats.orders.certificate import certificate_map, read_certificate
from neuroasync.core.formats.strict_msgpack import decode
from neuroasync.core.formats.vote_window import read_vote_window, vote_window_map
from neuroasync.core.model.model import Model
from neuroasync.errors import InterchangeError
from neuroasync.interchange.nir.discretisation import Discretisation

__all__ = ["METADATA_KEY", "as_text", "bundle_metadata", "bundle_with_metadata"]

METADATA_KEY: Final = "neuroasync"
"""Key of the metadata that neuroasync writes: JSON with what NIR has no field for."""

_KEYS: Final = ("classes", "policy", "golden", "meta", "calibration", "duration_us")
_OPTIONAL: Final = ("vote_window", "certificate")
"""Graphs of bundles without these parts keep the bytes that they had before there were any."""


def as_text(content: Mapping[str, Any]) -> dict[str, str]:
    """Return the metadata of a graph or a node with this content."""
    return {METADATA_KEY: json.dumps(content)}


def bundle_metadata(bundle: Bundle, how: Discretisation) -> dict[str, Any]:
    """Return what the metadata of an exported graph says about the whole bundle."""
    parts = {
        "classes": None if bundle.classes is None else list(bundle.classes),
        "policy": policy_map(bundle.policy),
        "golden": [golden_map(golden) for golden in bundle.golden],
        "meta": dict(bundle.meta),
        "calibration": [calibration_map(entry) for entry in bundle.calibration],
        "duration_us": bundle.duration_us,
    }
    if bundle.vote_window is not None:
        parts["vote_window"] = vote_window_map(bundle.vote_window)
    if bundle.certificate is not None:
        parts["certificate"] = certificate_map(bundle.certificate)
    return {
        "timestep_us": how.timestep_us,
        "step_us": how.step_us,
        "jump": how.jump,
        "decay": how.decay,
        "model_sha256": _digest(bundle.model),
        "parts": base64.b64encode(msgpack.packb(parts)).decode(),
    }


def bundle_with_metadata(model: Model, metadata: Mapping[str, Any], how: Discretisation) -> Bundle:
    """Return the bundle of an imported model.

    Args:
        model: the model.
        metadata: what :func:`bundle_metadata` wrote; empty for graphs of others.
        how: how the model was imported.

    Raises:
        InterchangeError: the metadata are damaged.
        BundleError: a part of the metadata are damaged, or does not fit the model.
    """
    if "parts" not in metadata:
        meta: dict[str, Scalar] = {
            "origin": "NIR",
            "step_us": how.step_us,
            "jump": how.jump,
            "decay": how.decay,
        }
        return Bundle(model, meta=meta)
    try:
        data = base64.b64decode(metadata["parts"], validate=True)
    except (TypeError, ValueError) as error:
        raise InterchangeError("the metadata of neuroasync are damaged (parts)") from error
    parts = as_map("metadata", decode(data), _KEYS, _OPTIONAL)
    classes = parts["classes"]
    policy: PolicySpec = read_policy("policy", parts["policy"])
    meta = as_map("meta", parts["meta"], (), None)
    names = None if classes is None else tuple(as_list("classes", classes))
    same_time = metadata.get("timestep_us") == how.timestep_us
    duration_us = parts["duration_us"] if same_time else None
    window = None
    if same_time and "vote_window" in parts:
        window = read_vote_window("vote_window", parts["vote_window"])
    if metadata.get("model_sha256") != _digest(model):
        return Bundle(model, names, policy, meta=meta, duration_us=duration_us, vote_window=window)
    golden = as_list("golden", parts["golden"])
    calibration = as_list("calibration", parts["calibration"])
    certificate = None
    if same_time and "certificate" in parts:
        certificate = read_certificate("certificate", parts["certificate"], model, duration_us)
    return Bundle(
        model,
        names,
        policy,
        tuple(read_golden(f"golden[{k}]", entry) for k, entry in enumerate(golden)),
        meta,
        tuple(read_calibration(f"calibration[{k}]", e) for k, e in enumerate(calibration)),
        duration_us,
        window,
        certificate,
    )


def _digest(model: Model) -> str:
    return hashlib.sha256(msgpack.packb(model_map(model))).hexdigest()
