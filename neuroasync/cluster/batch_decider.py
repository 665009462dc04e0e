"""Decisions on the rows of a Ray dataset, which may be larger than the memory of any machine."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.cluster.worker import StoredNetwork
from neuroasync.core.durations import Duration, optional_microseconds
from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.run_settings import check_seed
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.core.model.checks import as_number, must_be
from neuroasync.errors import EventsError
from neuroasync.runtime.batch.blocking import run_blocking
from neuroasync.runtime.network import Network

__all__ = ["BatchDecider"]

_REQUIRED: Final = ("number", "t_us", "index")
_ADDED: Final = ("decided_label", "votes", "stopped", "spikes", "steps", "rounds")


class BatchDecider:
    """A function of batches for ``map_batches`` of a ``ray.data.Dataset``, one row per sample.

    A batch needs these columns:

    - ``number``: number of the sample in the data set. Sample number i runs with
      ``sample_seed(seed, i)``, so that its decision does not depend on the batch or the worker.
    - ``t_us``, ``index``: times, µs, and input indices of its events, one list per sample.
    - ``value``, optional: what each event delivers, one list per sample; null if all are spikes.

    All columns stay, and these are added, which the batch must not have:

    - ``decided_label``: i64, class of the decision, or -1 for none.
    - ``votes``: i64[classes], output spikes of each class.
    - ``stopped``: bool, whether the stop rule ended the sample.
    - ``spikes``, ``steps``, ``rounds``: i64, what the sample cost.

    Args:
        network: the network, which must not be open, with the options to decide by. Each worker
            process reads it once.
        seed: seed of the data set. Defaults to the network's seed.
        duration_us: as for :meth:`neuroasync.Network.decide`.

    Raises:
        TypeError: ``network`` is no network, or is open.
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        network: Network,
        *,
        seed: int | None = None,
        duration_us: Duration | None = None,
    ) -> None:
        if not isinstance(network, Network):
            raise TypeError(f"`network` must be a Network, got {type(network).__name__}")
        self._seed = network.seed if seed is None else check_seed(seed)
        self._duration_us = optional_microseconds(
            duration_us, "duration_us", network.bundle.duration_us
        )
        model = network.bundle.model
        self._classes = model.populations[model.index(model.output)].size
        self._network = StoredNetwork.put(network)

    def __call__(self, batch: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Decide the rows of a batch, in a new event loop.

        Args:
            batch: columns by name; the batch format ``"numpy"``, which is Ray's default.

        Returns:
            The columns of the batch, and those of the decisions.

        Raises:
            TypeError: the batch has another format.
            ValueError: an event comes at or after ``duration_us``.
            EventsError: a column is missing or would be overwritten, or events are not valid for
                this network.
            ForwardStepLimitError, LimitError: a sample exceeded a limit.
        """
        if not isinstance(batch, Mapping):
            raise TypeError(
                f"`batch` must be a dict of arrays, got {type(batch).__name__}; use "
                "batch_format='numpy'"
            )
        if missing := [name for name in _REQUIRED if name not in batch]:
            raise EventsError(
                f"the batch must have the columns {', '.join(_REQUIRED)}, but has no {missing[0]}; "
                f"it has {', '.join(batch)}"
            )
        if taken := [name for name in _ADDED if name in batch]:
            raise EventsError(
                f"the batch has a column {taken[0]}, which the decisions would overwrite; rename it"
            )
        decisions = run_blocking(self._decide(batch))
        labels = [-1 if d.label is None else d.label for d in decisions]
        votes = np.array([d.votes for d in decisions], np.int64)
        return {
            **batch,
            "decided_label": np.array(labels, np.int64),
            "votes": votes.reshape(len(decisions), self._classes),
            "stopped": np.array([d.stopped for d in decisions], np.bool_),
            "spikes": np.array([d.total_spikes for d in decisions], np.int64),
            "steps": np.array([d.steps for d in decisions], np.int64),
            "rounds": np.array([d.rounds for d in decisions], np.int64),
        }

    async def _decide(self, batch: Mapping[str, NDArray[Any]]) -> list[Decision]:
        decisions = []
        async with self._network.load() as network:
            for number, events in _samples(batch):
                try:
                    decision = await network.decide(
                        SpikeTrain(*events),
                        seed=sample_seed(self._seed, number),
                        duration_us=self._duration_us,
                    )
                except Exception as error:
                    error.add_note(f"in sample {number}")
                    raise
                decisions.append(decision)
        return decisions


def _samples(batch: Mapping[str, NDArray[Any]]) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield the number of each sample, and its times, indices and values."""
    numbers = np.asarray(batch["number"])
    if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in "iu"):
        raise EventsError("`number` must have one integer per sample, without nulls")
    if numbers.min(initial=0) < 0:
        raise EventsError(must_be("number", "at least 0", str(numbers.min())))
    values = batch.get("value", [None] * len(numbers))
    columns = {"t_us": batch["t_us"], "index": batch["index"], "value": values}
    for name, column in columns.items():
        if len(column) != len(numbers):
            requirement = f"of the same length as `number` ({len(numbers)})"
            raise EventsError(must_be(name, requirement, f"{len(column)} entries"))
    for number, t_us, index, value in zip(numbers.tolist(), *columns.values(), strict=True):
        yield number, (t_us, index, None if _is_null(value) else value)


def _is_null(value: Any) -> bool:
    """Return whether a list is missing. Between arrays, Ray passes NaN for it."""
    number = as_number(value)
    return value is None or (number is not None and math.isnan(number))
