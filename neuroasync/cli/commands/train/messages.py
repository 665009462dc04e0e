"""What ``neuroasync train`` writes to stderr."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from neuroasync.cli.exit_codes import report_line
from neuroasync.cli.progress import ProgressCallback

if TYPE_CHECKING:
    from neuroasync.train import BatchResult, TrainConfig

__all__ = ["note_over_time", "one_line_warnings", "report"]


@contextmanager
def one_line_warnings() -> Iterator[None]:
    """Write each warning of a training as one line to stderr."""
    from neuroasync.train import TrainingWarning

    with warnings.catch_warnings():
        warnings.simplefilter("always", TrainingWarning)
        warnings.showwarning = lambda message, *_, **__: report_line(f"warning: {message}")
        yield


def report(advance: ProgressCallback, batch: "BatchResult", epochs: int) -> None:
    """Show the progress of the training after a batch."""
    note = (
        f"epoch {batch.epoch + 1}/{epochs}, loss {batch.loss:.3f}, accuracy {batch.accuracy:.0%}, "
        f"{batch.spikes:.0f} spikes per sample"
    )
    advance(batch.epoch * batch.batches + batch.batch + 1, note, epochs * batch.batches)


def note_over_time(config: "TrainConfig") -> None:
    """Write which loss and vote window labels over time are trained with."""
    report_line(
        "note: the samples have labels over time, so the loss is windowed: at the end of each "
        f"interval, the votes of the last {config.vote_window_us} µs count"
    )
