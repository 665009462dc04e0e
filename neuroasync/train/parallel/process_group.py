"""An exchange over a process group of torch.distributed."""

from typing import Any, NoReturn

import torch
import torch.distributed as dist
from numpy.typing import NDArray

from neuroasync.core.copies import cannot_copy
from neuroasync.core.model.checks import must_be
from neuroasync.train.parallel.exchange import ExchangeError

__all__ = ["ProcessGroupExchange"]


class ProcessGroupExchange:
    """The workers are the processes of a group of ``torch.distributed`` with the backend gloo.

    Args:
        group: The group. None takes the default group, which ``init_process_group`` has made.

    Raises:
        ValueError: There is no such group, this process is not in it, or its backend is not gloo.
    """

    def __init__(self, group: dist.ProcessGroup | None = None) -> None:
        if not dist.is_initialized():
            raise ValueError(
                "`torch.distributed` has no process group; call `init_process_group('gloo')` first"
            )
        self._group = group
        self.worker, self.workers = dist.get_rank(group), dist.get_world_size(group)
        if self.worker < 0:
            raise ValueError("`group` must have this process as a member")
        if "cpu:gloo" not in (found := dist.get_backend_config(group)):
            raise ValueError(must_be("group", "one with the backend gloo for the CPU", repr(found)))

    def __reduce__(self) -> NoReturn:
        """Refuse a pickle and a copy.

        Raises:
            TypeError: Always.
        """
        raise cannot_copy(self, "make one in each process of the group")

    def broadcast(self, array: NDArray[Any], source: int) -> None:
        """Give all workers the array of one of them; see :class:`Exchange`.

        Raises:
            ExchangeError: The connection to another worker was lost.
        """
        if not array.size:
            return
        try:
            dist.broadcast(torch.from_numpy(array), group=self._group, group_src=source)
        except RuntimeError as error:
            raise ExchangeError(
                f"worker {self.worker} of {self.workers} lost the connection to the others: {error}"
            ) from error
