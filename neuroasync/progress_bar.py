"""A progress bar of a training, on stderr or in a notebook."""

from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["ProgressBar"]


class BatchProgress(Protocol):
    """What the bar shows of a batch; see :class:`neuroasync.train.BatchResult`."""

    @property
    def epoch(self) -> int: ...

    @property
    def batch(self) -> int: ...

    @property
    def batches(self) -> int: ...

    @property
    def loss(self) -> float: ...

    @property
    def accuracy(self) -> float: ...


class EpochProgress(Protocol):
    """What the bar shows of an epoch; see :class:`neuroasync.train.EpochResult`."""

    @property
    def epoch(self) -> int: ...

    @property
    def loss(self) -> float: ...

    @property
    def accuracy(self) -> float: ...

    @property
    def validation_accuracy(self) -> float | None: ...


class ProgressBar:
    """A bar that counts batches, with the latest results beside it; use it in ``with``.

    Where stderr is no terminal, only the results of epochs appear, one line each.

    Args:
        epochs: Number of epochs of the training.
    """

    def __init__(self, epochs: int) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        console = Console(stderr=True)
        self._bar = Progress(
            *columns, TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
            console=console, disable=not (console.is_terminal or console.is_jupyter),
        )  # fmt: skip
        self._epochs = epochs
        self._task = self._bar.add_task("training", total=None, note="")

    def __enter__(self) -> Self:
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the bar as it is."""
        self._bar.stop()

    def batch(self, result: BatchProgress) -> None:
        """Count a batch."""
        self._bar.update(
            self._task,
            total=self._epochs * result.batches,
            completed=result.epoch * result.batches + result.batch + 1,
            note=f"epoch {result.epoch + 1}/{self._epochs}, loss {result.loss:.3f}, "
            f"accuracy {result.accuracy:.0%}",
        )

    def epoch(self, result: EpochProgress) -> None:
        """Print the result of an epoch above the bar."""
        validation = result.validation_accuracy
        validated = "" if validation is None else f", validation accuracy {validation:.1%}"
        self._bar.console.print(
            f"epoch {result.epoch + 1}/{self._epochs}: loss {result.loss:.3f}, "
            f"accuracy {result.accuracy:.1%}{validated}",
            highlight=False,
        )
