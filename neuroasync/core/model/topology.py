"""Networks from a short text: populations in a row, and arrows for skips and recurrence.

::

    timestep_us=1000 decay=0.9 v_threshold=1.0
    input  2x34x34
    conv1  c8k5s2p1                       # convolution: 8 channels, kernel 5, stride 2, padding 1
    conv2  c16k3s2                        # stride 1 and padding 0 where they are left out
    hidden d64  v_threshold=0.5           # dense: 64 neurons
    output d10                            # the last population is the output
    conv1 -> output                       # a skip, dense
    hidden -> hidden  delay_us=1000       # recurrent: to the next timestep
    hidden -> conv2                       # recurrent: within the forward pass

An item stands on a line of its own, or is set apart by ``;``. What follows a ``#`` is ignored.

- Settings come first: ``timestep_us``, and neuron parameters for all populations. Those are
  ``tau_mem_us`` or ``decay`` (the factor of the membrane potential in a timestep, 0 to 1; 0 is
  no memory), ``v_threshold``, ``reset`` (``zero`` or ``subtract``), ``refractory`` (``true`` or
  ``false``) and ``sync_threshold``, as :class:`~neuroasync.core.model.model.LIF` has them.
- Then the input: its size, or its shape, as ``channels x height x width`` for convolutions.
- Then populations, each connected to the one before it, with settings of its own after it.
- Then arrows, between any two of them and from the input; ``delay_us`` is a multiple of the
  timestep. An arrow is dense, or with a kernel (``conv1 -> conv3 k3s2p1``) a convolution.

Kernel, stride and padding may differ by axis, ``k5x1`` is (y, x). Strides take the place of
pooling, which the runtime does not have.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from neuroasync import limits
from neuroasync.core.model.connections import INPUT, Connection, Conv2d, Dense
from neuroasync.core.model.model import LIF, Model, Population, check_shape
from neuroasync.core.model.topology_lexer import KINDS, WINDOW, Item, Window, items_of, window_of
from neuroasync.errors import ModelError

__all__ = ["parse_topology", "same_topology"]

_NEURON: Final = ("decay", "tau_mem_us", "v_threshold", "reset", "refractory", "sync_threshold")
_LEAK: Final = frozenset({"decay", "tau_mem_us"})
_FORMS: Final = "d64 (64 neurons) or c8k5s2p1 (8 channels, kernel 5, stride 2, padding 1)"
_NO_MEMORY: Final = 200
"""Time constants in a timestep without memory: exp(-200) is 0 in float32."""


@dataclass(slots=True)
class _Draft:
    """What has been read so far; ``shapes`` has the input first, then populations in order."""

    timestep_us: int
    defaults: Mapping[str, str]
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    populations: list[Population] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)
    weights: int = 0


def parse_topology(text: str) -> Model:
    """The network that ``text`` describes, with weights 0.

    Args:
        text: in the language of this module.

    Raises:
        ModelError: an item cannot be read, or does not fit the others; says which, and what
            would be right.
    """
    items = items_of(text)
    draft = _settings([item for item in items if item.kind == "settings"])
    read: dict[str, Callable[[Item, _Draft], None]] = {
        "input": _input, "population": _population, "arrow": _arrow,
    }  # fmt: skip
    latest = 0
    for item in items:
        if (place := KINDS.index(item.kind)) < latest:
            item.fail("stands too late; expected settings, the input, populations, then arrows")
        latest = place
        if item.kind in read:
            read[item.kind](item, draft)
    if not draft.populations:
        raise ModelError("topology: no populations; expected some, as in 'output d10'")
    return Model(
        draft.timestep_us,
        draft.shapes[INPUT],
        tuple(draft.populations),
        tuple(draft.connections),
        draft.populations[-1].name,
    )


def same_topology(one: Model, other: Model) -> bool:
    """Whether two networks differ in nothing but the values of weights and biases."""
    return _without_values(one) == _without_values(other)


def _without_values(model: Model) -> Model:
    def bare(c: Connection) -> Connection:
        bias = None if c.bias is None else np.zeros_like(c.bias)
        return replace(c, weight=np.zeros_like(c.weight), bias=bias)

    return replace(model, connections=tuple(bare(c) for c in model.connections))


def _settings(items: list[Item]) -> _Draft:
    found: dict[str, str] = {}
    timestep_us = None
    for item in items:
        item.check_keys(("timestep_us", *_NEURON))
        for key in item.settings:
            if key in found:
                item.fail(f"{key} is set twice")
        found |= item.settings
        if "timestep_us" in item.settings:
            timestep_us = item.integer("timestep_us", item.settings["timestep_us"])
    if timestep_us is None:
        raise ModelError(
            "topology: timestep_us is missing; expected settings first, as in 'timestep_us=1000'"
        )
    draft = _Draft(timestep_us, {})
    for item in items:
        _neuron(item, draft)
        draft.defaults = {**draft.defaults, **item.settings}
    if found.keys() >= _LEAK:
        items[-1].fail("decay and tau_mem_us are both set; expected one of them")
    return draft


def _input(item: Item, draft: _Draft) -> None:
    item.check_keys(())
    if draft.shapes:
        item.fail("a second input; expected one")
    if len(item.words) != 2 or not re.fullmatch(r"\d{1,9}(x\d{1,9})*", item.words[1]):
        item.fail("expected a size or a shape, as in 'input 64' or 'input 2x34x34'")
    shape = tuple(int(extent) for extent in item.words[1].split("x"))
    check_shape(item.where, shape, limits.MAX_INPUTS)
    draft.shapes[INPUT] = shape


def _population(item: Item, draft: _Draft) -> None:
    if not draft.shapes:
        item.fail("expected the input first, as in 'input 2x34x34'")
    item.check_keys(_NEURON)
    if len(item.words) != 2:
        item.fail(f"expected a name, then {_FORMS}")
    name, form = item.words
    if name in draft.shapes:
        item.fail(f"{name!r} is used twice; expected a new name")
    source = list(draft.shapes)[-1]
    window = None
    if dense := re.fullmatch(r"d(\d{1,9})", form):
        shape: tuple[int, ...] = (int(dense[1]),)
    elif conv := re.fullmatch(rf"c(\d{{1,9}}){WINDOW}", form):
        window = window_of(conv.groups()[1:])
        shape = (int(conv[1]), *_extents(item, source, draft.shapes[source], window))
    else:
        item.fail(f"{form!r:.80}, expected {_FORMS}")
    check_shape(item.where, shape, limits.MAX_NEURONS)
    draft.shapes[name] = shape
    draft.populations.append(Population(name, shape, _neuron(item, draft)))
    _connect(item, draft, source, name, window, 0)


def _arrow(item: Item, draft: _Draft) -> None:
    item.check_keys(("delay_us",))
    words, names = item.words, list(draft.shapes)
    if not 3 <= len(words) <= 4 or words[1] != "->" or "->" in words[2:]:
        item.fail("expected an arrow between two names, as in 'conv1 -> output'")
    source, _, target, *form = words
    for name, known in ((source, names), (target, names[1:])):
        if name not in known:
            item.fail(f"{name!r:.80} is unknown here, expected one of {known!s:.200}")
    window = _arrow_window(item, draft, source, target, form[0]) if form else None
    delay_us = item.integer("delay_us", item.settings.get("delay_us", "0"))
    if draft.timestep_us and delay_us % draft.timestep_us:
        item.fail(f"delay_us={delay_us}, expected a multiple of timestep_us={draft.timestep_us}")
    _connect(item, draft, source, target, window, delay_us)


def _arrow_window(item: Item, draft: _Draft, source: str, target: str, form: str) -> Window:
    if not (found := re.fullmatch(WINDOW, form)):
        item.fail(f"{form!r:.80}, expected nothing (dense) or a kernel, as in 'k3s2p1'")
    window, expected = window_of(found.groups()), draft.shapes[target]
    extents = _extents(item, source, draft.shapes[source], window)
    if extents != expected[1:]:
        item.fail(
            f"gives planes of {_by(extents)}, expected {target!r} ({_by(expected)}) to fit; choose "
            "another kernel, stride or padding, or leave them out (dense)"
        )
    return window


def _extents(item: Item, source: str, shape: tuple[int, ...], window: Window) -> tuple[int, int]:
    """Height and width that a convolution of ``source`` gives."""
    if len(shape) != 3:
        item.fail(
            f"a convolution of {source!r}, which has shape {_by(shape)}; expected "
            "channels x height x width, as in 'input 2x34x34'"
        )
    if min(window.kernel) < 1 or min(window.stride) < 1:
        item.fail("a kernel or stride of 0, expected 1 or more")
    padded = (shape[1] + 2 * window.padding[0], shape[2] + 2 * window.padding[1])
    if window.kernel[0] > padded[0] or window.kernel[1] > padded[1]:
        item.fail(
            f"a kernel of {_by(window.kernel)}, expected at most {_by(padded)}: {source!r} with "
            "its padding"
        )
    y, x = ((padded[a] - window.kernel[a]) // window.stride[a] + 1 for a in (0, 1))
    return y, x


def _connect(
    item: Item, draft: _Draft, source: str, target: str, window: Window | None, delay_us: int
) -> None:
    into, out = draft.shapes[source], draft.shapes[target]
    shape: tuple[int, ...] = (math.prod(out), math.prod(into))
    if window is not None:
        shape = (out[0], into[0], *window.kernel)
    draft.weights += math.prod(shape)
    # What no bundle holds is of no use; nothing is allocated for it.
    if draft.weights > (limit := limits.MAX_BUNDLE_BYTES // 4):
        item.fail(f"{draft.weights} weights so far, expected at most {limit}: a bundle's limit")
    weight = np.zeros(shape, np.float32)
    if window is None:
        draft.connections.append(Dense(source, target, weight, delay_us=delay_us))
        return
    conv = Conv2d(source, target, weight, window.stride, window.padding, delay_us=delay_us)
    draft.connections.append(conv)


def _neuron(item: Item, draft: _Draft) -> LIF:
    own = {key: text for key, text in item.settings.items() if key in _NEURON}
    if own.keys() >= _LEAK:
        item.fail("decay and tau_mem_us are both set; expected one of them")
    hidden = _LEAK if own.keys() & _LEAK else frozenset()
    settings = {key: text for key, text in draft.defaults.items() if key not in hidden} | own
    values: dict[str, Any] = {}
    for key, text in settings.items():
        if key == "decay":
            values["tau_mem_us"] = _tau_mem_us(item, text, draft.timestep_us)
        elif key == "reset":
            values[key] = item.choice(key, text, {"zero": "zero", "subtract": "subtract"})
        elif key == "refractory":
            values[key] = item.choice(key, text, {"true": True, "false": False})
        elif key == "sync_threshold":
            values[key] = item.integer(key, text)
        elif key == "tau_mem_us":
            values[key] = item.number(key, text, lambda x: x > 0, "above 0, or inf (no leak)")
        elif key == "v_threshold":
            values[key] = item.number(key, text, lambda x: 1e-37 < x < 3e38, "above 0")
    return LIF(**values)


def _tau_mem_us(item: Item, text: str, timestep_us: int) -> float:
    """Time constant whose factor in a timestep is given: exp(-timestep / tau)."""
    if not timestep_us:
        item.fail(f"decay={text:.80}, expected tau_mem_us: there is no timestep (timestep_us=0)")
    decay = item.number("decay", text, lambda x: 0 <= x <= 1, "from 0 to 1")
    if decay == 0:
        return timestep_us / _NO_MEMORY
    return math.inf if decay == 1 else -timestep_us / math.log(decay)


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
