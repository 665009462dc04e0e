"""The regimes: cases that differ in one thing each, to find where training for an order matters.

A table: add a :class:`Case` to it, and ``neuroasync study --regimes`` runs it.
"""

from dataclasses import replace
from typing import Final

from neuroasync.settings import InputMode
from neuroasync.study.case import Case
from neuroasync.train.config import TrainConfig
from neuroasync.train.recipes import recipes_of

__all__ = ["REGIMES"]

_SPARSE: Final = TrainConfig(epochs=24, policy="layer-sync", penalty_target=5.0, init_rate=0.1)
_DENSE: Final = replace(_SPARSE, penalty=0.0)
_SHALLOW: Final = "hidden1 d64; hidden2 d64; hidden3 d64; output d10"
_DEEP: Final = "; ".join([*(f"hidden{k} d64" for k in range(1, 7)), "output d10"])
_RECURRENT: Final = f"{_SHALLOW}; hidden3 -> hidden3 delay_us=1000"


def _digits(name: str, mode: InputMode, timestep_us: int, layers: str, config: TrainConfig) -> Case:
    """Digits in a rate code over 10 ms: ten timesteps, or one."""
    common = f"input 8x8; {layers}"
    paper = f"timestep_us={timestep_us} decay=0.0 v_threshold=0.3; {common}"
    ours = f"timestep_us={timestep_us} decay=0.9 v_threshold=1.0; {common}"
    return Case(
        name=name,
        dataset="digits",
        recipes=recipes_of(paper, ours, config),
        input=mode,
        draws=4,
        folds=5,
    )


REGIMES: Final = (
    _digits("first-10-sparse-shallow", "prioritised", 1_000, _SHALLOW, _SPARSE),
    _digits("queued-10-sparse-shallow", "queued", 1_000, _SHALLOW, _SPARSE),
    _digits("queued-1-sparse-shallow", "queued", 10_000, _SHALLOW, _SPARSE),
    _digits("first-10-dense-deep", "prioritised", 1_000, _DEEP, _DENSE),
    _digits("queued-10-sparse-recurrent", "queued", 1_000, _RECURRENT, _SPARSE),
)
"""Cases in the order in which they are reported: input, timesteps, firing, shape of the network."""
