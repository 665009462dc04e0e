"""What the tensors of a traced run mean."""

from typing import Final, TypeAlias

from torch import Tensor

from neuroasync.interchange.torch_modules.expressions import LinearExpression, Unmappable

__all__ = ["Meaning", "Meanings", "base_of", "state_of", "version_of"]

Meaning: TypeAlias = LinearExpression | Unmappable

_CHANGED: Final = Unmappable("a tensor that was changed in place, perhaps through a view of it")


class Meanings:
    """The meanings of tensors, which hold until a tensor is changed in place."""

    def __init__(self) -> None:
        # The tensors are kept, so that no other one gets the same id.
        self._noted: dict[int, tuple[Tensor, Meaning, int]] = {}

    def __contains__(self, tensor: Tensor) -> bool:
        """Return whether a tensor has a meaning."""
        return id(tensor) in self._noted

    def note(self, tensor: Tensor, meaning: Meaning) -> None:
        """Note what a tensor means from now on."""
        self._noted[id(tensor)] = tensor, meaning, version_of(tensor)

    def of(self, tensor: Tensor) -> Meaning | None:
        """Return what a tensor means; None if it does not depend on spikes."""
        if id(tensor) not in self._noted:
            return None
        _, meaning, version = self._noted[id(tensor)]
        return meaning if version == version_of(tensor) else _CHANGED


def state_of(layer: str) -> Unmappable:
    """Return the meaning of the state of a layer."""
    return Unmappable(f"the state of `{layer}`", is_state=True)


def version_of(tensor: Tensor) -> int:
    """Return a number that changes when a tensor, or a view of it, is changed in place."""
    # torch has public names neither for the version nor for the base.
    return 0 if tensor.is_inference() else tensor._version  # noqa: SLF001


def base_of(view: Tensor) -> Tensor:
    """Return the tensor that a tensor is a view of; the tensor itself if it is none."""
    return view if view._base is None else view._base  # noqa: SLF001
