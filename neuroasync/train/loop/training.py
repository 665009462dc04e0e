"""A training between two epochs, and the epochs themselves."""

import math
import time
from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.orders.run_modes import parse_run_modes
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.core.model.model import Model
from neuroasync.train.batch import Batch
from neuroasync.train.batches import Batches
from neuroasync.train.checkpoint import TrainingState
from neuroasync.train.config import TrainConfig, settings_of
from neuroasync.train.cuda.selection import Device
from neuroasync.train.loop.epoch_selection import best_epoch
from neuroasync.train.loop.length_split import split_by_length
from neuroasync.train.loop.mode_draws import ModeDraws
from neuroasync.train.loop.objective import make_objective
from neuroasync.train.loop.results import BatchResult, EpochResult, Fit
from neuroasync.train.loop.torch_state import own_torch_state
from neuroasync.train.losses import spike_penalty
from neuroasync.train.module import SpikingNetwork
from neuroasync.train.parallel.exchange import Exchange, check_equal
from neuroasync.train.schedule import learning_rate_factor, penalty_factor
from neuroasync.train.surrogate import Surrogate
from neuroasync.train.weight_init import scale_to_firing_rate

__all__ = ["TrainingRun"]

_START_SAMPLES: Final = 64
"""Samples on which initial firing rates are measured."""
_SCALARS: Final = 4
"""Results of a step besides those of each population."""
_EXACT_STEPS: Final = 2**24
"""Adam counts its steps in float32, which counts no further than this."""
_WORKERS_DIFFER: Final = (
    "the workers no longer have the same weights, because their machines round differently; use "
    "machines with the same kind of processor and the same build of torch"
)


