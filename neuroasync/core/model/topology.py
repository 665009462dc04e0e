"""The topology language: a network as a short text.

::

    timestep_us=1000 decay=0.9 v_threshold=1.0
    input  2x34x34
    conv1  c8k5s2p1                       # convolution: 8 channels, kernel 5, stride 2, padding 1
    conv2  c16k3s2                        # the stride defaults to 1, the padding to 0
    hidden d64  v_threshold=0.5           # dense: 64 neurons
    output d10                            # the last population is the output
    conv1 -> output                       # a dense skip connection
    hidden -> hidden  delay_us=1000       # recurrent: arrives in the next timestep
    hidden -> conv2                       # recurrent: arrives within the forward pass

Each item has a line of its own, or is separated from the next by ``;``. A ``#`` starts a comment
that ends with the line. Items appear in this order:

1. Settings: ``timestep_us``, and parameters for the neurons of all populations. These are
   ``tau_mem_us`` or ``decay`` (the factor by which the membrane potential decays in a timestep,
   from 0 to 1; 0 keeps nothing), ``v_threshold``, ``reset`` (``zero``, ``subtract`` or ``none``),
   ``reset_amount``, ``reset_delayed`` (``true`` or ``false``), ``refractory`` (``true`` or
   ``false``), ``sync_threshold``, ``tau_syn_us``, and ``adapt_tau_us`` with ``adapt_increment``.
   Their meaning is that of the fields of :class:`~neuroasync.core.model.neurons.LIF` and
   :class:`~neuroasync.core.model.neurons.Adaptation`. ``neuron=li`` makes a population one of
   :class:`~neuroasync.core.model.neurons.LI`, to which only the time constants apply.
   ``bias=true`` gives the connections that come with populations a bias, which starts at 0. Pools
   have none.
2. The input: ``input``, then a size, or a shape (without spaces) such as
   ``channels x height x width`` or ``channels x length``, which convolutions and pools require.
3. Populations: a name, then ``d`` and a number of neurons, ``c`` and a number of channels with a
   kernel, or a pool: ``sum`` or ``avg`` with a kernel. Each population is connected to the one
   before it, the first to the input. Neuron parameters and ``bias`` after it apply to this
   population only.
4. Arrows: further connections, between any two populations or from the input. ``delay_us`` must
   be a multiple of the timestep; ``bias`` is false if it is not set. An arrow is dense; followed by
   a kernel, as in ``conv1 -> conv3 k3s2p1``, it is a convolution, and followed by a pool, as in
   ``conv1 -> conv3 avgk2``, it is a pool.

A kernel is ``k`` and its size, then optionally ``s`` and a stride, then optionally ``p`` and a
padding. All three may differ by axis: ``k5x1`` is 5 high (y) and 1 wide (x). In a pool, the kernel
is the window: each neuron sums or averages the spikes of its channel in it, with weights that are
not trained, and the stride defaults to the size.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from neuroasync import limits
from neuroasync.core.model.checks import check_shape, check_text
from neuroasync.core.model.connections import INPUT, Connection, Dense, Pool
from neuroasync.core.model.model import Model, Population
from neuroasync.core.model.neurons import LI, LIF, RESETS, Adaptation, Neuron, check_neuron
from neuroasync.core.model.topology_lexer import KINDS, Item, split_items
from neuroasync.core.model.topology_windows import WINDOW_FORMS, Window, parse_window
from neuroasync.errors import ModelError

__all__ = ["parse_topology", "same_topology"]

_NEURON_KEYS: Final = (
    "decay", "tau_mem_us", "v_threshold", "reset", "reset_delayed", "reset_amount", "refractory",
    "sync_threshold", "tau_syn_us", "adapt_tau_us", "adapt_increment", "neuron",
)  # fmt: skip
_LI_KEYS: Final = ("neuron", "decay", "tau_mem_us", "tau_syn_us")
_ADAPTATION_KEYS: Final = ("adapt_tau_us", "adapt_increment")
_TRUE_OR_FALSE: Final = {"true": True, "false": False}
_LEAK_KEYS: Final = frozenset({"decay", "tau_mem_us"})
_FORMS: Final = (
    "d64 (64 neurons), c8k5s2p1 (8 channels, kernel 5, stride 2, padding 1) or sumk2 or avgk2 (a "
    "pool)"
)
_TIME_CONSTANTS_TO_ZERO: Final = 200
"""Time constants per timestep that stand for ``decay=0``: exp(-200) is 0 in float32."""


@dataclass(slots=True)
class _Draft:
    """The network as far as it has been read.

    Attributes:
        timestep_us: timestep, µs.
        defaults: neuron parameters for all populations, as text.
        shapes: shape of the input, then of each population, by name.
        populations: the populations in declared order.
        connections: the connections in declared order.
        weights: number of weights of all connections.
    """

    timestep_us: int
    defaults: Mapping[str, str]
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    populations: list[Population] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)
    weights: int = 0


def parse_topology(text: str) -> Model:
    """Return the network that ``text`` describes. All its weights are 0.

    Args:
        text: a network in the topology language, which this module's docstring defines.

    Raises:
        ModelError: an item cannot be read, or does not fit the others. The message names the item
            and says what is allowed.
    """
    items = split_items(text)
    draft = _read_settings([item for item in items if item.kind == "settings"])
    readers: dict[str, Callable[[Item, _Draft], None]] = {
        "input": _read_input, "population": _read_population, "arrow": _read_arrow,
    }  # fmt: skip
    latest = 0
    for item in items:
        if (position := KINDS.index(item.kind)) < latest:
            item.fail("out of order; write settings first, then the input, populations and arrows")
        latest = position
        if item.kind in readers:
            readers[item.kind](item, draft)
    if not draft.populations:
        raise ModelError("the topology has no populations; add at least one, such as 'output d10'")
    return Model(
        draft.timestep_us,
        draft.shapes[INPUT],
        tuple(draft.populations),
        tuple(draft.connections),
        draft.populations[-1].name,
    )


def same_topology(one: Model, other: Model) -> bool:
    """Return whether two networks are equal except for the values of weights and biases."""
    return _without_values(one) == _without_values(other)


def _without_values(model: Model) -> Model:
    def with_zeros(c: Connection) -> Connection:
        if isinstance(c, Pool):
            return c
        bias = None if c.bias is None else np.zeros_like(c.bias)
        return replace(c, weight=np.zeros_like(c.weight), bias=bias)

    return replace(model, connections=tuple(with_zeros(c) for c in model.connections))


def _read_settings(items: list[Item]) -> _Draft:
    settings: dict[str, str] = {}
    timestep_us = None
    for item in items:
        item.check_keys(("timestep_us", *_NEURON_KEYS, "bias"))
        for key in item.settings:
            if key in settings:
                item.fail(f"`{key}` is set twice")
        settings |= item.settings
        if "timestep_us" in item.settings:
            timestep_us = item.integer("timestep_us", item.settings["timestep_us"])
    if timestep_us is None:
        raise ModelError(
            "the topology does not set `timestep_us`; start with settings such as "
            "'timestep_us=1000'"
        )
    draft = _Draft(timestep_us, {})
    for item in items:
        # The values are used later, but an error must name the item that sets them.
        _neuron(item, draft)
        item.choice("bias", item.settings.get("bias", "false"), _TRUE_OR_FALSE)
        draft.defaults = {**draft.defaults, **item.settings}
    if settings.keys() >= _LEAK_KEYS:
        items[-1].fail("`decay` and `tau_mem_us` are both set; set only one of them")
    return draft


def _read_input(item: Item, draft: _Draft) -> None:
    item.check_keys(())
    if draft.shapes:
        item.fail("this is a second input; a network has exactly one")
    if len(item.words) != 2 or not re.fullmatch(r"\d{1,9}(x\d{1,9})*", item.words[1]):
        item.fail("write a size or a shape after it, as in 'input 64' or 'input 2x34x34'")
    shape = tuple(int(extent) for extent in item.words[1].split("x"))
    _check_shape(item, shape, limits.MAX_INPUTS)
    draft.shapes[INPUT] = shape


def _read_population(item: Item, draft: _Draft) -> None:
    if not draft.shapes:
        item.fail("the input must come first, as in 'input 2x34x34'")
    item.check_keys((*_NEURON_KEYS, "bias"))
    if len(item.words) != 2:
        item.fail(f"a population must be a name, then {_FORMS}")
    name, form = item.words
    if name in draft.shapes:
        item.fail(f"the name {name!r} is used twice; choose another")
    source = list(draft.shapes)[-1]
    window = None
    if dense := re.fullmatch(r"d(\d{1,9})", form):
        shape: tuple[int, ...] = (int(dense[1]),)
    else:
        conv = re.fullmatch(r"c(\d{1,9})(k.*)", form)
        window = parse_window(item, conv[2] if conv else form, source, draft.shapes[source])
        if window is None or (conv is None) == (window.mode == "convolution"):
            item.fail(f"the form of a population must be {_FORMS}, got {form!r:.80}")
        channels = int(conv[1]) if conv else draft.shapes[source][0]
        shape = (channels, *window.extents(item, source, draft.shapes[source]))
    _check_shape(item, shape, limits.MAX_NEURONS)
    neuron = _neuron(item, draft)
    try:
        check_text("name", name, limits.MAX_NAME_CHARS)
        check_neuron("neuron", neuron, shape)
    except ModelError as error:
        item.fail(str(error).replace("`neuron.", "`", 1))
    draft.shapes[name] = shape
    draft.populations.append(Population(name, shape, neuron))
    _connect(item, draft, source, name, window, 0)


def _check_shape(item: Item, shape: tuple[int, ...], max_size: int) -> None:
    try:
        check_shape("shape", shape, max_size)
    except ModelError as error:
        item.fail(str(error))


def _read_arrow(item: Item, draft: _Draft) -> None:
    item.check_keys(("delay_us", "bias"))
    words, names = item.words, list(draft.shapes)
    if not 3 <= len(words) <= 4 or words[1] != "->" or "->" in words[2:]:
        item.fail("an arrow must stand between two names, as in 'conv1 -> output'")
    source, _, target, *form = words
    for end, name, known in (("source", source, names), ("target", target, names[1:])):
        if name not in known:
            item.fail(f"the {end} of an arrow must be one of {known!s:.200}, got {name!r:.80}")
    window = None
    if form:
        window = parse_window(item, form[0], source, draft.shapes[source])
        if window is None:
            item.fail(f"after a target, write nothing (dense), {WINDOW_FORMS}, got {form[0]!r:.80}")
        window.check_fit(item, source, target, draft.shapes)
    delay_us = item.integer("delay_us", item.settings.get("delay_us", "0"))
    if draft.timestep_us and delay_us % draft.timestep_us:
        timestep = f"`timestep_us` ({draft.timestep_us})"
        item.fail(f"`delay_us` must be a multiple of {timestep}, got {delay_us}")
    _connect(item, draft, source, target, window, delay_us)


def _connect(
    item: Item, draft: _Draft, source: str, target: str, window: Window | None, delay_us: int
) -> None:
    if any(p.name == source and isinstance(p.neuron, LI) for p in draft.populations):
        item.fail(f"no connection may leave {source!r}, because its neurons (li) never fire")
    source_shape, target_shape = draft.shapes[source], draft.shapes[target]
    shape: tuple[int, ...] = (math.prod(target_shape), math.prod(source_shape))
    if window is not None:
        shape = window.weight_shape(source_shape, target_shape)
    draft.weights += math.prod(shape)
    # Check before allocating: a few characters can ask for terabytes. A network with more weights
    # than this does not fit into a bundle.
    if draft.weights > (limit := limits.MAX_BUNDLE_BYTES // 4):
        item.fail(
            f"the network may have at most {limit} weights, the limit of a bundle, "
            f"but has {draft.weights} so far"
        )
    is_pool = window is not None and window.is_pool
    if is_pool and item.settings.get("bias") == "true":
        item.fail("a pool has no bias")
    default = draft.defaults.get("bias", "false") if item.kind == "population" else "false"
    has_bias = item.choice("bias", item.settings.get("bias", default), _TRUE_OR_FALSE)
    weight = np.zeros(shape, np.float32)
    bias = np.zeros(shape[0], np.float32) if has_bias and not is_pool else None
    if window is None:
        draft.connections.append(Dense(source, target, weight, bias, delay_us))
        return
    draft.connections.append(window.connection(source, target, weight, bias, delay_us))


def _neuron(item: Item, draft: _Draft) -> Neuron:
    custom = {key: text for key, text in item.settings.items() if key in _NEURON_KEYS}
    if custom.keys() >= _LEAK_KEYS:
        item.fail("`decay` and `tau_mem_us` are both set; set only one of them")
    # A population's leak replaces the default, whichever of the two keys either is written with.
    hidden = _LEAK_KEYS if custom.keys() & _LEAK_KEYS else frozenset()
    settings = {key: text for key, text in draft.defaults.items() if key not in hidden} | custom
    kind = item.choice("neuron", settings.pop("neuron", "lif"), {"lif": "lif", "li": "li"})
    if kind == "li" and item.kind == "population":
        item.check_keys((*_LI_KEYS, "bias"))
    names = [key for key in settings if key in _NEURON_KEYS]
    values = {key: _neuron_value(item, key, settings[key], draft) for key in names}
    if "decay" in values:
        values["tau_mem_us"] = values.pop("decay")
    if kind == "li":
        return LI(**{key: value for key, value in values.items() if key in _LI_KEYS})
    adaptation = [values.pop(key) for key in _ADAPTATION_KEYS if key in values]
    if len(adaptation) == 2:
        values["adaptation"] = Adaptation(*adaptation)
    elif adaptation and item.kind == "population":
        item.fail("`adapt_tau_us` and `adapt_increment` belong together; set both of them")
    return LIF(**values)


def _neuron_value(item: Item, key: str, text: str, draft: _Draft) -> Any:
    """Return the value of a setting for neurons; of ``decay``, the membrane time constant."""
    match key:
        case "decay":
            return _tau_mem_us(item, text, draft.timestep_us)
        case "reset":
            return item.choice(key, text, {reset: reset for reset in RESETS})
        case "refractory" | "reset_delayed":
            return item.choice(key, text, _TRUE_OR_FALSE)
        case "sync_threshold":
            return item.integer(key, text)
        case "tau_mem_us":
            return item.number(key, text, lambda x: x > 0, "above 0, or inf for no leak")
        case "tau_syn_us" | "adapt_tau_us":
            return item.number(key, text, lambda x: x > 0, "above 0, or inf for no decay")
        case _:
            return item.number(key, text, lambda x: 1e-37 <= x <= 3e38, "from 1e-37 to 3e38")


def _tau_mem_us(item: Item, text: str, timestep_us: int) -> float:
    """Return the time constant for which exp(-timestep / tau) is the decay in ``text``."""
    if not timestep_us:
        item.fail("`decay` needs a timestep, but `timestep_us` is 0; set `tau_mem_us` instead")
    decay = item.number("decay", text, lambda x: 0 <= x <= 1, "from 0 to 1")
    if decay == 0:
        return timestep_us / _TIME_CONSTANTS_TO_ZERO
    return math.inf if decay == 1 else -timestep_us / math.log(decay)
