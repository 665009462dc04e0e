"""What the tensors of a traced run mean."""

from typing import Final, TypeAlias

import torch
from torch import Tensor

from neuroasync.interchange.torch_modules.expressions import LinearExpression, Unmappable

__all__ = ["Meaning", "Meanings", "memory_of", "state_of", "version_of"]

Meaning: TypeAlias = LinearExpression | Unmappable

_CHANGED: Final = Unmappable("a tensor that was changed in place, perhaps through a view of it")


class Meanings:
    """The meanings of tensors, which hold until a tensor is changed in place."""

    def __init__(self) -> None:
        # The tensors are kept, so that no other one gets the same id.
        self._noted: dict[int, tuple[Tensor, Meaning, int]] = {}
        # With an alias, because a tensor releases its memory when its `data` is replaced.
        self._changed: dict[int, tuple[tuple[Tensor, Tensor], Meaning]] = {}

    def __contains__(self, tensor: Tensor) -> bool:
        """Return whether a tensor has a meaning."""
        return id(tensor) in self._noted or memory_of(tensor) in self._changed

    def note(self, tensor: Tensor, meaning: Meaning) -> None:
        """Note what a tensor means from now on."""
        self._noted[id(tensor)] = tensor, meaning, version_of(tensor)

    def note_change(self, tensor: Tensor, meaning: Meaning) -> None:
        """Note what a tensor, and all others with the same memory, mean after a change in place."""
        memory = memory_of(tensor)
        self._changed[memory] = (tensor, tensor.detach()), meaning
        for other, _, _ in [*self._noted.values()]:
            if memory_of(other) == memory:
                self.note(other, meaning)

    def of(self, tensor: Tensor) -> Meaning | None:
        """Return what a tensor means; None if it does not depend on spikes."""
        if id(tensor) in self._noted:
            _, meaning, version = self._noted[id(tensor)]
            return meaning if version == version_of(tensor) else _CHANGED
        memory = memory_of(tensor)
        return self._changed[memory][1] if memory in self._changed else None


def state_of(layer: str) -> Unmappable:
    """Return the meaning of the state of a layer."""
    return Unmappable(f"the state of `{layer}`", is_state=True)


def version_of(tensor: Tensor) -> int:
    """Return a number that changes when a tensor, or a view of it, is changed in place.

    It is always 0 for a tensor of ``torch.inference_mode()``, which has no version.
    """
    # torch has no public name for the version.
    return 0 if tensor.is_inference() else tensor._version  # noqa: SLF001


def memory_of(tensor: Tensor) -> int:
    """Return a number that tensors have in common if they share memory, such as views."""
    if tensor.layout is not torch.strided or not tensor.numel():
        return id(tensor)
    return tensor.untyped_storage().data_ptr()
