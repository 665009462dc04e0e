"""Forward passes under ordering policies in plain torch, with the peak rule.

Each forward step processes all samples and the whole network at once.

With gradients, every batch runs twice. The first run, without gradients, finds the sites of the
peak rule (see ``neuroasync.train.kernels.backward``): which silent evaluation of a neuron was the
highest is known only when the pass is over. In the second run, each silent site sends a *ghost*
over the neuron's connections. A ghost is a spike of value 0 with a surrogate gradient. It waits at
each target until the target's next site.
"""

import torch
from torch import Tensor

from bench.torch_engine.batch_run import BatchRun, Spike
from bench.torch_engine.pass_state import NONE, Pass
from bench.torch_engine.policies import choose_spikes, step_prefix
from bench.torch_engine.synapses import Link
from bench.torch_engine.tables import Tables
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.train.surrogate import Surrogate

__all__ = ["PolicyRun"]


class PolicyRun(BatchRun):
    """A run under any policy except layer-sync.

    Args:
        flat: F[..], all weights, laid out like ``PackedArrays.weights``.
        tables: The network and the batch as tensors.
        settings: Ordering policy, group size and input mode.
        surrogate: Surrogate derivative of the spike function.
        dropout: Probability that a spike leaves its neuron non-refractory.
        known_sites: ``sites`` of the first run; None if this is the first run.

    Attributes:
        sites: For each pass, i64[B, N]: when each silent neuron has its site, see ``Pass.site``.
    """

    def __init__(
        self,
        flat: Tensor,
        tables: Tables,
        settings: RunSettings,
        surrogate: Surrogate,
        dropout: float,
        known_sites: list[Tensor] | None,
    ) -> None:
        super().__init__(flat, tables, settings, surrogate, dropout)
        self._known_sites = known_sites
        self.sites: list[Tensor] = []
        self._momentum = torch.zeros_like(self._state.v)
        self._ghosts = [torch.zeros_like(self._momentum) for _ in self._counts]

    def _run_pass(self, t: int, active: Tensor, due: list[tuple[Link, Tensor]]) -> None:
        """Run pass ``t`` of all samples, until no sample has pending spikes or fires late."""
        tables = self._tables
        state = self._begin_pass(t, active)
        group, pending_input = tables.input_group(t, self._settings.input == "queued")
        state.queued = pending_input
        self._evaluate(state, 0, group, due, torch.zeros_like(state.reached))
        step = 1
        while True:
            pending = torch.cat([state.waiting.detach() > 0, state.queued], 1)
            has_pending = pending.any(1)
            late = self._fire_late(state, ~has_pending & state.active, step)
            continues = has_pending | late.any(1)
            if not continues.any():
                break
            if step > self._settings.max_forward_steps:
                raise self._step_limit_error(t)
            state.steps = torch.where(continues, step + 1, state.steps)
            self._visit_unevaluated(state, 2 * step)
            self._evaluate(state, step, self._select(state, pending, step), [], late)
            step += 1
        self._visit_unevaluated(state, 2 * step)
        self.sites.append(state.silent_sites(self._tables))

    def _begin_pass(self, t: int, active: Tensor) -> Pass:
        """Return the state of a new pass."""
        v = self._state.v
        shape, populations = v.shape, len(self._tables.bounds)
        no, zero = torch.zeros(shape, dtype=torch.bool, device=v.device), torch.zeros_like(v)
        none = torch.full(shape, NONE, device=v.device)
        by_population = none.new_full((shape[0], populations), NONE)
        ghosts = self._integrate_ghosts(self._ghosts[t])
        return Pass(
            t, active, ghosts, zero, no, none, zero, no, no, v.detach(), none, by_population,
            by_population, none.new_ones(shape[0]),
        )  # fmt: skip

    def _evaluate(
        self, state: Pass, step: int, group: Tensor, due: list[tuple[Link, Tensor]], late: Tensor
    ) -> None:
        """Deliver spikes, and evaluate the neurons that they reach.

        Args:
            state: State of the pass.
            step: Forward step.
            group: [B, N + I], spikes to deliver over connections without delay.
            due: Connections whose delay ends now, with their spikes [B, sources].
            late: bool[B, N], neurons that fire late.
        """
        tables, cells = self._tables, self._state
        current, count = torch.zeros_like(cells.v), torch.zeros_like(cells.v)
        carried = [(link, group[:, link.source]) for link in self._links if link.lag == 0]
        for link, z in [*carried, *due]:
            if z.any():
                current[:, link.target] += link.current(z)
                count[:, link.target] += link.received(z.detach())
                state.note_first(step, link.target_population, z.detach().any(1))
        for link in self._links:
            if link.lag:
                self._delay(state.index, link, group[:, link.source])
        candidates = (count > 0) | late
        active = candidates & ~state.refractory
        state.received = state.received + count
        state.reached = state.reached | candidates
        cells.integrate(tables.neurons, current, active, candidates)
        v = cells.v.detach()
        ready = active & (state.received >= tables.neurons.sync)
        fire = ready & (v > cells.thresholds(tables.neurons).detach())
        state.note_peaks(step, v, fire, ready & ~fire)
        is_site = (
            fire
            if self._known_sites is None
            else fire | (self._known_sites[state.index] == 2 * step + 1)
        )
        self._momentum = torch.where(fire, v, self._momentum)
        spike = self._spike_at_sites(state, fire, is_site)
        cells.fire(tables.neurons, fire, torch.where(fire, spike, 0.0))
        new = fire & (state.waiting.detach() == 0)
        state.arrival = torch.where(new, step, state.arrival)
        state.waiting = state.waiting + torch.where(fire, spike, 0.0)
        dropped = self._refractory_dropout(state.index, step)
        state.refractory = state.refractory | (fire & tables.neurons.refractory & ~dropped)
        self._latest = torch.where(fire, (state.index << 32) + step, self._latest)

    def _spike_at_sites(self, state: Pass, fire: Tensor, is_site: Tensor) -> Tensor:
        """Return the spikes [B, N] of the sites, with their surrogate gradients.

        A site first adds the ghosts that wait for it to its potential. A silent site then sends
        a ghost to its targets.
        """
        t, tables, cells = state.index, self._tables, self._state
        if self._known_sites is None:
            # The first run has no gradients, and so neither ghosts nor silent sites.
            self._counts[t] = self._counts[t] + fire
            return fire.to(cells.v.dtype)
        cells.integrate(tables.neurons, state.ghost, is_site, is_site)
        waiting = torch.where(is_site, 0.0, state.ghost)
        distance = cells.v - cells.thresholds(tables.neurons)
        spike: Tensor = Spike.apply(distance, fire, is_site, self._surrogate)  # type: ignore[no-untyped-call]  # untyped in torch
        self._counts[t] = self._counts[t] + spike
        ghost = torch.where(is_site & ~fire, spike, 0.0)
        # A silent site is also that of a spike of value 0 that raises the threshold.
        cells.adaptation = cells.adaptation + tables.neurons.increments * ghost
        change = torch.zeros_like(cells.v)
        for link in self._links:
            if link.source.stop > tables.size:
                continue  # Inputs have no sites.
            if link.lag == 0:
                change[:, link.target] += link.current(ghost[:, link.source])
            elif t + link.lag < tables.timesteps:
                later = torch.zeros_like(change)
                later[:, link.target] = link.current(ghost[:, link.source])
                self._ghosts[t + link.lag] = self._ghosts[t + link.lag] + later
        state.ghost = self._integrate_ghosts(waiting + change)
        return spike

    def _integrate_ghosts(self, ghosts: Tensor) -> Tensor:
        """Add ghosts [B, N] to leaky integrators, which need no site; return all others."""
        neurons = self._tables.neurons
        self._state.integrate(neurons, ghosts, neurons.integrates, neurons.integrates)
        return torch.where(neurons.integrates, 0.0, ghosts)

    def _visit_unevaluated(self, state: Pass, time: int) -> None:
        """Visit the sites of never evaluated populations at ``time``, see ``Pass.site``."""
        if self._known_sites is None:
            return
        is_site = self._known_sites[state.index] == time
        for p in self._tables.by_rank:
            here = is_site & (self._tables.owner == p)
            if here.any():
                self._spike_at_sites(state, torch.zeros_like(here), here)

    def _fire_late(self, state: Pass, allowed: Tensor, step: int) -> Tensor:
        """Return which neurons fire late, bool[B, N].

        In each allowed sample, these are the neurons above threshold that nothing reached in
        this pass, of the lowest-ranked population that has any.
        """
        tables = self._tables
        cells = self._state
        above = (cells.v > cells.thresholds(tables.neurons)) & ~state.reached & tables.neurons.late
        above = above & allowed[:, None]
        late, is_decided = torch.zeros_like(above), torch.zeros_like(allowed)
        passed_over: list[int] = []
        for p in tables.by_rank:
            candidates = above & (tables.owner == p) & ~is_decided[:, None]
            has = candidates.any(1)
            late, is_decided = late | candidates, is_decided | has
            for before in passed_over:
                unset = has & (state.after[:, before] == NONE)
                state.after = state.after.clone()
                state.after[:, before] = torch.where(unset, step, state.after[:, before])
            passed_over.append(p)
            if has.any():
                state.note_first(step, p, has)
        return late

    def _select(self, state: Pass, pending: Tensor, step: int) -> Tensor:
        """Move the next spikes out of the pending set, and return them as a group [B, N + I]."""
        tables, n = self._tables, self._tables.size
        selected = pending & self._choose(state, pending, step)
        group = torch.where(selected[:, :n], state.waiting, 0.0)
        state.waiting = torch.where(selected[:, :n], 0.0, state.waiting)
        state.queued = state.queued & ~selected[:, n:]
        inputs = tables.gathered_input(state.index, selected[:, n:])
        return torch.cat([group, inputs], 1)

    def _choose(self, state: Pass, pending: Tensor, step: int) -> Tensor:
        """Return which pending spikes the ordering policy delivers next, bool[B, N + E]."""
        settings = self._settings
        prefix = step_prefix(self._tables.seeds, state.index, step)
        return choose_spikes(
            settings.policy, settings.group_size, pending, prefix, state.arrival, self._momentum
        )
