"""Imports a trained torch module as a bundle: trace, layers, connections."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from neuroasync import limits
from neuroasync.core.formats.bundle import Bundle, Scalar
from neuroasync.core.model.connections import INPUT, Connection
from neuroasync.core.model.model import Model, Population
from neuroasync.core.model.neurons import LI, Neuron
from neuroasync.errors import InterchangeError, ModelError
from neuroasync.interchange.torch_modules.framework import (
    Framework,
    Layout,
    SpikingLayer,
    evaluation,
    run_module,
)
from neuroasync.interchange.torch_modules.linear_connections import (
    connections_of,
    convolved_shape,
)
from neuroasync.interchange.torch_modules.row_checks import check_rows, check_timesteps
from neuroasync.interchange.torch_modules.trace import LayoutError, Trace

__all__ = ["ImportedModule", "import_module"]

_BATCH: Final = 8
"""Number of samples of the traced run; it must differ from the number of timesteps."""
_TIMESTEPS: Final = 3
_INPUT: Final = ".input"
"""Name of the network's input among those of layers. No layer can have it."""


@dataclass(frozen=True, slots=True, eq=False)
class ImportedModule:
    """A module and the network that computes the same.

    Attributes:
        model: The network.
        layout: How the module takes its input.
        layers: The spiking layers by the name of their population, in the order of populations.
        conditions: Sentences about layers that are exact under a condition only.
        notes: Sentences about parameters that are not exact to the last bit.
    """

    model: Model
    layout: Layout
    layers: Mapping[str, nn.Module]
    conditions: tuple[str, ...]
    notes: tuple[str, ...]

    def bundle(
        self, framework: Framework, classes: tuple[str, ...] | None, timesteps: int | None
    ) -> Bundle:
        """Return the network as a bundle that says where it comes from.

        Args:
            framework: The framework that it comes from.
            classes: Names of the classes.
            timesteps: Number of timesteps of a sample, if it is known.
        """
        meta: dict[str, Scalar] = {
            "framework": f"{framework.name} {_version(framework.package)}",
            "torch": str(torch.__version__),
        }
        remarks = " ".join(f"{remark}." for remark in (*self.conditions, *self.notes))
        if remarks:
            meta["import"] = remarks[: limits.MAX_TEXT_CHARS]
        duration_us = None if timesteps is None else timesteps * self.model.timestep_us
        return Bundle(self.model, classes, meta=meta, duration_us=duration_us)


def import_module(
    framework: Framework,
    module: nn.Module,
    timestep_us: int,
    input_shape: tuple[int, ...],
    timesteps: int | None,
) -> ImportedModule:
    """Return the network that computes what a module computes.

    Args:
        framework: The framework of its spiking layers.
        module: The module. Its parameters and its mode stay as they are.
        timestep_us: Duration of one timestep, µs.
        input_shape: Shape of the input at one timestep, without the batch.
        timesteps: Number of timesteps to run, if the module may demand it.

    Raises:
        InterchangeError: A part of the module has no exact counterpart.
    """
    layers = _layers(framework, module)
    with evaluation(module):
        layout, trace, lead = _trace(framework, module, layers, input_shape, timesteps)
    if trace.unused:
        raise InterchangeError(
            f"{trace.unused[0]} leads to no spiking layer, so it has no place in the network; make "
            "a spiking layer the last one"
        )
    mapped = {
        name: framework.spiking_layer(
            layers[name], name, trace.shapes[name][_lead_dims(layout):], timestep_us,
            name == trace.order[-1],
        )
        for name in trace.order
    }  # fmt: skip
    _check_readouts(mapped)
    try:
        populations, connections = _parts(trace, mapped, layout, lead, input_shape, timestep_us)
        model = Model(timestep_us, input_shape, populations, connections, populations[-1].name)
    except ModelError as error:
        raise InterchangeError(f"the module cannot become a network: {error}") from error
    conditions = tuple(layer.condition for layer in mapped.values() if layer.condition)
    notes = tuple(note for layer in mapped.values() for note in layer.notes)
    named = dict(zip((p.name for p in populations), (layers[n] for n in trace.order), strict=True))
    return ImportedModule(model, layout, named, conditions, notes)


def _layers(framework: Framework, module: nn.Module) -> dict[str, nn.Module]:
    if not isinstance(module, nn.Module):
        raise InterchangeError(f"`module` must be a torch module, got {type(module).__name__}")
    layers = {name: part for name, part in module.named_modules() if framework.is_layer(part)}
    if not layers:
        raise InterchangeError(f"`module` has no spiking layer of {framework.name}")
    for name, layer in layers.items():
        framework.check_layer(layer, name)
    return layers


