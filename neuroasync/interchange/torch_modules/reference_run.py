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
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.recording.recorder import Recorder
from neuroasync.core.recording.recording import Recording
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
    theirs = run.all_spikes()
    duration_us = samples.timesteps * bundle.model.timestep_us
    recording = _record(bundle, samples, duration_us)
    ours = np.zeros_like(theirs)
    ours[recording.sample, recording.pass_, recording.neuron] = True
    populations, starts = bundle.model.populations, bundle.model.starts
    differs = ours != theirs
    spans = [slice(a, b) for a, b in pairwise(starts)]
    output = spans[bundle.model.index(bundle.model.output)]
    first = [_first(differs[k], k) for k in np.flatnonzero(differs.any(axis=(1, 2))).tolist()]
    return Agreement(
        str(bundle.meta["framework"]),
        tuple(p.name for p in populations),
        samples.timesteps,
        np.stack([~differs[:, :, span].any(axis=(1, 2)) for span in spans], axis=1),
        recording.votes,
        theirs[:, :, output].sum(axis=1).astype(np.int64),
        recording.label,
        np.array([theirs[:, :, span].sum() for span in spans], np.int64),
        tuple(
            _difference(run, bundle, samples, place, bool(ours[place]))
            for place in first[:_MAX_DIFFERENCES]
        ),
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

    def all_spikes(self) -> NDArray[np.bool_]:
        """Return the spikes of all samples, bool[samples, timesteps, neurons].

        Raises:
            InterchangeError: See :func:`agreement`.
        """
        starts = range(0, len(self._samples), _BATCH)
        return np.concatenate([self._spikes(first) for first in starts])

    def _spikes(self, first: int) -> NDArray[np.bool_]:
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


def _record(bundle: Bundle, samples: ReferenceSamples, duration_us: int) -> Recording:
    settings = RunSettings()
    recorder = Recorder(bundle, settings)
    plan = ExecutionPlan(PackedNetwork(bundle.model), settings)
    BatchJob(
        plan, samples.trains, 0, cores(), duration_us=duration_us,
        recorder_of=lambda number: recorder.for_sample(number),
    ).run()  # fmt: skip
    return recorder.finish()


def _first(differs: NDArray[np.bool_], sample: int) -> tuple[int, int, int]:
    """Return the sample, and the timestep and the neuron at which it first differs."""
    timestep = int(np.argmax(differs.any(axis=1)))
    return sample, timestep, int(np.argmax(differs[timestep]))


def _difference(
    run: FrameworkRun,
    bundle: Bundle,
    samples: ReferenceSamples,
    place: tuple[int, int, int],
    fired: bool,
) -> Difference:
    model = bundle.model
    sample, timestep, neuron = place
    p = int(np.searchsorted(model.starts, neuron, side="right")) - 1
    population, at = model.populations[p], neuron - model.starts[p]
    simulator = Simulator(ExecutionPlan(PackedNetwork(model), RunSettings()))
    end_us = (timestep + 1) * model.timestep_us
    train = samples.trains[sample]
    run_sample(simulator, type(train)(*(a[train.t_us < end_us] for a in (train.t_us, train.index))),
               duration_us=end_us)  # fmt: skip
    simulator.state.apply_decay()
    state = simulator.state
    potential = state.momentum[neuron] if fired else state.potential[neuron]
    threshold = np.broadcast_to(population.neuron.v_threshold, population.shape).reshape(-1)[at]
    return Difference(
        sample, timestep, population.name, at, fired, float(potential),
        run.potential(sample, timestep, population.name, at), float(threshold),
    )  # fmt: skip
