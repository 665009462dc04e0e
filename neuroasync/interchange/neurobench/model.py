"""A network as a model of NeuroBench.

Source: the interface ``NeuroBenchModel`` of NeuroBench 2.3.0,
https://github.com/NeuroBench/neurobench (Yik et al., Nature Communications 16, 1545 (2025),
arXiv 2304.04640).
"""

import math
from functools import partial
from typing import Any

import numpy as np
import torch
from neurobench.models import NeuroBenchModel
from numpy.typing import NDArray
from torch import Tensor

from neuroasync.core.cpu import cores
from neuroasync.core.engine.policies import PolicyName
from neuroasync.core.engine.run_settings import InputMode, RunOptions, check_seed
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.core.model.checks import check_type, must_be
from neuroasync.core.recording.recorder import Recorder
from neuroasync.core.recording.recording import Recording
from neuroasync.errors import EventsError, InterchangeError
from neuroasync.interchange.neurobench.modules import NetworkModule, PopulationModule
from neuroasync.interchange.pass_potentials import decide_with_potentials
from neuroasync.interchange.torch_modules.reference_samples import ReferenceSamples
from neuroasync.metrics.connection_inputs import connection_inputs
from neuroasync.metrics.fan_out import shape_of
from neuroasync.runtime.batch.job import BatchJob
from neuroasync.runtime.option_resolver import OptionResolver

__all__ = ["NeuroasyncModel"]


