"""Runs a module once and finds out which linear functions of which spikes reach each layer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from neuroasync.errors import InterchangeError
from neuroasync.interchange.torch_modules.expressions import (
    LinearExpression,
    LinearStep,
    Source,
    Unmappable,
)
from neuroasync.interchange.torch_modules.linear_functions import (
    CREATING,
    JOINING,
    linear_step,
    name_of,
    wide,
)

__all__ = ["LayerInput", "LayerState", "LayoutError", "Trace"]

Meaning: TypeAlias = LinearExpression | Unmappable

LayerState: TypeAlias = Callable[[nn.Module, Sequence[Any]], list[Tensor] | None]
"""See ``Framework.state``."""

LayerInput: TypeAlias = Callable[
    [nn.Module, Sequence[Any], Callable[[Sequence[int]], Tensor]], Tensor
]
"""See ``Framework.whole_input``."""


_WHOLE_INPUT: Final = "the input of all timesteps together"


class LayoutError(InterchangeError):
    """The module does not take its input as it was given, one timestep or all of them."""


class Trace(TorchFunctionMode):
    """Records the meaning of every tensor while a module runs.

    Args:
        layers: The spiking layers, by name.
        layer_input: Function that computes the whole input current of a layer.
        layer_state: Function that returns the state that a layer starts from.

    Attributes:
        calls: How often each layer was called.
        inputs: The expression of the input current of each layer at its latest call.
        order: Names of the layers in the order of their first calls.
        unused: Labels of the steps with weights whose result reached no layer at the latest call.
    """

    def __init__(
        self, layers: Mapping[str, nn.Module], layer_input: LayerInput, layer_state: LayerState
    ) -> None:
        super().__init__()
        self._layers = layers
        self._layer_input, self._layer_state = layer_input, layer_state
        # The tensors are kept, so that no other one gets the same id.
        self._meanings: dict[int, tuple[Tensor, Meaning]] = {}
        self._frames: tuple[Tensor, str, int] | None = None
        self._depth = 0
        self._modules: list[str] = []
        self.calls: dict[str, int] = dict.fromkeys(layers, 0)
        self.inputs: dict[str, LinearExpression] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.order: list[str] = []
        self._weighted: dict[str, int] = {}
        self._used: set[str] = set()

    @contextmanager
    def watch(self, module: nn.Module) -> Iterator["Trace"]:
        """Trace what ``module`` computes inside the block."""
        names = {layer: name for name, layer in self._layers.items()}
        handles = []
        for name, part in module.named_modules():
            if part in names:
                handles.append(part.register_forward_pre_hook(self._before(names[part])))
                handles.append(part.register_forward_hook(self._after(names[part])))
            else:
                label = f"{type(part).__name__} `{name}`" if name else type(part).__name__
                handles.append(part.register_forward_pre_hook(lambda *_, x=label: self._enter(x)))
                handles.append(part.register_forward_hook(lambda *_: self._leave()))
        try:
            with torch.no_grad(), self:
                yield self
        finally:
            for handle in handles:
                handle.remove()

    def mark(self, tensor: Tensor, name: str, timestep: int) -> Tensor:
        """Note that ``tensor`` holds the spikes of a source at a timestep, and return it."""
        source = Source(name, timestep, tuple(tensor.shape))
        zeros = torch.zeros(tensor.shape, dtype=torch.float64)
        self._note(tensor, LinearExpression(((source, ()),), zeros))
        return tensor

    def mark_frames(self, sequence: Tensor, name: str, dim: int) -> Tensor:
        """Note that element t of a dimension holds a source at timestep t; return ``sequence``."""
        self._frames = sequence, name, dim
        self._note(sequence, Unmappable(_WHOLE_INPUT))
        return sequence

    @property
    def unused(self) -> list[str]:
        """Labels of the steps with weights whose results reached no layer."""
        return [label for label in self._weighted if label not in self._used]

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run a function of torch, and note what its result means."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if self._depth:
            return result
        if self._frames is not None and args and args[0] is self._frames[0]:
            return self._frame(func, args, result)
        traced = [t for t in _tensors([*args, *kwargs.values()]) if id(t) in self._meanings]
        if not traced or name_of(func) in CREATING:
            return result
        if isinstance(result, Iterator):
            result = list(result)
            self._note_parts(func, args, kwargs, result)
            return iter(result)
        if isinstance(result, list | tuple):
            self._note_parts(func, args, kwargs, result)
        elif isinstance(result, Tensor):
            self._note(result, self._meaning(func, args, kwargs, traced))
        return result

    def _note(self, tensor: Tensor, meaning: Meaning) -> None:
        self._meanings[id(tensor)] = tensor, meaning

    def _note_parts(
        self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any],
        parts: Sequence[Any],
    ) -> None:  # fmt: skip
        traced = [t for t in _tensors(args) if id(t) in self._meanings]
        for k, part in enumerate(parts):
            if isinstance(part, Tensor):

                def pick(*a: Any, k: int = k, **kw: Any) -> Any:
                    return list(func(*a, **kw))[k]

                pick.__name__ = name_of(func)
                self._note(part, self._meaning(pick, args, kwargs, traced))

    def _frame(self, func: Callable[..., Any], args: Sequence[Any], result: Any) -> Any:
        """Note the timestep of an element of the sequence of input frames."""
        assert self._frames is not None  # noqa: S101  # for the type checker
        _, name, dim = self._frames
        kind, rest = name_of(func), tuple(args[1:])
        if (kind == "unbind" and (rest or (0,)) == (dim,)) or (kind == "iter" and dim == 0):
            frames = [self.mark(frame, name, t) for t, frame in enumerate(result)]
            return iter(frames) if kind == "iter" else tuple(frames)
        timestep = None
        if kind == "select" and rest[:1] == (dim,):
            timestep = rest[1]
        elif kind == "getitem":
            timestep = _index_of(rest[0], dim)
        if isinstance(timestep, int):
            return self.mark(result, name, timestep % args[0].shape[dim])
        if isinstance(result, Tensor) and id(result) not in self._meanings:
            label = f"`{kind}` of {_WHOLE_INPUT}{self._place()}"
            self._note(result, Unmappable(label))
        return result

    def _meaning(
        self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any],
        traced: Sequence[Tensor],
    ) -> Meaning:  # fmt: skip
        meanings = [self._meanings[id(t)][1] for t in traced]
        for meaning in meanings:
            if isinstance(meaning, Unmappable):
                return meaning
        label = self._label(func)
        if name_of(func) in JOINING:
            return self._joined(func, args, kwargs, label)
        swapped = name_of(func) == "mul" and len(args) == 2 and id(args[0]) not in self._meanings
        ordered = (args[1], args[0]) if swapped else args
        (expression,) = meanings[:1]
        if len(traced) > 1 or ordered[0] is not traced[0]:
            return Unmappable(label)
        affine = linear_step(func, ordered, kwargs, label)
        if affine is None or isinstance(expression, Unmappable):
            return Unmappable(label)
        if affine[0].has_weights:
            self._weighted[label] = 1
        return expression.after(*affine)

    def _joined(
        self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], label: str
    ) -> LinearExpression:
        """Return the meaning of a sum or a concatenation of tensors."""
        paths: list[tuple[Source, tuple[LinearStep, ...]]] = []
        is_sum = name_of(func) in {"add", "sub", "rsub"}

        def alone(keep: Callable[[Any], Any]) -> Any:
            return func(*_mapped(args, keep), **_mapped(kwargs, keep))

        def zero(part: Any) -> Any:
            if isinstance(part, Tensor):
                return torch.zeros(part.shape, dtype=torch.float64)
            return 0 if is_sum and any(part is a for a in args) else part

        def constant_of(part: Any) -> Any:
            if not isinstance(part, Tensor):
                return part
            meaning = self._meanings.get(id(part), (part, None))[1]
            return meaning.constant if isinstance(meaning, LinearExpression) else wide(part)

        seen: set[int] = set()
        for part in _tensors([*args, *kwargs.values()]):
            meaning = self._meanings.get(id(part), (part, None))[1]
            if not isinstance(meaning, LinearExpression) or id(part) in seen:
                continue
            seen.add(id(part))

            def apply(v: Tensor, part: Tensor = part) -> Tensor:
                return torch.as_tensor(alone(lambda p: v if p is part else zero(p)))

            step = LinearStep(label, apply, is_reshape=name_of(func) == "add")
            paths += [(source, (*path, step)) for source, path in meaning.paths]
        return LinearExpression(tuple(paths), torch.as_tensor(alone(constant_of)))

    def _before(self, name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, args: Sequence[Any]) -> None:
            if not self._depth:
                self._record(name, layer, args)
            self._depth += 1

        return hook

    def _after(self, name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, args: Sequence[Any], output: Any) -> None:
            self._depth -= 1
            if self._depth:
                return
            spikes, *states = output if isinstance(output, tuple) else (output,)
            timestep = self.calls[name] - 1
            for state in _tensors([states, self._layer_state(layer, ()) or []]):
                self._note(state, Unmappable(_state_of(name)))
            self.mark(spikes, name, timestep)

        return hook

    def _record(self, name: str, layer: nn.Module, args: Sequence[Any]) -> None:
        """Note the input current of a layer that is about to be called."""
        timestep = self.calls[name]
        if timestep:
            self._check_state(name, self._layer_state(layer, args), timestep - 1)
        self.calls[name] += 1
        if name not in self.order:
            self.order.append(name)

        def previous(shape: Sequence[int]) -> Tensor:
            return self.mark(torch.zeros(*shape), name, timestep - 1)

        current = self._layer_input(layer, args, previous)
        meaning = self._meanings.get(id(current), (current, None))[1]
        if meaning is None:
            raise InterchangeError(
                f"layer `{name}` gets an input that does not depend on the input of the network"
            )
        if isinstance(meaning, Unmappable):
            is_whole = _WHOLE_INPUT in meaning.reason
            error = LayoutError if is_whole else InterchangeError
            raise error(
                f"layer `{name}` gets {meaning.reason}, which is not a linear function of "
                "spikes, so the network cannot be imported"
            )
        self._used |= {step.label for _, path in meaning.paths for step in path}
        self.inputs[name], self.shapes[name] = meaning, tuple(current.shape)

    def _check_state(self, name: str, state: list[Tensor] | None, timestep: int) -> None:
        """Check that a layer continues from where it ended in the previous timestep."""
        if state is None:
            return
        for tensor in state:
            meaning = self._meanings.get(id(tensor), (tensor, None))[1]
            if isinstance(meaning, LinearExpression):  # its own spikes, which are states of some
                sources = [(source.name, source.timestep) for source, _ in meaning.paths]
                is_own = sources == [(name, timestep)]
            else:
                is_own = meaning == Unmappable(_state_of(name))
            if not is_own:
                break
        else:
            if state:
                return
        raise LayoutError(
            f"layer `{name}` does not continue from its state of the previous timestep; the module "
            "must keep the state, and may reset it before the first timestep only"
        )

    def _enter(self, label: str) -> None:
        if not self._depth:
            self._modules.append(label)

    def _leave(self) -> None:
        if not self._depth and self._modules:
            self._modules.pop()

    def _label(self, func: Callable[..., Any]) -> str:
        return f"`{name_of(func)}`{self._place()}"

    def _place(self) -> str:
        return f" in {self._modules[-1]}" if self._modules else ""


def _state_of(name: str) -> str:
    return f"the state of `{name}`"


def _index_of(index: Any, dim: int) -> Any:
    """Return the index of dimension ``dim`` if all others are taken whole, else None."""
    parts = index if isinstance(index, tuple) else (index,)
    others = (*parts[:dim], *parts[dim + 1 :])
    if len(parts) <= dim or any(part != slice(None) and part is not Ellipsis for part in others):
        return None
    return parts[dim]


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _tensors(value)


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, list | tuple):
        return [_mapped(v, change) for v in value]
    if isinstance(value, Mapping):
        return {k: _mapped(v, change) for k, v in value.items()}
    return change(value)
