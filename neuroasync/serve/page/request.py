"""What a ``POST /trace`` may ask for, checked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.run_settings import RunOptions, RunSettings, check_seed
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.formats.bundle import Bundle
from neuroasync.datasets.images import encode_image
from neuroasync.serve.page.drawing import drawing_of

__all__ = [
    "MAX_TRACE_BYTES",
    "MAX_TRACE_EVENTS",
    "MAX_TRACE_PASSES",
    "POLICIES",
    "TraceRequest",
    "read_request",
]

MAX_TRACE_BYTES: Final = 2**20
"""Largest request."""

MAX_TRACE_EVENTS: Final = 20_000
"""Input events of a sample that is traced."""

MAX_TRACE_PASSES: Final = 1000
"""Timesteps of a sample that is traced."""

MAX_TRACE_STEPS: Final = 20_000
"""Forward steps of one of its passes."""

POLICIES: Final = ("layer-sync", "random", "momentum", "fifo")

_OPTIONS: Final = ("policy", "group_size", "until", "input")
_KNOWN: Final = ("events", "image", *_OPTIONS, "seed", "number")
_MAX_NUMBERS: Final = 2**53
"""What JSON's readers agree on."""


@dataclass(frozen=True, slots=True, eq=False)
class TraceRequest:
    """A sample, and how to run it.

    Attributes:
        events: its input.
        number: of the sample in its data set, which its order keys depend on, as in ``run``.
        seed: the data set's.
        options: how to run, where other than the network.
    """

    events: SpikeTrain
    number: int
    seed: int
    options: RunOptions


def read_request(body: bytes, bundle: Bundle) -> TraceRequest:
    """The request in a body.

    Raises:
        ValueError: it breaks a rule; says which, where, and what would be right.
    """
    fields = _object(body)
    for name in fields:
        if name not in _KNOWN:
            raise ValueError(f"{name!r:.80}: unknown, expected some of {', '.join(_KNOWN)}")
    seed, number = (_integer(name, fields.get(name, 0)) for name in ("seed", "number"))
    options: RunOptions = {"max_forward_steps": MAX_TRACE_STEPS}
    for name in _OPTIONS:
        if fields.get(name) is not None:
            options[name] = _option(name, fields[name])  # type: ignore[literal-required]
    if ("events" in fields) == ("image" in fields):
        raise ValueError("expected either 'events' or 'image'")
    if "image" in fields:
        events = _encoded(fields["image"], bundle, number, seed)
    else:
        events = _events(fields["events"], bundle)
    return TraceRequest(events, number, check_seed(seed), options)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        fields = json.loads(body, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("the body is nested too deeply, expected a JSON object") from None
    except ValueError as error:
        raise ValueError(f"the body is not JSON: {error!s:.120}") from None
    if not isinstance(fields, dict):
        raise ValueError(f"the body is a JSON {type(fields).__name__}, expected an object")
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _integer(name: str, value: object) -> int:
    if type(value) is not int or not 0 <= value < _MAX_NUMBERS:
        raise ValueError(f"{name}: {value!r:.80}, expected an integer from 0 to 2**53 - 1")
    return value


def _option(name: str, value: Any) -> str | int:
    """The group size, checked; or a text, and what it may be the network says."""
    if name == "group_size":
        return RunSettings(group_size=value).group_size
    if isinstance(value, str):
        return value
    raise ValueError(f"{name}: {value!r:.80}, expected text")


def _events(value: object, bundle: Bundle) -> SpikeTrain:
    if not isinstance(value, dict) or set(value) != {"t_us", "index"}:
        raise ValueError(f"events: {value!r:.80}, expected {{'t_us': [..], 'index': [..]}}")
    for name in ("t_us", "index"):
        if not isinstance(value[name], list) or len(value[name]) > MAX_TRACE_EVENTS:
            raise ValueError(
                f"events.{name}: expected a list of at most {MAX_TRACE_EVENTS} integers"
            )
    train = SpikeTrain(value["t_us"], value["index"])
    train.check_indices(bundle.model.input_size)
    timestep = bundle.model.timestep_us
    if timestep and len(train) and train.t_us[-1] // timestep >= MAX_TRACE_PASSES:
        raise ValueError(
            f"events.t_us[{len(train) - 1}]: {train.t_us[-1]}, expected below "
            f"{MAX_TRACE_PASSES * timestep}: {MAX_TRACE_PASSES} timesteps of {timestep} µs"
        )
    return train


def _encoded(value: object, bundle: Bundle, number: int, seed: int) -> SpikeTrain:
    drawing = drawing_of(bundle)
    if drawing is None:
        raise ValueError("image: this network's input is no image of a known coding; send 'events'")
    image = _image(value, drawing.height, drawing.width)
    return encode_image(image, drawing.coding, number, draw=seed)


def _image(value: object, height: int, width: int) -> NDArray[np.float64]:
    shape = f"{height} rows of {width} numbers from 0 to 1"
    if not isinstance(value, list) or len(value) != height:
        raise ValueError(f"image: expected {shape}")
    for y, row in enumerate(value):
        if not isinstance(row, list) or len(row) != width:
            raise ValueError(f"image[{y}]: expected {width} numbers")
        for x, cell in enumerate(row):
            if type(cell) not in (int, float) or not 0 <= cell <= 1:
                raise ValueError(f"image[{y}][{x}]: {cell!r:.80}, expected a number from 0 to 1")
    return np.array(value, np.float64)
