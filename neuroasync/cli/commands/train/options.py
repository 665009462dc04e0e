"""Options of ``neuroasync train``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from neuroasync.cli.completion import network_names
from neuroasync.cli.data_options import DatasetName
from neuroasync.cli.exit_codes import CliError
from neuroasync.cli.options import InputName, output_option

__all__ = [
    "AllDataOption",
    "BatchSizeOption",
    "CheckpointOption",
    "ConfigOption",
    "Device",
    "DeviceOption",
    "EpochsOption",
    "FromOption",
    "GroupSizeOption",
    "InputDropoutOption",
    "InputOption",
    "KeepName",
    "KeepOption",
    "LayeredEpochsOption",
    "LearnOption",
    "LearnPerName",
    "LearnPerOption",
    "LossName",
    "LossOption",
    "LrOption",
    "ModeFocusOption",
    "ModesOption",
    "OutputOption",
    "PatienceOption",
    "PenaltyOption",
    "PenaltyTargetOption",
    "RecipeName",
    "RecipeOption",
    "ResumeOption",
    "SetArgument",
    "ShiftOption",
    "TimeJitterOption",
    "TrainSeedOption",
    "VoteWindowOption",
    "vote_window_us",
]

_RECIPE_DEFAULT = "Default: as in the recipe."


class RecipeName(StrEnum):
    """The training recipes."""

    LAYERED_PAPER = "layered-paper"
    LAYERED = "layered"
    UNLAYERED_RANDOM = "unlayered-random"
    UNLAYERED_MOMENTUM = "unlayered-momentum"
    UNLAYERED_ANY = "unlayered-any"


class Device(StrEnum):
    """The devices that training can use."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class LossName(StrEnum):
    """The losses of votes and potentials."""

    ACCUMULATED = "accumulated"
    TIMESTEP = "timestep"
    FINAL = "final"
    MAXIMUM = "maximum"
    WINDOWED = "windowed"


class LearnPerName(StrEnum):
    """The neurons that share a learned factor."""

    POPULATION = "population"
    NEURON = "neuron"


class KeepName(StrEnum):
    """The epoch whose weights a trained network has."""

    LAST = "last"
    BEST = "best"