def _trace(
    framework: Framework,
    module: nn.Module,
    layers: Mapping[str, nn.Module],
    input_shape: tuple[int, ...],
    timesteps: int | None,
) -> tuple[Layout, Trace, int]:
    """Run the module in each possible layout until one fits; return its trace."""
    problems: list[Exception] = []
    for layout in framework.layouts(list(layers.values())):
        for count in dict.fromkeys((_TIMESTEPS, timesteps or _TIMESTEPS)):
            try:
                trace = _traced_run(framework, module, layers, layout, (count, *input_shape))
            except Exception as error:  # A module may fail in any way on an input it cannot take.
                problems.append(error)
                continue
            expected = 1 if layout.calls_once else count
            wrong = {name: n for name, n in trace.calls.items() if n not in (0, expected)}
            if not wrong and trace.order:
                return layout, trace, _BATCH * (count if layout.calls_once else 1)
            name, calls = next(iter(wrong.items()), ("", 0))
            problems.append(LayoutError(
                f"layer `{name}` was called {calls} times for {count} timesteps"
            ))  # fmt: skip
    for problem in problems:
        if isinstance(problem, InterchangeError) and not isinstance(problem, LayoutError):
            raise problem
    causes = "; ".join(dict.fromkeys(f"{problem!s:.300}" for problem in problems))
    raise InterchangeError(
        f"the module cannot run on an input of shape {input_shape} (`input_shape`). It must take "
        "one timestep, or loop over all of them and call each layer once per timestep. "
        f"What happened: {causes}"
    ) from problems[0]


def _traced_run(
    framework: Framework,
    module: nn.Module,
    layers: Mapping[str, nn.Module],
    layout: Layout,
    shape: tuple[int, ...],
) -> Trace:
    trace = Trace(layers, framework.whole_input, framework.state)

    def mark(tensor: torch.Tensor, timestep: int) -> None:
        if layout in (Layout.LOOP, Layout.LOOP_BATCH_FIRST):
            trace.mark_frames(tensor, _INPUT, dim=int(layout is Layout.LOOP_BATCH_FIRST))
        else:
            trace.mark(tensor, _INPUT, timestep)

    with trace.watch(module):
        run_module(framework, module, layout, torch.zeros(_BATCH, *shape), mark)
    return trace


def _check_readouts(mapped: Mapping[str, SpikingLayer]) -> None:
    for name in list(mapped)[:-1]:
        if isinstance(mapped[name].neuron, LI):
            raise InterchangeError(
                f"layer `{name}` sends its potentials, so it must be the last one"
            )


def _lead_dims(layout: Layout) -> int:
    return 2 if layout in (Layout.TIME_FIRST, Layout.BATCH_FIRST) else 1


def _parts(
    trace: Trace,
    mapped: Mapping[str, SpikingLayer],
    layout: Layout,
    lead: int,
    input_shape: tuple[int, ...],
    timestep_us: int,
) -> tuple[tuple[Population, ...], tuple[Connection, ...]]:
    names = {_INPUT: INPUT}
    shapes: dict[str, tuple[int, ...]] = {_INPUT: input_shape}
    for name in trace.order:
        names[name] = _population_name(name, names)
        own = trace.shapes[name][_lead_dims(layout) :]
        size = int(np.prod(own))
        shapes[name] = own if len(own) == 3 else convolved_shape(trace.inputs[name], size) or own
    populations, connections = [], []
    for name in trace.order:
        layer, expression = mapped[name], trace.inputs[name]
        check_rows(expression, name, lead)
        for timestep, earlier in trace.earlier[name].items():
            check_timesteps(expression, earlier, trace.calls[name] - 1 - timestep, name)
        latest = 0 if layout.calls_once else trace.calls[name] - 1
        delays = {s: (latest - s.timestep) * timestep_us for s, _ in expression.paths}
        neuron = _reshaped(layer.neuron, shapes[name])
        populations.append(Population(names[name], shapes[name], neuron))
        gain = layer.gain.reshape(shapes[name])
        connections += connections_of(expression, name, shapes, lead, gain, delays)
    renamed = [_renamed(c, names) for c in connections]
    return tuple(populations), tuple(renamed)


def _renamed(connection: Connection, names: Mapping[str, str]) -> Connection:
    source, target = names[connection.source], names[connection.target]
    return replace(connection, source=source, target=target)


def _reshaped(neuron: Neuron, shape: tuple[int, ...]) -> Neuron:
    """Return the neuron with its arrays in the shape of its population."""
    arrays: dict[str, Any] = {
        f.name: value.reshape(shape)
        for f in fields(neuron)
        if isinstance(value := getattr(neuron, f.name), np.ndarray)
    }
    return replace(neuron, **arrays)


def _population_name(name: str, taken: Mapping[str, str]) -> str:
    """Return the name of a layer as that of a population, which no other one has.

    A layer of an ``nn.Sequential`` has a number for a name.
    """
    last = name.rpartition(".")[2] or "layer"
    chosen = f"layer{last}" if last.isdigit() else last
    numbered = (f"{chosen}_{k}" for k in range(2, len(taken) + 2))
    return next(n for n in (chosen, name or chosen, *numbered) if n not in taken.values())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # The framework runs from a source tree.
        return "of an unknown version"
