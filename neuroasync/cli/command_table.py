"""The commands: their names, their modules and the summaries that ``neuroasync --help`` lists.

The table is static so that the top-level help and errors about unknown commands need no command's
module. A test checks that each summary is the first line of the command's own help.
"""

from keyword import iskeyword
from typing import Final, NamedTuple

__all__ = ["COMMANDS", "CommandEntry"]

_PACKAGE: Final = "neuroasync.cli.commands"


class CommandEntry(NamedTuple):
    """One command.

    Attributes:
        name: name on the command line.
        module: module that defines the function, with its options.
        summary: one line of help.
        slowest_import: the third-party package that it needs and that takes longest to import.
    """

    name: str
    module: str
    summary: str
    slowest_import: str = "numba"

    @property
    def function(self) -> str:
        """The name of the function that implements the command; keywords end in ``_``."""
        return f"{self.name}_" if iskeyword(self.name) else self.name


COMMANDS: Final = (
    CommandEntry(
        "demo",
        f"{_PACKAGE}.demo.command",
        "Show what layer synchronization costs or saves on digits.",
    ),
    CommandEntry(
        "study",
        f"{_PACKAGE}.study",
        "Train networks and report on them under every ordering policy.",
    ),
    CommandEntry(
        "run",
        f"{_PACKAGE}.run",
        "Classify the samples of a spike file; report accuracy and cost.",
    ),
    CommandEntry(
        "compare",
        f"{_PACKAGE}.compare",
        "Run a network in many orders: the worst, the mean and the spread.",
    ),
    CommandEntry(
        "stress",
        f"{_PACKAGE}.stress",
        "Measure what lost spikes, inexact weights and other orders do.",
    ),
    CommandEntry(
        "watch",
        f"{_PACKAGE}.watch.command",
        "Decide on the events of a camera while they arrive.",
    ),
    CommandEntry(
        "serve",
        f"{_PACKAGE}.serve",
        "Serve networks over websockets and HTTP, with a live page.",
        slowest_import="numpy",  # The worker processes load numba.
    ),
    CommandEntry(
        "train",
        f"{_PACKAGE}.train.command",
        "Train a network with a recipe, and write it as a bundle.",
    ),
    CommandEntry(
        "calibrate",
        f"{_PACKAGE}.calibrate",
        "Measure how early a network may stop at a given accuracy.",
    ),
    CommandEntry(
        "encode",
        f"{_PACKAGE}.encode",
        "Write a data set or a recording as a spike file, for `run`.",
    ),
    CommandEntry(
        "import",
        f"{_PACKAGE}.import_",
        "Make a bundle of a network in the format of NIR.",
        slowest_import="numpy",
    ),
    CommandEntry(
        "export",
        f"{_PACKAGE}.export",
        "Write a network in the format of NIR, for other frameworks.",
        slowest_import="numpy",
    ),
    CommandEntry(
        "inspect",
        f"{_PACKAGE}.inspect",
        "Show what a bundle contains: neurons, connections, metadata.",
        slowest_import="numpy",
    ),
    CommandEntry(
        "verify",
        f"{_PACKAGE}.verify",
        "Run a bundle's golden samples and compare every spike.",
    ),
    CommandEntry(
        "replay",
        f"{_PACKAGE}.replay",
        "Run a recording again and report the first spike that differs.",
    ),
    CommandEntry(
        "explain",
        f"{_PACKAGE}.explain",
        "Explain why a neuron fired, back to the input.",
    ),
    CommandEntry(
        "warm",
        f"{_PACKAGE}.warm",
        "Compile all kernels ahead, so that later starts are quick.",
        slowest_import="numpy",  # The target must be chosen before numba is loaded.
    ),
)
"""All commands, in the order of the help."""
