"""Warnings of a training in which something is wrong that its loss alone does not show."""

import warnings
from typing import Final

from neuroasync.core.model.model import Model
from neuroasync.core.model.neurons import LIF
from neuroasync.train.loop.results import EpochResult

__all__ = ["HealthChecks", "TrainingWarning"]

_LARGE_SHARE: Final = 0.5
"""Share of the spike penalty in the loss from which there is a warning."""


class TrainingWarning(UserWarning):
    """A training runs, but a part of the network learns nothing, or the penalty is too strong."""


class HealthChecks:
    """Checks of the results of a training, with at most one warning of each kind.

    Args:
        model: The network.
    """

    def __init__(self, model: Model) -> None:
        # Leaky integrators never fire.
        self._names = [p.name if isinstance(p.neuron, LIF) else None for p in model.populations]
        self._output = model.output
        self._warned: set[str] = set()

    def check(self, result: EpochResult) -> None:
        """Check the result of an epoch.

        Warns:
            TrainingWarning: A population did not fire in the whole epoch, or most of the loss is
                the spike penalty.
        """
        fired = dict(zip(self._names, result.population_spikes or (), strict=False))
        silent = [name for name, spikes in fired.items() if name is not None and spikes == 0]
        epoch = f"in epoch {result.epoch + 1}"
        if self._output in silent:
            self._warn(
                "output",
                f"the output {self._output!r} never fired {epoch}, so every sample is undecided; "
                "try a higher `init_rate`, a lower threshold or a lower `penalty`",
            )
        elif silent:
            names = ", ".join(map(repr, silent))
            self._warn(
                "silent",
                f"no neuron of {names} fired {epoch}, so nothing can be learned through it; try a "
                "higher `init_rate`, a lower threshold or decay, or a lower `penalty`",
            )
        if result.penalty is not None and result.penalty > _LARGE_SHARE * result.loss:
            self._warn(
                "penalty",
                f"the spike penalty was {result.penalty / result.loss:.0%} of the loss {epoch}, so "
                "the network learns to be silent; try a lower `penalty` or a higher "
                "`penalty_target`",
            )

    def _warn(self, kind: str, message: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            # The caller of `fit` is three calls above: this method, `check` and `fit`.
            warnings.warn(message, TrainingWarning, stacklevel=4)
