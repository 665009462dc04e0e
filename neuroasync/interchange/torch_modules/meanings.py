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
        # The tensors are kept, so that no other one gets the same id or memory.
        self._noted: dict[int, tuple[Tensor, Meaning, int]] = {}
        self._changed: dict[int, tuple[Tensor, Meaning]] = {}

    def __contains__(self, tensor: Tensor) -> bool:
        """Return whether a tensor has a meaning."""
        return id(tensor) in self._noted or memory_of(tensor) in self._changed

    def note(self, tensor: Tensor, meaning: Meaning) -> None:
        """Note what a tensor means from now on."""
        self._noted[id(tensor)] = tensor, meaning, version_of(tensor)

    def note_change(self, tensor: Tensor, meaning: Meaning) -> None:
        """Note what a tensor, and all others with the same memory, mean after a change in place."""
        memory = memory_of(tensor)
        self._changed[memory] = tensor, meaning
        for other, _, _ in [*self._noted.values()]:
            if memory_of(other) == memory:
                self.note(other, meaning)

    def of(self, tensor: Tensor) -> Meaning | None:
        """Return what a tensor means; None if it does not depend on spikes."""
        if id(tensor) not in self._noted:
            _, meaning = self._changed.get(memory_of(tensor), (tensor, None))
            return meaning
        _, meaning, version = self._noted[id(tensor)]
        return meaning if version == version_of(tensor) else _CHANGED


def state_of(layer: str) -> Unmappable:
    """Return the meaning of the state of a layer."""
    return Unmappable(f"the state of `{layer}`", is_state=True)


def version_of(tensor: Tensor) -> int:
    """Return a number that changes when a tensor, or a view of it, is changed in place."""
    # torch has public names neither for the version nor for the base.
    return 0 if tensor.is_inference() else tensor._version  # noqa: SLF001


def memory_of(tensor: Tensor) -> int:
    """Return a number that tensors share if they share memory, as a tensor and a view of it do."""
    if tensor.layout is not torch.strided or not tensor.numel():
        return id(tensor)
    return tensor.untyped_storage().data_ptr()
