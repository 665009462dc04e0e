"""The slots of a group."""

from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import Group

__all__ = ["write_slot"]


@kernel
def write_slot(group, at, origin, owner, count, via):
    """Write one slot of the group; its key is its origin."""
    group[Group.KEY, at] = origin
    group[Group.ORIGIN, at] = origin
    group[Group.MULTIPLICITY, at] = count
    group[Group.OWNER, at] = owner
    group[Group.CONNECTION, at] = via