class NeuroasyncModel(NeuroBenchModel):  # type: ignore[misc]  # NeuroBench has no types
    r"""A network as a model of NeuroBench, to be passed to its ``Benchmark``.

    The network runs in neuroasync, under its ordering policy. NeuroBench's metrics see what each
    connection receives and which neurons fire in each pass, and compute their values from that.
    Every sample runs to its end, because they count complete samples.

    A model counts its samples over all batches, and sample number i runs with
    ``sample_seed(seed, i)``. So a new model and a data loader that does not shuffle give the labels
    of ``Network.decide_all``.

    Args:
        bundle: The network, which must have a timestep.
        policy: Ordering policy. Defaults to the one that the network was trained for.
        group_size: Maximum number of pending spikes that a forward step delivers. Defaults to the
            one that the network was trained for.
        input: Input mode. Defaults to the one that the network was trained for.
        seed: Seed of the order keys.

    Raises:
        InterchangeError: The network has no timestep, or a connection that is too large.
        PolicyError, ValueError: An argument is invalid.
        TypeError: ``bundle`` is no bundle.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        policy: PolicyName | None = None,
        group_size: int | None = None,
        input: InputMode | None = None,  # noqa: A002  # names the option
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_type("bundle", bundle, Bundle)
        if not bundle.model.timestep_us:
            raise InterchangeError(
                "a network for NeuroBench must have a timestep, because NeuroBench counts "
                "timesteps; its `timestep_us` is 0"
            )
        self._options: dict[str, Any] = {"policy": policy, "group_size": group_size, "input": input}
        options: RunOptions = {
            "policy": policy, "group_size": group_size, "input": input, "until": "quiet",
        }  # fmt: skip
        resolver = OptionResolver(bundle, {}, ())
        self._bundle, self._plan = bundle, resolver.plan(resolver.resolve(options))
        self._seed, self._samples = check_seed(seed), 0
        self._network = NetworkModule(bundle.model)
        self.add_activation_module(PopulationModule)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to make an equal model of a pickle or a copy, without hooks."""
        state = {"_samples": self._samples}
        return partial(type(self), **self._options, seed=self._seed), (self._bundle,), state

    def __net__(self) -> NetworkModule:
        """Return the network as a torch module, which holds its weights and does not run it."""
        return self._network

    def __call__(self, batch: Tensor) -> Tensor:
        r"""Decide a batch of samples.

        Args:
            batch: [samples, timesteps, \*input_shape], numbers of spikes, or values of events.

        Returns:
            i64[samples], the labels; -1 for a sample without a label.

        Raises:
            EventsError: The shape does not fit the network, or a value is not finite.
            ForwardStepLimitError, PassLimitError: A sample exceeded a limit.
            TypeError: ``batch`` is no tensor.
        """
        check_type("batch", batch, Tensor)
        model = self._bundle.model
        if (
            batch.ndim < 3
            or not batch.numel()
            or batch[0, 0].numel() != math.prod(model.input_shape)
        ):
            extents = ", ".join(map(str, model.input_shape))
            requirement = f"of shape [samples, timesteps, {extents}], none of them 0"
            raise EventsError(must_be("batch", requirement, f"{tuple(batch.shape)}"))
        # NumPy has no bfloat16.
        given = batch.float() if batch.dtype == torch.bfloat16 else batch
        samples = ReferenceSamples(
            given.detach().cpu().numpy(), model.timestep_us, None, model.input_shape, "batch"
        )
        if not (self.activation_hooks or self.connection_hooks):
            labels = self._labels(samples)
        else:
            labels = self._recorded_labels(samples)
        self._samples += len(samples)
        return torch.tensor(labels, dtype=torch.int64, device=batch.device)

    def _labels(self, samples: ReferenceSamples) -> list[int]:
        duration_us = samples.timesteps * self._bundle.model.timestep_us
        decisions = BatchJob(
            self._plan, samples.trains, self._seed, cores(), first=self._samples,
            duration_us=duration_us,
        ).run()  # fmt: skip
        return [-1 if d.label is None else d.label for d in decisions]

    def _recorded_labels(self, samples: ReferenceSamples) -> list[int]:
        """Return the labels, and hand spikes and potentials to the hooks of NeuroBench."""
        recording, potentials = self._record(samples)
        for number, layer in self._network.connections.items():
            for inputs in self._inputs(recording, number, samples.timesteps):
                layer(inputs)
        model = self._bundle.model
        fired = np.zeros(potentials.shape, np.float32)
        np.add.at(fired, (recording.sample, recording.pass_, recording.neuron), 1)
        ends = model.starts[1:-1]
        for module, spikes, after in zip(
            self._network.populations,
            np.split(fired, ends, axis=2),
            np.split(potentials, ends, axis=2),
            strict=True,
        ):
            for k in range(samples.timesteps):
                module(torch.from_numpy(spikes[:, k].copy()), torch.from_numpy(after[:, k].copy()))
        labels: list[int] = recording.label.tolist()
        return labels

    def _record(self, samples: ReferenceSamples) -> tuple[Recording, NDArray[np.float32]]:
        """Run all samples; return the recording and f32[samples, timesteps, N] potentials."""
        recorder = Recorder(self._bundle, self._plan.run)
        simulator, potentials = Simulator(self._plan), []
        duration_us = samples.timesteps * self._bundle.model.timestep_us
        for k, train in enumerate(samples.trains):
            simulator.state.keep = True
            seed = sample_seed(self._seed, self._samples + k)
            decision, after = decide_with_potentials(simulator, train, seed, samples.timesteps)
            recorder.add(simulator, train, decision, number=k, seed=seed, duration_us=duration_us)
            potentials.append(after)
        return recorder.finish(), np.stack(potentials)

    def _inputs(self, recording: Recording, number: int, timesteps: int) -> list[Tensor]:
        """Return the inputs of a connection in all passes, [calls, *source_shape].

        NeuroBench tells accumulates from multiply-accumulates once per call, so that passes with
        a value other than -1, 0 and 1 are separate from the others.
        """
        model = self._bundle.model
        shape = shape_of(model, model.connections[number].source)
        found = connection_inputs(recording, model, number)
        given = np.zeros((len(recording) * timesteps, int(np.prod(shape))), np.float32)
        given[found.sample * timesteps + found.pass_, found.source] = found.value
        is_graded = ~np.isin(given, (-1, 0, 1)).all(axis=1)
        flat = isinstance(self._network.connections[number], torch.nn.Linear)
        parts = [given[~is_graded], given[is_graded]]
        return [
            torch.from_numpy(part if flat else part.reshape(-1, *shape))
            for part in parts
            if len(part)
        ]
