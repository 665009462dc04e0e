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
from neuroasync.errors import InterchangeError
from neuroasync.interchange.agreement import Agreement, Difference
from neuroasync.interchange.pass_potentials import decide_with_potentials
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
_TOLERANCE: Final = 1e-5
"""Difference of potentials that is due to rounding, as a share of the largest of the sample."""


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
    run, network = FrameworkRun(framework, module, imported, samples), _NetworkRun(bundle, samples)
    model = bundle.model
    spans = [slice(a, b) for a, b in pairwise(model.starts)]
    output = spans[model.index(model.output)]
    agrees, theirs, votes = [], [], []
    potentials: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
    spikes = np.zeros(len(spans), np.int64)
    places: list[tuple[int, int, int, bool | None]] = []
    for first in range(0, len(samples), _BATCH):
        (given, above), (found, own) = run.batch(first), network.batch(first)
        differs = given != found
        if above is not None and own is not None:
            potentials.append((own, above))
            differs[:, :, output] = _differ(own, above)
        agrees.append(np.stack([~differs[:, :, s].any(axis=(1, 2)) for s in spans], axis=1))
        theirs.append(given[:, :, output].sum(axis=1).astype(np.int64))
        votes.append(found[:, :, output].sum(axis=1).astype(np.int64))
        spikes += [int(given[:, :, span].sum()) for span in spans]
        wrong = np.flatnonzero(differs.any(axis=(1, 2))).tolist()
        for k in wrong:
            timestep, neuron = _first(differs[k])
            is_readout = own is not None and output.start <= neuron < output.stop
            fired = None if is_readout else bool(found[k, timestep, neuron])
            places.append((first + k, timestep, neuron, fired))
    readouts = [np.concatenate(parts) for parts in zip(*potentials, strict=True)]
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
        *readouts,
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

    def batch(self, first: int) -> tuple[NDArray[np.bool_], NDArray[np.float32] | None]:
        """Return spikes and readouts of the batch from ``first`` on.

        Returns:
            bool[samples, timesteps, neurons], the spikes; and f32[samples, timesteps, classes], the
            potentials of the output if it consists of leaky integrators, else None.
        """
        outputs: dict[str, dict[int, Tensor]] = {name: {} for name in self._imported.layers}
        model = self._imported.model
        is_readout = model.decides_by_potential

        def keep(name: str, part: nn.Module, output: Any) -> None:
            kept = outputs[name]
            if is_readout and name == model.output:
                potentials = self._framework.potential(part, output)
                if potentials is None:
                    raise InterchangeError(f"the potentials of layer `{name}` are not known")
                kept[len(kept)] = potentials.clone()
                return
            spikes = output[0] if isinstance(output, tuple) else output
            if ((spikes != 0) & (spikes != 1)).any():
                raise InterchangeError(
                    f"layer `{name}` must fire 0 or 1, got {float(spikes.max())}"
                )
            kept[len(kept)] = spikes != 0

        samples = self._run(first, keep)
        frames = [self._frames(outputs[name], samples) for name in outputs]
        readouts = frames[-1] if is_readout else None
        if is_readout:
            frames[-1] = np.zeros(frames[-1].shape, np.bool_)
        return np.concatenate(frames, axis=2), readouts

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
            try:
                run_module(self._framework, self._module, self._imported.layout, frames)
            except InterchangeError:
                raise
            except Exception as error:  # A module may fail in any way.
                raise InterchangeError(
                    f"the module cannot run the reference samples, {len(batch)} at once; it must "
                    "keep nothing but the state of its layers from one run to the next. What "
                    f"happened: {error!s:.300}"
                ) from error
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

    def batch(self, first: int) -> tuple[NDArray[np.bool_], NDArray[np.float32] | None]:
        """Return spikes and readouts of the batch from ``first`` on; see :class:`FrameworkRun`."""
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
        if not bundle.model.decides_by_potential:
            return spikes, None
        simulator, start = Simulator(self._plan), bundle.model.starts[-2]
        runs = [decide_with_potentials(simulator, train, 0, timesteps) for train in trains]
        return spikes, np.stack([potentials[:, start:] for _, potentials in runs])

    def difference(
        self, run: FrameworkRun, sample: int, timestep: int, neuron: int, fired: bool | None
    ) -> Difference:
        """Return a difference with the potentials of both."""
        model, train = self._bundle.model, self._samples.trains[sample]
        p = int(np.searchsorted(model.starts, neuron, side="right")) - 1
        population, at = model.populations[p], neuron - model.starts[p]
        end_us = (timestep + 1) * model.timestep_us
        until = int(np.searchsorted(train.t_us, end_us))
        simulator = Simulator(self._plan)
        train = train.part(slice(0, until))
        run_sample(simulator, train, duration_us=end_us)
        simulator.state.apply_decay()
        potentials = simulator.state.momentum if fired else simulator.state.potential
        threshold = np.broadcast_to(population.neuron.v_threshold, population.shape)
        return Difference(
            sample, timestep, population.name, at, fired, float(potentials[neuron]),
            run.potential(sample, timestep, population.name, at),
            float(threshold.reshape(-1)[at]),
        )  # fmt: skip


def _differ(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which potentials differ by more than rounding, bool[samples, timesteps, classes]."""
    largest = np.abs(other).max(axis=(1, 2), keepdims=True)
    return np.asarray(np.abs(one - other) > _TOLERANCE * largest)


def _first(differs: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the timestep and the neuron of the first difference of a sample."""
    timestep = int(np.argmax(differs.any(axis=1)))
    return timestep, int(np.argmax(differs[timestep]))
