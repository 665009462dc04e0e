"""Functions of several tensors that are linear in all of them together: sums, concatenations."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from neuroasync.interchange.torch_modules.arguments import mapped, tensors_in
from neuroasync.interchange.torch_modules.expressions import LinearExpression, LinearStep, Source
from neuroasync.interchange.torch_modules.linear_functions import name_of, wide
from neuroasync.interchange.torch_modules.meanings import Meanings

__all__ = ["joined"]


def joined(
    func: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    label: str,
    meanings: Meanings,
) -> LinearExpression:
    """Return the meaning of a sum or a concatenation of tensors, all of which are mappable.

    Args:
        func: The function of torch, one of ``JOINING``.
        args: Its arguments.
        kwargs: Its keyword arguments.
        label: What to call the step in an error.
        meanings: What the tensors mean.
    """
    paths: list[tuple[Source, tuple[LinearStep, ...]]] = []
    is_sum = name_of(func) in {"add", "sub", "rsub"}

    def alone(keep: Callable[[Any], Any]) -> Any:
        # `alpha` is a factor, not a term.
        others = {k: v if k == "alpha" else mapped(v, keep) for k, v in kwargs.items()}
        return func(*mapped(args, keep), **others)

    def zero(part: Any) -> Any:
        if isinstance(part, Tensor):
            return torch.zeros(part.shape, dtype=torch.float64)
        return 0 if is_sum and any(part is a for a in args) else part

    def constant_of(part: Any) -> Any:
        if not isinstance(part, Tensor):
            return part
        meaning = meanings.of(part)
        return meaning.constant if isinstance(meaning, LinearExpression) else wide(part)

    seen: set[int] = set()
    for part in tensors_in([*args, *kwargs.values()]):
        meaning = meanings.of(part)
        if not isinstance(meaning, LinearExpression) or id(part) in seen:
            continue
        seen.add(id(part))

        def apply(v: Tensor, part: Tensor = part) -> Tensor:
            return torch.as_tensor(alone(lambda p: v if p is part else zero(p)))

        step = LinearStep(label, apply, is_reshape=name_of(func) == "add")
        paths += [(source, (*path, step)) for source, path in meaning.paths]
    return LinearExpression(tuple(paths), torch.as_tensor(alone(constant_of)))
