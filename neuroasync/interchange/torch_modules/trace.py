"""Runs a module once and finds out which linear functions of which spikes reach each layer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from neuroasync.errors import InterchangeError
from neuroasync.interchange.torch_modules.arguments import (
    index_of,
    is_in_place,
    on_a_copy,
    tensors_in,
)
from neuroasync.interchange.torch_modules.expressions import (
    LinearExpression,
    Source,
    Unmappable,
)
from neuroasync.interchange.torch_modules.joining import joined
from neuroasync.interchange.torch_modules.linear_functions import (
    CREATING,
    JOINING,
    KEEPS_ORDER,
    linear_step,
    name_of,
)
from neuroasync.interchange.torch_modules.meanings import (
    Meaning,
    Meanings,
    memory_of,
    state_of,
    version_of,
)

__all__ = ["LayerInput", "LayerState", "LayoutError", "Trace"]

LayerState: TypeAlias = Callable[[nn.Module, Sequence[Any]], list[Tensor] | None]
"""See ``Framework.state``."""

LayerInput: TypeAlias = Callable[
    [nn.Module, Sequence[Any], Callable[[Sequence[int]], Tensor]], Tensor
]
"""See ``Framework.whole_input``."""


_WHOLE_INPUT: Final = "the input of all timesteps together"
_SEQUENCE: Final = Unmappable(_WHOLE_INPUT)


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
        earlier: The same at its first call and at the one before the latest, by the number of the
            call.
        order: Names of the layers in the order of their first calls.
        unused: Labels of the steps with weights whose result reached no layer at the latest call.
    """

    def __init__(
        self, layers: Mapping[str, nn.Module], layer_input: LayerInput, layer_state: LayerState
    ) -> None:
        super().__init__()
        self._layers = layers
        self._layer_input, self._layer_state = layer_input, layer_state
        self._meanings = Meanings()
        self._frames: tuple[Tensor, str, int] | None = None
        self._depth = 0
        self._modules: list[str] = []
        self.calls: dict[str, int] = dict.fromkeys(layers, 0)
        self.inputs: dict[str, LinearExpression] = {}
        self.earlier: dict[str, dict[int, LinearExpression]] = {name: {} for name in layers}
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
        self._meanings.note(tensor, LinearExpression(((source, ()),), zeros))
        return tensor

    def mark_frames(self, sequence: Tensor, name: str, dim: int) -> Tensor:
        """Note that element t of a dimension holds a source at timestep t; return ``sequence``."""
        self._frames = sequence, name, dim
        self._meanings.note(sequence, _SEQUENCE)
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
        kwargs = dict(kwargs or {})
        if not args and "input" in kwargs:
            args = (kwargs.pop("input"),)
        target = kwargs.get("out", args[0] if args else None)
        is_traced = any(t in self._meanings for t in tensors_in([*args, *kwargs.values()]))
        if self._depth or not is_traced or not isinstance(target, Tensor):
            return self._noted(func, args, kwargs, func(*args, **kwargs))
        known, before = self._meanings.of(target), (version_of(target), memory_of(target))
        if known is None:
            known = LinearExpression((), target.detach().to(torch.float64, copy=True))
        result = func(*args, **kwargs)
        is_same = before == (version_of(target), memory_of(target))
        # Tensors of torch.inference_mode() have no version.
        if is_same and not (target.is_inference() and is_in_place(func, kwargs)):
            return self._noted(func, args, kwargs, result)
        # The change also reaches the tensors that share memory with it, such as views.
        self._meanings.note(target, known)
        self._noted(on_a_copy(func), args, kwargs, result)
        meaning = self._meanings.of(target)
        self._meanings.note_change(target, Unmappable(self._label(func)))
        if result is target and meaning is not None and not self._is_sequence(target):
            self._meanings.note(target, meaning)
        return result

    def _is_sequence(self, value: Any) -> bool:
        """Return whether a value is the sequence of input frames."""
        return self._frames is not None and value is self._frames[0]

    def _noted(
        self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], result: Any
    ) -> Any:
        """Note what the result of a function means, and return it."""
        if self._depth:
            return result
        if args and self._is_sequence(args[0]) and self._meanings.of(args[0]) == _SEQUENCE:
            return self._frame(func, args, result)
        traced = [t for t in tensors_in([*args, *kwargs.values()]) if t in self._meanings]
        if not traced or name_of(func) in CREATING:
            return result
        if isinstance(result, Iterator):
            result = list(result)
            self._note_parts(func, args, kwargs, result)
            return iter(result)
        if isinstance(result, list | tuple):
            self._note_parts(func, args, kwargs, result)
        elif isinstance(result, Tensor):
            self._meanings.note(result, self._meaning(func, args, kwargs, traced))
        return result

    def _note_parts(
        self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any],
        parts: Sequence[Any],
    ) -> None:  # fmt: skip
        traced = [t for t in tensors_in(args) if t in self._meanings]
        for k, part in enumerate(parts):
            if isinstance(part, Tensor):

                def pick(*a: Any, k: int = k, **kw: Any) -> Any:
                    return list(func(*a, **kw))[k]

                pick.__name__ = name_of(func)
                self._meanings.note(part, self._meaning(pick, args, kwargs, traced))

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
            timestep = index_of(rest[0], dim)
        if isinstance(timestep, int):
            return self.mark(result, name, timestep % args[0].shape[dim])
        found = list(result) if isinstance(result, Iterator) else result
        for tensor in tensors_in(found):
            if tensor not in self._meanings:
                label = f"`{kind}` of {_WHOLE_INPUT}{self._place()}"
                self._meanings.note(tensor, Unmappable(label))
        return iter(found) if isinstance(result, Iterator) else result

    def _meaning(
        self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any],
        traced: Sequence[Tensor],
    ) -> Meaning:  # fmt: skip
        meanings = [self._meanings.of(t) for t in traced]
        for meaning in meanings:
            if isinstance(meaning, Unmappable):
                is_same = not meaning.is_state or name_of(func) in KEEPS_ORDER
                return meaning if is_same else Unmappable(f"`{name_of(func)}` of {meaning.reason}")
        label = self._label(func)
        if name_of(func) in JOINING:
            return joined(func, args, kwargs, label, self._meanings)
        swapped = name_of(func) == "mul" and len(args) == 2 and traced[0] is args[1]
        ordered = (args[1], args[0]) if swapped else args
        (expression,) = meanings[:1]
        if len(traced) > 1 or not ordered or ordered[0] is not traced[0]:
            return Unmappable(label)
        affine = linear_step(func, ordered, kwargs, label)
        if affine is None or not isinstance(expression, LinearExpression):
            return Unmappable(label)
        if affine[0].has_weights:
            self._weighted[label] = 1
        return expression.after(*affine)

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
            for state in tensors_in([states, self._layer_state(layer, ()) or []]):
                self._meanings.note(state, state_of(name))
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
        meaning = self._meanings.of(current)
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
        if timestep:
            past = self.earlier[name] | {timestep - 1: self.inputs[name]}
            self.earlier[name] = {t: past[t] for t in (0, timestep - 1)}
        self.inputs[name], self.shapes[name] = meaning, tuple(current.shape)

    def _check_state(self, name: str, state: list[Tensor] | None, timestep: int) -> None:
        """Check that a layer continues from where it ended in the previous timestep."""
        if state is None:
            return
        for tensor in state:
            meaning = self._meanings.of(tensor)
            if isinstance(meaning, LinearExpression):  # its own spikes, which are states of some
                sources = [(source.name, source.timestep) for source, _ in meaning.paths]
                is_own = sources == [(name, timestep)]
            else:
                is_own = meaning == state_of(name)
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
