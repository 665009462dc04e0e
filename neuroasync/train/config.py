"""The configuration of a training run, checked when it is created."""

import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal

from neuroasync.core.engine.policies import LayerSync, Momentum, make_policy
from neuroasync.core.engine.run_settings import InputMode, RunSettings, check_seed
from neuroasync.core.formats.bundle import PolicySpec, VoteWindow
from neuroasync.core.formats.orders.run_modes import parse_run_modes
from neuroasync.core.kernels.order_keys import order_key
from neuroasync.core.model.checks import as_number, check_ints, must_be, shown
from neuroasync.train.augmentation import Augmentation, Compose, JitterTimes, Shift
from neuroasync.train.losses import LOSSES, LossKind
from neuroasync.train.module import Device
from neuroasync.train.neurons.learned import LearnPer, check_learn_per, parse_learn
from neuroasync.train.surrogate import Surrogate

__all__ = ["TrainConfig", "settings_of"]

_LATER: Final[Mapping[str, Any]] = {
    "keep": "last", "patience": None, "stop_after": None, "shift": 0, "time_jitter_us": 0.0,
    "vote_window_us": None,
    "learn": None, "learn_per": "population", "modes": None, "mode_focus": 0.0,
}  # fmt: skip
"""Fields that were added after the first bundles were written, and their defaults."""
_MODE_DRAWS: Final = 2**40
"""Counter of the draws of run modes. No network has so many neurons, so no order key is equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Everything that determines a training run, apart from the network and the data.

    The defaults are the values that closed the accuracy gap between layered and unlayered order.

    Attributes:
        epochs: Number of passes over the training data.
        batch_size: Samples per optimiser step.
        lr: Highest learning rate of Adam.
        warmup: Fraction of the training run, from 0 to 1, in which the learning rate rises. After
            that, the learning rate falls to 0 along a cosine.
        surrogate, surrogate_slope: Surrogate derivative of the spike; see ``Surrogate``.
        loss: Loss of the votes, or of the potentials of leaky integrators: ``"accumulated"``,
            ``"timestep"`` (of votes only), ``"final"`` or ``"maximum"`` (of potentials only); or
            ``"windowed"`` for labels over time; see ``neuroasync.train.losses``.
        vote_scale: Factor by which the votes (output spikes per class) or potentials are multiplied
            before the softmax.
        penalty: Weight of the spike penalty, which is off at first; see ``penalty_factor``.
        penalty_target: Number of spikes that a hidden population of up to 64 neurons may fire per
            forward pass without a penalty; a larger one may fire as many for each 64 neurons.
        policy: Ordering policy that the network is trained for, unless there are ``modes``. It
            is the default of the trained network in any case, and validation runs under it.
        group_size: Maximum number of pending spikes that a forward step delivers (F).
        input: ``"prioritised"`` or ``"queued"``.
        layered_epochs: Number of epochs under layer-sync, which come before those under
            ``policy``. If None, half of the epochs.
        refractory_dropout: Probability that a spike leaves its neuron non-refractory.
        input_dropout: Probability that an input event is dropped, below 1.
        shift: Largest random shift of a training sample along the last two axes of the input, in
            cells; see ``Shift``.
        time_jitter_us: Standard deviation of a random shift of the times of input events, µs; see
            ``JitterTimes``.
        modes: Distribution over run modes as text, such as ``"layer-sync; random F=1,8 queued"``;
            see :func:`~neuroasync.parse_run_modes`. After the epochs under layer-sync, the run mode
            of each batch is drawn from it. If None, all of these batches run under ``policy``,
            with ``group_size`` and ``input``.
        mode_focus: With ``modes``, how much more often a mode is drawn in which the network makes
            more errors: the weights are multiplied by exp(``mode_focus`` * e), with e the moving
            average of 1 minus the accuracy of the batches in that mode. With 0, the weights decide
            alone.
        momentum_noise: Noise λ of the momentum policy.
        init_rate: Initial firing rate of every population, in spikes per neuron and pass, above
            0; see ``scale_to_firing_rate``. If None, the weights of the model are
            kept.
        duration_us: End of every sample, µs. If None, each sample ends with the bin of its last
            event, or with its labels over time.
        seed: Seed of initialisation, shuffling, order keys and dropout.
        device: ``"cpu"``, ``"cuda"``, or ``"auto"`` for the CUDA engine if it can be used, else
            the CPU.
        keep: Whose weights the trained network has: ``"last"``, those after the last epoch, or
            ``"best"``, those after the epoch with the highest validation accuracy, which must be
            one under ``policy``; the earliest of several.
        patience: Number of epochs without a better one after which the training ends, with
            ``keep="best"``. If None, it does not end early.
        stop_after: Number of epochs after which the training ends, although its schedules are
            those of ``epochs``. If None, all epochs.
        vote_window_us: Length of the vote window, µs; required by ``loss="windowed"``, otherwise
            None. See :class:`neuroasync.VoteWindow`.
        learn: What is learned besides weights and biases: one or several of ``tau_mem``,
            ``tau_syn`` and ``threshold``, separated by commas; None for nothing. See
            ``neuroasync.train.neurons.learned``.
        learn_per: ``"population"`` or ``"neuron"``: whether all neurons of a population share a
            learned factor, or each has its own.

    Raises:
        ValueError: A field is out of range. The message names it.
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
    keep: Literal["last", "best"] = "last"
    patience: int | None = None
    stop_after: int | None = None
    shift: int = 0
    time_jitter_us: float = 0.0
    vote_window_us: int | None = None
    learn: str | None = None
    learn_per: LearnPer = "population"
    modes: str | None = None
    mode_focus: float = 0.0

    def __post_init__(self) -> None:
        """Check every field."""
        lowest = {"epochs": 0, "batch_size": 1, "shift": 0}
        optional = {"layered_epochs": 0, "duration_us": 1, "patience": 1, "stop_after": 1,
                    "vote_window_us": 1}  # fmt: skip
        lowest |= {k: low for k, low in optional.items() if getattr(self, k) is not None}
        check_ints(self, {name: (low, 2**53 - 1) for name, low in lowest.items()}, ValueError)
        for name in (
            "lr",
            "vote_scale",
            "penalty",
            "penalty_target",
            "momentum_noise",
            "time_jitter_us",
            "mode_focus",
        ):
            self._check_number(name, math.inf)
        for name in ("warmup", "refractory_dropout", "input_dropout"):
            self._check_number(name, 1.0)
        if self.input_dropout == 1:
            raise ValueError(
                "`input_dropout` must be below 1, because otherwise no input is left, got 1"
            )
        if self.init_rate is not None:
            self._check_number("init_rate", math.inf)
            if self.init_rate == 0:
                raise ValueError("`init_rate` must be a number above 0, or None, got 0")
        if self.loss not in LOSSES:
            raise ValueError(f"`loss` must be one of {list(LOSSES)}, got {self.loss!r:.80}")
        self._check_windowed()
        if self.device not in ("auto", "cpu", "cuda"):
            raise ValueError(f"`device` must be 'auto', 'cpu' or 'cuda', got {self.device!r:.80}")
        if self.keep not in ("last", "best"):
            raise ValueError(f"`keep` must be 'last' or 'best', got {self.keep!r:.80}")
        if self.patience is not None and self.keep != "best":
            raise ValueError(must_be("keep", "'best' with `patience`", f"{self.keep!r}"))
        self._check_learn()
        object.__setattr__(self, "seed", check_seed(self.seed))
        Surrogate(self.surrogate, self.surrogate_slope)
        if not isinstance(self.policy, str):
            raise ValueError(
                f"`policy` must be the name of a built-in ordering policy, got {self.policy!r:.80}"
            )
        make_policy(self.policy, self.momentum_noise)
        run = RunSettings(group_size=self.group_size, input=self.input)
        object.__setattr__(self, "group_size", run.group_size)
        if self.momentum_noise and self.policy != "momentum":
            raise ValueError(
                f"`momentum_noise` must be 0 with policy {self.policy!r}, got {self.momentum_noise}"
            )
        if self.modes is not None:
            self._check_modes(self.modes)
        elif self.mode_focus:
            raise ValueError(must_be("mode_focus", "0 without `modes`", shown(self.mode_focus)))

    def _check_modes(self, modes: str) -> None:
        # The canonical text, so that equal distributions make equal configurations.
        object.__setattr__(self, "modes", str(parse_run_modes(modes)))
        if self.momentum_noise:
            raise ValueError(
                "`momentum_noise` must be 0 with `modes`, in which momentum has a noise of its "
                f"own (noise=X), got {self.momentum_noise}"
            )

    def _check_windowed(self) -> None:
        if self.loss == "windowed":
            if self.vote_window_us is None:
                raise ValueError(must_be("vote_window_us", "given with `loss='windowed'`", "None"))
            if self.duration_us is not None:
                requirement = "None with `loss='windowed'`, because the labels end a sample"
                raise ValueError(must_be("duration_us", requirement, str(self.duration_us)))
        elif self.vote_window_us is not None:
            requirement = "'windowed' with `vote_window_us`"
            raise ValueError(must_be("loss", requirement, f"{self.loss!r}"))

    def _check_learn(self) -> None:
        if self.learn is not None:
            object.__setattr__(self, "learn", ",".join(parse_learn(self.learn)))
        check_learn_per(self.learn_per, self.learn)

    def _check_number(self, name: str, high: float) -> None:
        value = as_number(getattr(self, name))
        if value is None or not 0 <= value <= min(high, sys.float_info.max):
            allowed = "a finite number of at least 0"
            if high != math.inf:
                allowed = f"a number from 0 to {high:g}"
            raise ValueError(must_be(name, allowed, shown(getattr(self, name))))
        # No file holds larger integers.
        object.__setattr__(self, name, value if value < 2**63 else float(value))

    def settings(self, epoch: int, batch: int = 0) -> RunSettings:
        """Return the run settings of a batch: layer-sync first, then what is trained for.

        They depend on the configuration and the two numbers only, so that a training that was
        interrupted continues with the same run modes. With ``mode_focus``, the run mode also
        depends on the errors so far; these are the settings without them.
        """
        if epoch < self._layered:
            # Under layer-sync, queued and prioritised input give the same result.
            return RunSettings(LayerSync(), self.group_size)
        if self.modes is None:
            policy = make_policy(self.policy, self.momentum_noise)
            return RunSettings(policy, self.group_size, self.input)
        return settings_of(parse_run_modes(self.modes).draw(self.mode_key(epoch, batch)))

    def mode_key(self, epoch: int, batch: int) -> int:
        """Return the key that the run mode of a batch is drawn with, 0 to 2**64 - 1."""
        return order_key(self.seed, epoch, batch, _MODE_DRAWS)

    def epoch_policy(self, epoch: int) -> str:
        """Return the name of the ordering policy of an epoch; ``drawn`` if each batch has one."""
        if epoch < self._layered:
            return "layer-sync"
        return self.policy if self.modes is None else "drawn"

    @property
    def _layered(self) -> int:
        return self.epochs // 2 if self.layered_epochs is None else self.layered_epochs

    @property
    def first_selectable(self) -> int:
        """The first epoch that ``keep="best"`` may choose: the first after those of layer-sync."""
        only_layered = self.policy == "layer-sync" and self.modes is None
        never = only_layered or self._layered >= self.epochs
        return 0 if never else self._layered

    @property
    def augmentation(self) -> Augmentation | None:
        """The augmentation of the training samples, besides the dropout; None for none."""
        chosen: list[Augmentation] = []
        if self.shift:
            chosen.append(Shift(self.shift))
        if self.time_jitter_us:
            chosen.append(JitterTimes(self.time_jitter_us))
        return Compose(*chosen) if chosen else None

    @property
    def run_settings(self) -> RunSettings:
        """Run settings of the trained network, without the momentum noise of training."""
        policy = Momentum() if self.policy == "momentum" else make_policy(self.policy)
        return RunSettings(policy, self.group_size, self.input)

    @property
    def vote_window(self) -> VoteWindow | None:
        """The vote window of the training, for its bundle; None without labels over time."""
        if self.vote_window_us is None:
            return None
        return VoteWindow(self.vote_window_us, self.vote_scale)

    @property
    def policy_spec(self) -> PolicySpec:
        """The policy, group size and input mode of the trained network, for its bundle."""
        return PolicySpec(self.policy, self.group_size, self.input)

    def to_dict(self) -> dict[str, str | int | float | None]:
        """Return the fields as a flat dict of scalars, for a bundle's meta and for checkpoints.

        Fields that were added later are left out at their default, so that the bundle of a
        training without them stays the same.
        """
        return {k: v for k, v in asdict(self).items() if k not in _LATER or v != _LATER[k]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """Return the configuration whose fields are given in a dict from :meth:`to_dict`.

        Raises:
            ValueError: A field is unknown or out of range.
        """
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"unknown field {unknown[0]!r}; the fields are {sorted(known)}")
        return cls(**values)


def settings_of(mode: PolicySpec) -> RunSettings:
    """Return a run mode as run settings."""
    return RunSettings(make_policy(mode.name, mode.noise), mode.group_size, mode.input)
