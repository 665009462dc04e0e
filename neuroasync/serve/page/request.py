"""Parse and check the body of ``POST /trace``."""

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
from neuroasync.serve.page.drawing import drawing_for

__all__ = [
    "MAX_TRACE_BYTES",
    "MAX_TRACE_EVENTS",
    "MAX_TRACE_PASSES",
    "POLICIES",
    "TraceRequest",
    "parse_request",
]

MAX_TRACE_BYTES: Final = 2**20
"""Maximum size of a request body."""

MAX_TRACE_EVENTS: Final = 20_000
"""Maximum number of input events of a traced sample."""

MAX_TRACE_PASSES: Final = 1000
"""Maximum number of timesteps of a traced sample."""

MAX_TRACE_STEPS: Final = 20_000
"""Maximum number of forward steps in each pass of a traced sample."""

POLICIES: Final = ("layer-sync", "random", "momentum", "fifo")

_OPTIONS: Final = ("policy", "group_size", "until", "input")
_KNOWN: Final = ("events", "image", *_OPTIONS, "seed", "number")
_MAX_NUMBERS: Final = 2**53
"""Above this bound, JSON parsers that use doubles, such as browsers, lose digits."""


@dataclass(frozen=True, slots=True, eq=False)
class TraceRequest:
    """A sample and how to run it.

    Attributes:
        events: Input of the sample.
        number: Number of the sample in its data set. As in ``neuroasync run``, the seed of the
            sample depends on it.
        seed: Seed of the data set.
        options: Run options that differ from those of the network.
    """

    events: SpikeTrain
    number: int
    seed: int
    options: RunOptions


def parse_request(body: bytes, bundle: Bundle) -> TraceRequest:
    """Return the request in a body.

    Raises:
        ValueError: The body is not JSON, or a field is unknown, missing or invalid.
    """
    fields = _parse_object(body)
    for name in fields:
        if name not in _KNOWN:
            raise ValueError(f"unknown field {name!r:.80}; known fields are {', '.join(_KNOWN)}")
    seed, number = (_check_integer(name, fields.get(name, 0)) for name in ("seed", "number"))
    options: RunOptions = {"max_forward_steps": MAX_TRACE_STEPS}
    for name in _OPTIONS:
        if fields.get(name) is not None:
            options[name] = _check_option(name, fields[name])  # type: ignore[literal-required]
    if ("events" in fields) == ("image" in fields):
        raise ValueError("the request must have either `events` or `image`")
    if "image" in fields:
        events = _encode_image_field(fields["image"], bundle, number, seed)
    else:
        events = _check_events(fields["events"], bundle)
    return TraceRequest(events, number, check_seed(seed), options)


def _parse_object(body: bytes) -> Mapping[str, Any]:
    try:
        fields = json.loads(body, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("the body is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"the body is not JSON: {error!s:.120}") from None
    if not isinstance(fields, dict):
        raise ValueError(f"the body must be a JSON object, got a {type(fields).__name__}")
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _check_integer(name: str, value: object) -> int:
    if type(value) is not int or not 0 <= value < _MAX_NUMBERS:
        raise ValueError(f"`{name}` must be an integer from 0 to 2**53 - 1, got {value!r:.80}")
    return value


def _check_option(name: str, value: Any) -> str | int:
    """Return the checked group size, or a text, which the network checks."""
    if name == "group_size":
        return RunSettings(group_size=value).group_size
    if isinstance(value, str):
        return value
    raise ValueError(f"`{name}` must be a string, got {value!r:.80}")


def _check_events(value: object, bundle: Bundle) -> SpikeTrain:
    if not isinstance(value, dict) or set(value) - {"value"} != {"t_us", "index"}:
        raise ValueError(
            f'`events` must be an object {{"t_us": [...], "index": [...]}}, got {value!r:.80}'
        )
    for name in value:
        if not isinstance(value[name], list) or len(value[name]) > MAX_TRACE_EVENTS:
            kind = "numbers" if name == "value" else "integers"
            raise ValueError(f"`events.{name}` must be a list of at most {MAX_TRACE_EVENTS} {kind}")
    train = SpikeTrain(value["t_us"], value["index"], value.get("value"))
    train.check_indices(bundle.model.input_size)
    timestep = bundle.model.timestep_us
    if timestep and len(train) and train.t_us[-1] // timestep >= MAX_TRACE_PASSES:
        raise ValueError(
            f"`events.t_us[{len(train) - 1}]` must be below {MAX_TRACE_PASSES * timestep} "
            f"({MAX_TRACE_PASSES} timesteps of {timestep} µs), got {train.t_us[-1]}"
        )
    return train


def _encode_image_field(value: object, bundle: Bundle, number: int, seed: int) -> SpikeTrain:
    drawing = drawing_for(bundle)
    if drawing is None:
        raise ValueError(
            "`image` needs a network whose input is an image of a known coding; send `events`"
        )
    image = _check_image(value, drawing.height, drawing.width)
    return encode_image(image, drawing.coding, number, encoding_index=seed)


def _check_image(value: object, height: int, width: int) -> NDArray[np.float64]:
    if not isinstance(value, list) or len(value) != height:
        raise ValueError(f"`image` must be a list of {height} rows of {width} numbers from 0 to 1")
    for y, row in enumerate(value):
        if not isinstance(row, list) or len(row) != width:
            raise ValueError(f"`image[{y}]` must be a list of {width} numbers")
        for x, cell in enumerate(row):
            if type(cell) not in (int, float) or not 0 <= cell <= 1:
                raise ValueError(
                    f"`image[{y}][{x}]` must be a number from 0 to 1, got {cell!r:.80}"
                )
    return np.array(value, np.float64)
