"""Forward passes under layer synchronization in plain torch: one population after another.

Populations take turns by ascending rank, and each is evaluated as a whole. Every turn is a
surrogate site of all neurons that may fire in it, so torch's own differentiation of these steps is
backpropagation through time.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.torch_engine.batch_run import BatchRun, Spike
from bench.torch_engine.neurons import NeuronState
from bench.torch_engine.synapses import Link

__all__ = ["TurnsRun"]


@dataclass
class _Pass:
    """State of one pass of B samples. Lists have an entry for each population, of n neurons.

    Attributes:
        index: Number of the pass.
        neurons: State of the neurons.
        current: [B, n], what was delivered since the latest turn.
        received: [B, n], number of spikes that each neuron received in this pass.
        refractory: bool[B, n], neurons that are refractory.
        spikes: [B, n], number of spikes in this pass.
        coming: bool[B, P], populations that have a turn coming.
        step: i64[B], latest forward step.
    """

    index: int
    neurons: list[NeuronState]
    current: list[Tensor]
    received: list[Tensor]
    refractory: list[Tensor]
    spikes: list[Tensor]
    coming: Tensor
    step: Tensor

    def deliver(self, link: Link, spikes: Tensor) -> None:
        """Add the currents of ``spikes`` [B, sources] to the targets of a connection."""
        q, sent = link.target_population, spikes.detach()
        # Silent neurons send nothing, but their surrogate gradient takes the same way.
        if sent.any() or spikes.requires_grad:
            self.current[q] = self.current[q] + link.current(spikes)
        if sent.any():
            self.received[q] = self.received[q] + link.received(sent)
            self.coming[:, q] |= sent.any(1)


class TurnsRun(BatchRun):
    """A run under the policy layer-sync."""

    def _run_pass(self, t: int, active: Tensor, due: list[tuple[Link, Tensor]]) -> None:
        state = self._begin_pass(t, active)
        self._deliver_input(state, due)
        # In each sample, the next turn belongs to the first population that has one coming.
        # Samples in which this population has none wait.
        while (coming := state.coming.any(0)).any():
            self._take_turn(state, next(p for p in self._tables.by_rank if coming[p]))
        self._state = NeuronState.joined(state.neurons)
        self._counts[t] = torch.cat(state.spikes, 1)

    def _begin_pass(self, t: int, active: Tensor) -> _Pass:
        """Return the state of a pass in which every population has a turn coming."""
        neurons = [self._state.part(slice(*bounds)) for bounds in self._tables.bounds]
        zeros = [torch.zeros_like(part.v) for part in neurons]
        return _Pass(
            index=t,
            neurons=neurons,
            current=list(zeros),
            received=list(zeros),
            refractory=[torch.zeros_like(part, dtype=torch.bool) for part in zeros],
            spikes=list(zeros),
            coming=active[:, None].repeat(1, len(neurons)),
            step=torch.zeros_like(self._tables.passes),
        )

    def _deliver_input(self, state: _Pass, due: list[tuple[Link, Tensor]]) -> None:
        """Deliver the input and the spikes whose delay ends now, before the first turn.

        Queued input takes a forward step of its own.
        """
        tables = self._tables
        group, queued = tables.input_group(state.index, self._settings.input == "queued")
        first = tables.size
        self._send(state, None, group[:, first:])
        for link, spikes in due:
            state.deliver(link, spikes)
        if queued.any():
            self._begin_step(state, queued.any(1))
            self._send(state, None, tables.gathered_input(state.index, queued))

    def _begin_step(self, state: _Pass, has_spikes: Tensor) -> None:
        """Count a forward step of the samples bool[B] that have spikes to deliver."""
        if (has_spikes & (state.step >= self._settings.max_forward_steps)).any():
            raise self._step_limit_error(state.index)
        state.step = state.step + has_spikes

    def _send(self, state: _Pass, source: int | None, spikes: Tensor) -> None:
        """Deliver the spikes [B, n] of a population, or of the input (None)."""
        for link in self._links:
            if link.source_population != source:
                continue
            if link.lag:
                self._delay(state.index, link, spikes)
            else:
                state.deliver(link, spikes)

    def _take_turn(self, state: _Pass, p: int) -> None:
        """Evaluate population ``p`` where it has a turn coming, and deliver its spikes."""
        here, cells = slice(*self._tables.bounds[p]), state.neurons[p]
        turn, neurons = state.coming[:, p].clone(), self._tables.neurons.part(here)
        state.coming[:, p] = False
        may_integrate = turn[:, None] & ~state.refractory[p]
        cells.integrate(neurons, state.current[p], may_integrate, turn[:, None])
        state.current[p] = torch.where(turn[:, None], 0.0, state.current[p])
        may_fire = may_integrate & (state.received[p] >= neurons.sync)
        threshold = cells.thresholds(neurons)
        fire = may_fire & (cells.v > threshold).detach()
        spikes: Tensor = Spike.apply(cells.v - threshold, fire, may_fire, self._surrogate)  # type: ignore[no-untyped-call]  # untyped in torch
        state.spikes[p] = state.spikes[p] + spikes
        cells.fire(neurons, fire, spikes)
        dropped = self._refractory_dropout(state.index, state.step)[:, here]
        state.refractory[p] = state.refractory[p] | (fire & neurons.refractory & ~dropped)
        latest = ((state.index << 32) + state.step)[:, None]
        self._latest[:, here] = torch.where(fire, latest, self._latest[:, here])
        self._begin_step(state, fire.any(1))
        self._send(state, p, spikes)