SetArgument = Annotated[
    DatasetName | None,
    typer.Argument(
        metavar="[DATASET]", show_default=False,
        help="Data set, see `neuroasync encode`. Default: none; --train is then required.",
    ),
]  # fmt: skip
RecipeOption = Annotated[
    RecipeName | None,
    typer.Option(
        "--recipe", show_default=False,
        help="layered-paper: train layer by layer, as in the paper; layered: train layer by layer, "
        "with membrane decay and a spike penalty; unlayered-random, unlayered-momentum: the same, "
        "followed by training in the order in which the network will run; unlayered-any: the same, "
        "twice as long, with another order, group size and input mode for each batch, so that it "
        "works in all of them. Default: the one that --config names; required without.",
    ),
]  # fmt: skip
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="NETWORK", show_default=False, autocompletion=network_names,
        help="Trained network to train further (fine-tuning): a .nab file, or the name of a "
        "shipped network. Its neurons, connections and weights are the start; the recipe has a "
        "quarter of its learning rate and no epochs under layer-sync before its own order. "
        "Default: new weights.",
    ),
]  # fmt: skip
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="RUN.toml", show_default=False,
        help="Configuration file with the keys dataset, train, validation, data, coding, topology, "
        "from, recipe and all_data, and the table [training] with any fields of "
        "`neuroasync.train.TrainConfig`, such as epochs, keep and shift. Options on the command "
        "line take precedence. Each run writes the file that repeats it beside its bundle. "
        "Default: none.",
    ),
]  # fmt: skip
InputOption = Annotated[
    InputName | None,
    typer.Option(
        "--input", show_default=False,
        help="Input mode that an unlayered recipe trains for. prioritised: a timestep's input is "
        "delivered first; queued: each input event waits among all other spikes. Default: "
        "prioritised.",
    ),
]  # fmt: skip
OutputOption = Annotated[
    Path | None,
    output_option(
        "OUT.nab",
        "Bundle to write, and OUT.toml with the configuration of the run. Default: "
        "DATASET-RECIPE.nab in the current folder.",
    ),
]
EpochsOption = Annotated[
    int | None,
    typer.Option(
        "--epochs", min=1, max=1_000_000, metavar="N", show_default=False,
        help=f"Number of passes over the training data. {_RECIPE_DEFAULT}",
    ),
]  # fmt: skip
LayeredEpochsOption = Annotated[
    int | None,
    typer.Option(
        "--layered-epochs", min=0, max=1_000_000, metavar="N", show_default=False,
        help="How many epochs are under layer-sync; they come first. Default: the recipe's share.",
    ),
]  # fmt: skip
ModesOption = Annotated[
    str | None,
    typer.Option(
        "--modes", metavar="MODES", show_default=False,
        help="Run modes to train in after the epochs under layer-sync, such as 'layer-sync; random "
        "F=1,8 queued; momentum F=8 x2'. One is drawn for each batch, and x2 doubles its weight. "
        f"{_RECIPE_DEFAULT}",
    ),
]  # fmt: skip
ModeFocusOption = Annotated[
    float | None,
    typer.Option(
        "--mode-focus", min=0, metavar="K", show_default=False,
        help="How much more often a run mode is drawn in which the network makes more errors: its "
        f"weight is multiplied by exp(K * error). {_RECIPE_DEFAULT}",
    ),
]  # fmt: skip
KeepOption = Annotated[
    KeepName | None,
    typer.Option(
        "--keep", show_default=False,
        help="The epoch whose weights the network has. last: the last epoch; best: the epoch with "
        f"the highest validation accuracy. {_RECIPE_DEFAULT}",
    ),
]  # fmt: skip
PatienceOption = Annotated[
    int | None,
    typer.Option(
        "--patience", min=1, max=1_000_000, metavar="N", show_default=False,
        help="With --keep best: end after N epochs without a better one. Default: never.",
    ),
]  # fmt: skip
AllDataOption = Annotated[
    bool | None,
    typer.Option(
        "--all-data/--no-all-data", show_default=False,
        help="At the end, train anew on training and validation samples together, for as many "
        "epochs as were best, and write that network. It is not calibrated. Default: no.",
    ),
]  # fmt: skip
BatchSizeOption = Annotated[
    int | None,
    typer.Option(
        "--batch-size", min=1, max=1_000_000, metavar="N", show_default=False,
        help=f"Samples per optimiser step. {_RECIPE_DEFAULT}",
    ),
]  # fmt: skip
LrOption = Annotated[
    float | None,
    typer.Option(
        "--lr", min=0.0, metavar="X", show_default=False,
        help=f"Highest learning rate of Adam. {_RECIPE_DEFAULT}",
    ),
]  # fmt: skip
LearnOption = Annotated[
    str | None,
    typer.Option(
        "--learn", metavar="NAMES", show_default=False,
        help="What to learn besides weights and biases: one or several of tau_mem (membrane time "
        "constants), tau_syn (time constants of synaptic currents) and threshold, separated by "
        "commas. Default: nothing.",
    ),
]  # fmt: skip
LearnPerOption = Annotated[
    LearnPerName | None,
    typer.Option(
        "--learn-per", show_default=False,
        help="population: all neurons of a population share the factor by which --learn changes "
        "a parameter; neuron: each neuron has its own. Default: population.",
    ),
]  # fmt: skip
LossOption = Annotated[
    LossName | None,
    typer.Option(
        "--loss", show_default=False,
        help="Loss of the votes, or of the potentials of leaky integrators. accumulated: of all "
        "votes up to each timestep, or the potentials after it; timestep: of the votes of each "
        "timestep alone; final: of all votes or the potentials at the end; maximum: of each "
        "class's highest potential; windowed: of the votes in the vote window at the end of each "
        "interval, for labels over time. Default: windowed for labels over time, otherwise as in "
        "the recipe.",
    ),
]  # fmt: skip
VoteWindowOption = Annotated[
    str | None,
    typer.Option(
        "--vote-window", metavar="TIME", show_default=False,
        help="With labels over time: how long a vote counts for a decision, such as 100ms, in "
        "whole intervals of the labels. Default: one interval, but at least ten timesteps.",
    ),
]  # fmt: skip
PenaltyOption = Annotated[
    float | None,
    typer.Option(
        "--penalty", min=0.0, metavar="X", show_default=False,
        help=f"Weight of the spike penalty; 0 for none. {_RECIPE_DEFAULT}",
    ),
]  # fmt: skip
PenaltyTargetOption = Annotated[
    float | None,
    typer.Option(
        "--penalty-target", min=0.0, metavar="X", show_default=False,
        help="Number of spikes that a hidden population of up to 64 neurons may fire per pass "
        "without a penalty; a larger one may fire as many for each 64 neurons. "
        f"{_RECIPE_DEFAULT}",
    ),
]  # fmt: skip
InputDropoutOption = Annotated[
    float | None,
    typer.Option(
        "--input-dropout", min=0.0, metavar="P", show_default=False,
        help=f"Probability that an input event is dropped in training. {_RECIPE_DEFAULT}",
    ),
]  # fmt: skip
ShiftOption = Annotated[
    int | None,
    typer.Option(
        "--shift", min=0, max=2**31 - 1, metavar="N", show_default=False,
        help="Shift each training sample at random by up to N cells along the last two axes of "
        f"the input; 0 for no shift. {_RECIPE_DEFAULT}",
    ),
]  # fmt: skip
TimeJitterOption = Annotated[
    float | None,
    typer.Option(
        "--time-jitter-us", min=0.0, metavar="X", show_default=False,
        help="Shift the time of each event of a training sample at random, with this standard "
        f"deviation in µs. {_RECIPE_DEFAULT}",
    ),
]  # fmt: skip
GroupSizeOption = Annotated[
    int | None,
    typer.Option(
        "--group-size", metavar="F", min=1, max=2**31 - 1, show_default=False,
        help="Maximum number of pending spikes that one forward step delivers. "
        f"{_RECIPE_DEFAULT}",
    ),
]  # fmt: skip
TrainSeedOption = Annotated[
    int | None,
    typer.Option(
        "--seed", min=0, max=2**64 - 1, metavar="S", show_default=False,
        help="Seed of the initial weights, the shuffling, the order keys and the dropout. "
        "Default: 0.",
    ),
]  # fmt: skip
CheckpointOption = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint", metavar="FILE", show_default=False,
        help="File in which to save the state of the training after each epoch. Default: none.",
    ),
]  # fmt: skip
ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume", help="Continue from the checkpoint, which must be of a training with the same "
        "options. Default: start from the beginning.",
    ),
]  # fmt: skip
DeviceOption = Annotated[
    Device | None,
    typer.Option(
        "--device", show_default=False,
        help="Device to train on; auto uses a CUDA device if there is one and the extra cuda is "
        "installed, and the CPU otherwise. Default: auto.",
    ),
]  # fmt: skip


def vote_window_us(text: str | None) -> int | None:
    """Return the value of ``--vote-window`` in µs, or None if it is not given.

    Raises:
        CliError: The text is no duration.
    """
    if text is None:
        return None
    from neuroasync.core.durations import microseconds

    try:
        return microseconds(text, "--vote-window", 1)
    except ValueError as error:
        raise CliError(str(error)) from error