class TrainingRun:
    """State of a training between two epochs.

    Args:
        model: The network.
        train: Training samples with labels.
        validation: Validation samples with labels, or None.
        config: Configuration of the training.
        threads: Maximum number of threads on the CPU. None takes the number of available cores.
        exchange: Connection to other workers, which run the same training; None for none.

    Attributes:
        network: The network with its current weights.
        history: One result for each epoch so far.
    """

    @own_torch_state()
    def __init__(
        self,
        model: Model,
        train: SpikeTrains,
        validation: SpikeTrains | None,
        config: TrainConfig,
        threads: int | None,
        exchange: Exchange | None = None,
    ) -> None:
        self._config, self._validation, self._exchange = config, validation, exchange
        self._objective = make_objective(config, train, model)
        self.history: list[EpochResult] = []
        self._best: NDArray[np.float32] | None = None
        self._draws: ModeDraws | None = None
        if config.modes is not None and config.mode_focus:
            self._draws = ModeDraws(parse_run_modes(config.modes), config.mode_focus)
        surrogate = Surrogate(config.surrogate, config.surrogate_slope)
        # The CUDA engine does not support input events with values.
        parts = [train] if validation is None else [train, validation]
        has_values = any(part.value is not None for part in parts)
        device: Device = "cpu" if config.device == "auto" and has_values else config.device
        self.network = SpikingNetwork(
            model, surrogate, device, threads, learn=config.learn,
            learn_per=config.learn_per, exchange=exchange,
        )  # fmt: skip
        self._batches = Batches(
            model, train, config.batch_size,
            seed=config.seed, duration_us=config.duration_us, dropout=config.input_dropout,
            augmentation=config.augmentation,
        )  # fmt: skip
        if config.init_rate is not None:
            self._initialise(config.init_rate, train)
        self._optimizer = torch.optim.Adam([self.network.values], config.lr, fused=True)
        self._labels = self._batches.labels.to(self.network.device)

    def _initialise(self, rate: float, train: SpikeTrains) -> None:
        """Draw new weights, and scale them until every population fires at ``rate``."""
        order, config = np.concatenate(self._batches.chosen(0))[:_START_SAMPLES], self._config
        seeds = [sample_seed(config.seed, i) for i in order.tolist()]
        batch = self.network.batch(train, order, seeds, config.duration_us)
        scale_to_firing_rate(self.network, batch, rate, config.seed)

    def epoch(self, on_batch: Callable[[BatchResult], None] | None) -> EpochResult:
        """Train for one epoch, and validate.

        Raises:
            FloatingPointError: The loss or a weight is no longer finite. The message names the
                batch.
            ValueError: Another worker has other weights.
            ForwardStepLimitError: A pass took too many forward steps.
            ExchangeError: The connection to another worker was lost.
        """
        began, epoch = time.perf_counter(), len(self.history)
        samples, batches = len(self._labels), len(self._batches)
        sums = np.zeros(_SCALARS + len(self.network.model.populations))
        for batch, chosen in enumerate(self._batches.chosen(epoch)):
            measured = self._in_drawn_mode(epoch, batch, chosen)
            sums += measured * chosen.size
            if on_batch is not None:
                loss, accuracy, spikes = measured[: _SCALARS - 1].tolist()
                on_batch(BatchResult(epoch, batch, batches, loss, accuracy, spikes))
        validated = self._validate()
        loss, accuracy, spikes, penalty, *populations = (sums / samples).tolist()
        name = self._config.epoch_policy(epoch)
        seconds = time.perf_counter() - began
        result = EpochResult(
            epoch, name, loss, accuracy, spikes, *validated, seconds, penalty, tuple(populations)
        )
        self.history.append(result)
        if self._exchange is not None:
            weights = self.network.values.detach().numpy().tobytes()
            check_equal(self._exchange, weights, _WORKERS_DIFFER)
        if best_epoch(self.history, self._config) == epoch:
            self._best = self.network.values.detach().cpu().numpy().copy()
        return result

    def finish(self) -> Fit:
        """Return the trained network, with the weights that the configuration keeps."""
        best = best_epoch(self.history, self._config)
        if best is not None and self._best is not None:
            with torch.no_grad():
                self.network.values.copy_(torch.from_numpy(self._best.copy()))
        return Fit(self.network.to_model(), self._config, tuple(self.history), best)

    def state(self) -> TrainingState:
        """Return what a checkpoint stores after one or more epochs, valid until the next one."""
        moments = self._optimizer.state[self.network.values]
        return TrainingState(
            parameters=self.network.values.detach().cpu().numpy(),
            mean=moments["exp_avg"].cpu().numpy(),
            square=moments["exp_avg_sq"].cpu().numpy(),
            history=tuple(self.history),
            best=self._best,
            mode_errors=None if self._draws is None else self._draws.errors,
        )

    @own_torch_state()
    def resume(self, state: TrainingState) -> None:
        """Continue from the state of a checkpoint."""
        values, steps = self.network.values, len(state.history) * len(self._batches)

        def copied(array: NDArray[np.float32]) -> Tensor:
            return torch.from_numpy(array.astype(np.float32)).to(values.device)

        with torch.no_grad():
            values.copy_(copied(state.parameters))
        self._optimizer.state[values] = {
            "step": copied(np.array(min(steps, _EXACT_STEPS))),
            "exp_avg": copied(state.mean),
            "exp_avg_sq": copied(state.square),
        }
        self.history = list(state.history)
        self._best = state.best
        if self._draws is not None and state.mode_errors is not None:
            self._draws.errors = state.mode_errors.astype(np.float64)

    def _in_drawn_mode(
        self, epoch: int, batch: int, chosen: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Run one optimiser step in the run mode of the batch; see :meth:`_step`."""
        config, draws = self._config, self._draws
        if draws is None or config.epoch_policy(epoch) != "drawn":
            return self._step(epoch, batch, chosen, config.settings(epoch, batch))
        mode = draws.draw(config.mode_key(epoch, batch))
        measured = self._step(epoch, batch, chosen, settings_of(draws.modes.modes[mode]))
        draws.add(mode, 1 - float(measured[1]))
        return measured

    @own_torch_state()
    def _step(
        self, epoch: int, batch: int, chosen: NDArray[np.int64], settings: RunSettings
    ) -> NDArray[np.float64]:
        """Run one optimiser step, and return its results.

        These are loss, accuracy, spikes per sample, penalty, and spikes per sample of each
        population.
        """
        config, step = self._config, epoch * len(self._batches) + batch
        steps = config.epochs * len(self._batches)
        for group in self._optimizer.param_groups:
            group["lr"] = config.lr * learning_rate_factor(step, steps, config.warmup)
        self.network.values.grad = None  # `zero_grad` does this in many more calls.
        whole = self._batches.batch(epoch, chosen)
        model = self.network.model
        parts = split_by_length(whole.passes, model)
        measured = np.zeros(_SCALARS + len(model.populations))
        penalty = config.penalty * penalty_factor(step, steps)
        for part in parts:
            taken = whole if len(parts) == 1 else self._batches.batch(epoch, chosen[part])
            measured += self._add_gradients(
                taken, chosen[part], settings, penalty, part.size / chosen.size
            )
        if not math.isfinite(measured[0]):
            raise self._diverged(epoch, batch, f"the loss is {measured[0]}")
        self._optimizer.step()
        moments = self._optimizer.state[self.network.values]
        # A sum is finite only if all of its terms are.
        for tensor in (self.network.values.detach(), moments["exp_avg_sq"]):
            if not math.isfinite(float(tensor.sum())):
                raise self._diverged(epoch, batch, "the weights or their gradients are not finite")
        return measured

    def _add_gradients(
        self,
        batch: Batch,
        chosen: NDArray[np.int64],
        settings: RunSettings,
        penalty_weight: float,
        share: float,
    ) -> NDArray[np.float64]:
        """Add the gradients of some samples, and return their share of the batch's results.

        Args:
            batch: The samples.
            chosen: Their numbers.
            settings: Ordering policy, group size and input mode.
            penalty_weight: Weight of the spike penalty.
            share: Their fraction of all samples of the optimiser step.
        """
        config = self._config
        result = self.network(batch, settings, config.refractory_dropout)
        labels = self._labels[torch.from_numpy(chosen)]
        loss, accuracy = self._objective.measure(result, batch, labels)
        penalty = loss.new_zeros(())
        if penalty_weight and (hidden := self.network.hidden):
            penalty = penalty_weight * spike_penalty(
                result.spikes, batch.passes, hidden, config.penalty_target
            )
            loss = loss + penalty
        value = float(loss.detach())
        if math.isfinite(value):
            (loss if share == 1 else share * loss).backward()  # type: ignore[no-untyped-call]
        fired = result.spikes.detach()
        spikes = float(fired.sum()) / chosen.size
        populations = (fired.sum((0, 1), dtype=torch.float64) / chosen.size).tolist()
        return share * np.array([value, accuracy, spikes, float(penalty.detach()), *populations])

    def _diverged(self, epoch: int, batch: int, found: str) -> FloatingPointError:
        return FloatingPointError(
            f"the training diverged: in epoch {epoch + 1} of {self._config.epochs}, batch "
            f"{batch + 1} of {len(self._batches)}, {found}; try a lower `lr`, `vote_scale` or "
            "`penalty`"
        )

    def _validate(self) -> tuple[float | None, float | None]:
        """Return accuracy and spikes per sample on the validation samples, if there are any."""
        if self._validation is None:
            return None, None
        return self._objective.validate(self.network, self._validation)
