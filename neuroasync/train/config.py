"""Everything that determines a training, as one checked value."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from neuroasync.core.engine.policies import LayerSync, Momentum, make_policy
from neuroasync.core.engine.run_settings import InputMode, RunSettings, check_seed
from neuroasync.core.formats.bundle import PolicySpec
from neuroasync.train.losses import LossKind
from neuroasync.train.module import Device
from neuroasync.train.surrogate import Surrogate

__all__ = ["TrainConfig"]

_LOSSES: Final = ("accumulated", "timestep", "final")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """A recipe. The defaults are those that closed the gap between layered and unlayered order.

    Attributes:
        epochs: passes over the training data.
        batch_size: samples per step of the optimiser.
        lr: learning rate of Adam, at its highest.
        warmup: part of the training in which it rises; then a cosine takes it to 0.
        surrogate, surrogate_slope: see ``Surrogate``.
        loss: of the votes, ``"accumulated"``, ``"timestep"`` or ``"final"``; see ``vote_loss``.
        vote_scale: of the votes before the softmax.
        penalty: weight of the spike penalty; off at first, see ``penalty_factor``.
        penalty_target: spikes per population and pass that cost nothing.
        policy: order that the network is trained for.
        group_size: F.
        input: ``"prioritised"`` or ``"queued"``.
        layered_epochs: that many epochs run under layer-sync, before those under ``policy``;
            None for half of them.
        refractory_dropout: probability that a spike leaves its neuron non-refractory.
        input_dropout: probability that an input event is dropped.
        momentum_noise: λ of the momentum order.
        init_rate: spikes per neuron and pass that every population begins with, above 0, see
            ``scale_to_firing_rate``; None keeps the model's own weights.
        duration_us: end every sample here, µs; None ends each with its last event's bin.
        seed: of initialisation, shuffling, orders and dropout.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Raises:
        ValueError: a field is out of range; says which.
    """

    epochs: int = 60
    batch_size: int = 64
    lr: float = 4e-3
    warmup: float = 0.05
    surrogate: str = "arctan"
    surrogate_slope: float = 1.5
    loss: LossKind = "accumulated"
    vote_scale: float = 0.5
    penalty: float = 0.01
    penalty_target: float = 6.0
    policy: str = "random"
    group_size: int = 8
    input: InputMode = "prioritised"
    layered_epochs: int | None = None
    refractory_dropout: float = 0.0
    input_dropout: float = 0.0
    momentum_noise: float = 0.0
    init_rate: float | None = 0.05
    duration_us: int | None = None
    seed: int = 0
    device: Device = "auto"

    def __post_init__(self) -> None:
        """Check every field."""
        for name, low in (("epochs", 0), ("batch_size", 1)):
            _check_int(name, getattr(self, name), low)
        if self.layered_epochs is not None:
            _check_int("layered_epochs", self.layered_epochs, 0)
        for name in ("lr", "vote_scale", "penalty", "penalty_target", "momentum_noise"):
            _check_number(name, getattr(self, name), math.inf)
        for name in ("warmup", "refractory_dropout", "input_dropout"):
            _check_number(name, getattr(self, name), 1.0)
        if self.init_rate is not None:
            _check_number("init_rate", self.init_rate, math.inf)
            if self.init_rate == 0:
                raise ValueError("init_rate: 0, expected a number above 0, or None")
        if self.duration_us is not None:
            _check_int("duration_us", self.duration_us, 1)
        if self.loss not in _LOSSES:
            raise ValueError(f"loss: {self.loss!r:.80}, expected one of {list(_LOSSES)}")
        if self.device not in ("auto", "cpu", "cuda"):
            raise ValueError(f"device: {self.device!r:.80}, expected 'auto', 'cpu' or 'cuda'")
        check_seed(self.seed)
        Surrogate(self.surrogate, self.surrogate_slope)
        if not isinstance(self.policy, str):
            raise ValueError(f"policy: {self.policy!r:.80}, expected the name of a built-in order")
        make_policy(self.policy, self.momentum_noise)
        RunSettings(group_size=self.group_size, input=self.input)
        if self.momentum_noise and self.policy != "momentum":
            raise ValueError(
                f"momentum_noise: {self.momentum_noise}, expected 0 with policy {self.policy!r}"
            )

    def settings(self, epoch: int) -> RunSettings:
        """How forward passes run in ``epoch``: under layer-sync, or in the order trained for."""
        layered = self.epochs // 2 if self.layered_epochs is None else self.layered_epochs
        if epoch < layered:  # where it makes no difference whether the input is queued
            return RunSettings(LayerSync(), self.group_size)
        policy = make_policy(self.policy, self.momentum_noise)
        return RunSettings(policy, self.group_size, self.input)

    @property
    def run_settings(self) -> RunSettings:
        """How the trained network is meant to run: without what exists in training only."""
        policy = Momentum() if self.policy == "momentum" else make_policy(self.policy)
        return RunSettings(policy, self.group_size, self.input)

    @property
    def policy_spec(self) -> PolicySpec:
        """The same for a bundle."""
        return PolicySpec(self.policy, self.group_size, self.input)

    def to_dict(self) -> dict[str, str | int | float | None]:
        """Flat scalars, for a bundle's meta and for checkpoints."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """The configuration that :meth:`to_dict` described.

        Raises:
            ValueError: a field is unknown or out of range.
        """
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"{unknown[0]}: unknown field, expected some of {sorted(known)}")
        return cls(**values)


def _check_int(name: str, value: object, low: int) -> None:
    if type(value) is not int or not low <= value < 2**53:
        raise ValueError(f"{name}: {value!r:.80}, expected an integer from {low}")


def _check_number(name: str, value: object, high: float) -> None:
    valid = isinstance(value, int | float) and not isinstance(value, bool)
    if not valid or not 0 <= value <= high or value == math.inf:  # type: ignore[operator]
        raise ValueError(f"{name}: {value!r:.80}, expected a number from 0 to {high}")
