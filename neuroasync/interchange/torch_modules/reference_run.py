"""Runs reference samples through the framework and through the network, and compares all spikes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroasync.core.cpu import cores
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.run_sample import run_sample
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.recording.recorder import Recorder
from neuroasync.errors import InterchangeError
from neuroasync.interchange.agreement import Agreement, Difference
from neuroasync.interchange.torch_modules.framework import (
    Framework,
    evaluation,
    output_frames,
    run_module,
)
from neuroasync.interchange.torch_modules.module_import import ImportedModule
from neuroasync.interchange.torch_modules.reference_samples import ReferenceSamples
from neuroasync.runtime.batch.job import BatchJob

__all__ = ["FrameworkRun", "agreement"]

_BATCH: Final = 100
"""Samples that the framework runs at once."""
_MAX_DIFFERENCES: Final = 10


def agreement(
    framework: Framework,
    module: nn.Module,
    imported: ImportedModule,
    bundle: Bundle,
    samples: ReferenceSamples,
) -> Agreement:
    """Compare a module and the network that it was imported as, on reference samples.

    Raises:
        InterchangeError: The module fires something other than 0 or 1, or runs another number of
            timesteps.
    """
    run = FrameworkRun(framework, module, imported, samples)
    network = _NetworkRun(bundle, samples)
    model = bundle.model
    spans = [slice(a, b) for a, b in pairwise(model.starts)]
    output = spans[model.index(model.output)]
    agrees, theirs, votes = [], [], []
    spikes = np.zeros(len(spans), np.int64)
    places: list[tuple[int, int, int, bool]] = []
    for first in range(0, len(samples), _BATCH):
        given, found = run.spikes(first), network.spikes(first)
        differs = given != found
        agrees.append(np.stack([~differs[:, :, s].any(axis=(1, 2)) for s in spans], axis=1))
        theirs.append(given[:, :, output].sum(axis=1).astype(np.int64))
        votes.append(found[:, :, output].sum(axis=1).astype(np.int64))
        spikes += [int(given[:, :, span].sum()) for span in spans]
        wrong = np.flatnonzero(differs.any(axis=(1, 2))).tolist()
        for k in wrong:
            timestep, neuron = _first(differs[k])
            places.append((first + k, timestep, neuron, bool(found[k, timestep, neuron])))
    return Agreement(
        str(bundle.meta["framework"]),
        tuple(p.name for p in model.populations),
        samples.timesteps,
        np.concatenate(agrees),
        np.concatenate(votes),
        np.concatenate(theirs),
        np.array(network.labels, np.int64),
        spikes,
        tuple(network.difference(run, *place) for place in places[:_MAX_DIFFERENCES]),
        (*imported.conditions, *imported.notes),
    )


class FrameworkRun:
    """The framework on the reference samples, batch by batch.

    Args:
        framework: The framework.
        module: The module.
        imported: The network that it was imported as.
        samples: The reference samples.
    """

    def __init__(
        self,
        framework: Framework,
        module: nn.Module,
        imported: ImportedModule,
        samples: ReferenceSamples,
    ) -> None:
        self._framework, self._module = framework, module
        self._imported, self._samples = imported, samples

    def spikes(self, first: int) -> NDArray[np.bool_]:
        """Return the spikes of the batch from ``first`` on, bool[samples, timesteps, neurons]."""
        outputs: dict[str, dict[int, Tensor]] = {name: {} for name in self._imported.layers}

        def keep(name: str, _: nn.Module, output: Any) -> None:
            spikes = output[0] if isinstance(output, tuple) else output
            if ((spikes != 0) & (spikes != 1)).any():
                raise InterchangeError(
                    f"layer `{name}` must fire 0 or 1, got {float(spikes.max())}"
                )
            outputs[name][len(outputs[name])] = spikes != 0

        samples = self._run(first, keep)
        return np.concatenate([self._frames(outputs[name], samples) for name in outputs], axis=2)

    def potential(self, sample: int, timestep: int, name: str, neuron: int) -> float | None:
        """Return the potential of a neuron in the same batch as before, if it is known."""
        potentials: dict[int, Tensor] = {}

        def keep(layer: str, part: nn.Module, output: Any) -> None:
            if layer == name:
                known = self._framework.potential(part, output)
                if known is not None:
                    potentials[len(potentials)] = known.clone()

        first = sample // _BATCH * _BATCH
        samples = self._run(first, keep)
        if not potentials:
            return None
        return float(self._frames(potentials, samples)[sample - first, timestep, neuron])

    def _frames(self, outputs: dict[int, Tensor], samples: int) -> NDArray[Any]:
        timesteps = self._samples.timesteps
        if not self._imported.layout.calls_once and len(outputs) != timesteps:
            raise InterchangeError(
                f"the module runs {len(outputs)} timesteps, but the samples have {timesteps}; set "
                "`timesteps`"
            )
        array: NDArray[Any] = output_frames(
            self._imported.layout, outputs, samples, timesteps
        ).numpy()
        return array

    def _run(self, first: int, keep: Callable[[str, nn.Module, Any], None]) -> int:
        batch = range(first, min(first + _BATCH, len(self._samples)))
        frames = torch.from_numpy(self._samples.frames(batch))
        with evaluation(self._module), torch.no_grad(), self._hooks(keep):
            run_module(self._framework, self._module, self._imported.layout, frames)
        return len(batch)

    @contextmanager
    def _hooks(self, keep: Callable[[str, nn.Module, Any], None]) -> Iterator[None]:
        handles = [
            layer.register_forward_hook(lambda part, _, output, n=name: keep(n, part, output))
            for name, layer in self._imported.layers.items()
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


class _NetworkRun:
    """The network on the reference samples under ``layer-sync``, batch by batch."""

    def __init__(self, bundle: Bundle, samples: ReferenceSamples) -> None:
        self._bundle, self._samples = bundle, samples
        self._plan = ExecutionPlan(PackedNetwork(bundle.model), RunSettings())
        self.labels: list[int] = []

    def spikes(self, first: int) -> NDArray[np.bool_]:
        """Return the spikes of the batch from ``first`` on, bool[samples, timesteps, neurons]."""
        bundle, timesteps = self._bundle, self._samples.timesteps
        trains = self._samples.trains[first : first + _BATCH]
        recorder = Recorder(bundle, self._plan.run)
        BatchJob(
            self._plan, trains, 0, cores(), duration_us=timesteps * bundle.model.timestep_us,
            recorder_of=recorder.for_sample,
        ).run()  # fmt: skip
        recording = recorder.finish()
        self.labels += recording.label.tolist()
        spikes = np.zeros((len(trains), timesteps, bundle.model.size), np.bool_)
        spikes[recording.sample, recording.pass_, recording.neuron] = True
        return spikes

    def difference(
        self, run: FrameworkRun, sample: int, timestep: int, neuron: int, fired: bool
    ) -> Difference:
        """Return a difference with the potentials of both."""
        model, train = self._bundle.model, self._samples.trains[sample]
        p = int(np.searchsorted(model.starts, neuron, side="right")) - 1
        population, at = model.populations[p], neuron - model.starts[p]
        end_us = (timestep + 1) * model.timestep_us
        until = int(np.searchsorted(train.t_us, end_us))
        simulator = Simulator(self._plan)
        train = SpikeTrain(train.t_us[:until], train.index[:until])
        run_sample(simulator, train, duration_us=end_us)
        simulator.state.apply_decay()
        potentials = simulator.state.momentum if fired else simulator.state.potential
        threshold = np.broadcast_to(population.neuron.v_threshold, population.shape)
        return Difference(
            sample, timestep, population.name, at, fired, float(potentials[neuron]),
            run.potential(sample, timestep, population.name, at),
            float(threshold.reshape(-1)[at]),
        )  # fmt: skip


def _first(differs: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the timestep and the neuron of the first difference of a sample."""
    timestep = int(np.argmax(differs.any(axis=1)))
    return timestep, int(np.argmax(differs[timestep]))
