"""Log the results of each epoch to TensorBoard, or to a CSV file. Needs the extra ``train``."""

# --8<-- [start:log]
import csv
from collections.abc import Callable

import neuroasync as na
from neuroasync.train import EpochResult, TrainConfig, fit

NAMES = ("hidden", "output")


def metrics(result: EpochResult) -> dict[str, float]:
    values = {"loss": result.loss, "penalty": result.penalty, "accuracy": result.accuracy}
    values["validation"] = result.validation_accuracy
    spikes = zip(NAMES, result.population_spikes, strict=True)
    return values | {f"spikes/{name}": count for name, count in spikes}


def make_logger() -> Callable[[EpochResult], None]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:  # TensorBoard is not installed.

        def to_csv(result: EpochResult) -> None:
            with open("epochs.csv", "a", newline="") as file:
                writer = csv.DictWriter(file, ["epoch", *metrics(result)])
                if result.epoch == 0:
                    writer.writeheader()
                writer.writerow({"epoch": result.epoch, **metrics(result)})

        return to_csv

    board = SummaryWriter("runs")

    def to_board(result: EpochResult) -> None:
        for name, value in metrics(result).items():
            board.add_scalar(name, value, result.epoch)
        board.flush()

    return to_board


samples = na.shipped.shipped_spikes("digits")
model = na.parse_topology("timestep_us=1000 decay=0.9; input 8x8; hidden d32; output d10")
config = TrainConfig(epochs=3, policy="random", group_size=8)
log = make_logger()
fitted = fit(model, samples[:260], config, validation=samples[260:], on_epoch=log)
# --8<-- [end:log]
for entry in fitted.history:
    print(f"epoch {entry.epoch}: loss {entry.loss:.3f}")
