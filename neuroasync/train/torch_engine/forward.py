"""The same forward passes and the same gradient rule in plain torch, on any device.

All samples and the whole network at once, one forward step after the other: slower than the event
record on a CPU, but short enough to read, in float64 if wanted, and what runs on a GPU. Sums are
not in slot order here: spikes are the record's to the last one where sums are exact.

It runs twice. The first run, without gradient, finds the sites of the peak rule (see
``train.kernels.backward``): a neuron's highest silent evaluation is known only when the pass is
over. In the second, a silent site sends a *ghost*: a spike of value 0 with a surrogate gradient,
over the neuron's connections, which waits at each target for the target's next site.
"""

from typing import Any

import torch
from torch import Tensor

from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import LayerSync
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.kernels.integrate_and_fire import DROPOUT_STREAM
from neuroasync.errors import ForwardStepLimitError
from neuroasync.train.autograd_function import ForwardResult
from neuroasync.train.batch import Batch
from neuroasync.train.surrogate import Surrogate
from neuroasync.train.torch_engine.pass_state import NONE, Pass
from neuroasync.train.torch_engine.policies import chosen, neuron_keys, signed, step_prefix, uniform
from neuroasync.train.torch_engine.synapses import Link, links_of
from neuroasync.train.torch_engine.tables import Tables

__all__ = ["run_torch_engine"]


def run_torch_engine(
    weights: Tensor,
    packed: PackedNetwork,
    batch: Batch,
    settings: RunSettings,
    surrogate: Surrogate,
    dropout: float = 0.0,
) -> ForwardResult:
    """Run a batch in plain torch; see ``train.function.run_event_record`` for the arguments.

    ``weights`` may be on any device, and float64: then potentials are still rounded to float32
    where the runtime rounds them, so that spikes are the same, and gradients are exact.
    """
    tables = Tables(packed, batch, weights.device, weights.dtype)
    with torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):
        passes = _Passes(weights, tables, settings, surrogate, dropout, None)
        run = passes.run()
    if not (torch.is_grad_enabled() and weights.requires_grad):
        return run
    with torch.backends.cudnn.flags(allow_tf32=False):
        return _Passes(weights, tables, settings, surrogate, dropout, passes.sites).run()


class _Spike(torch.autograd.Function):
    """1 where a neuron fires; the surrogate's derivative where it has a site."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, fire: Tensor, site: Tensor, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(x, site)
        ctx.surrogate = surrogate
        return fire.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, site = ctx.saved_tensors
        return grad * ctx.surrogate.derivative(x) * site, None, None, None


class _Passes:
    """One run over all passes of a batch."""

    def __init__(
        self,
        flat: Tensor,
        tables: Tables,
        settings: RunSettings,
        surrogate: Surrogate,
        dropout: float,
        sites: list[Tensor] | None,
    ) -> None:
        self._links: list[Link] = links_of(tables.packed, flat)
        self._tables, self._settings = tables, settings
        self._surrogate, self._dropout = surrogate, dropout
        self._known = sites
        self.sites: list[Tensor] = []
        b, n, t = tables.samples, tables.neurons, tables.timesteps
        self._v = flat.new_zeros(b, n)
        self._momentum = flat.new_zeros(b, n)
        self._counts = [flat.new_zeros(b, n) for _ in range(t)]
        self._ghosts = [flat.new_zeros(b, n) for _ in range(t)]
        self._due: list[list[tuple[Link, Tensor]]] = [[] for _ in range(t)]
        self._latest = torch.zeros(b, n, dtype=torch.int64, device=flat.device)

    def run(self) -> ForwardResult:
        tables = self._tables
        for t in range(tables.timesteps):
            self._run_pass(t)
        if not self._counts:
            return tables.nothing()
        counts = torch.stack(self._counts, 1)
        start, stop = tables.output
        spikes = torch.stack([counts[:, :, a:b].sum(2) for a, b in tables.bounds], 2)
        votes = counts[:, :, start:stop]
        total = votes.detach().sum(1)
        best = total.max(1, keepdim=True).values
        latest = torch.where(total == best, self._latest[:, start:stop], 2**62)
        labels = torch.where(best[:, 0] > 0, latest.argmin(1), -1)
        return ForwardResult(votes, spikes, labels)

    def _run_pass(self, t: int) -> None:
        tables = self._tables
        now = self._open(t)
        due = [(link, z * now.active[:, None]) for link, z in self._due[t]]
        group, pending_input = tables.input_group(t, self._settings.input == "queued")
        now.queued = pending_input
        self._evaluate(now, 0, group, due, torch.zeros_like(now.reached))
        step = 1
        while True:
            pending = torch.cat([now.waiting.detach() > 0, now.queued], 1)
            waits = pending.any(1)
            late = self._late(now, ~waits & now.active, step)
            goes = waits | late.any(1)
            if not goes.any():
                break
            if step > self._settings.max_forward_steps:
                raise ForwardStepLimitError(
                    f"pass {t} of a sample did not end within max_forward_steps = "
                    f"{self._settings.max_forward_steps}; raise the limit, or make the "
                    "populations of the loop refractory"
                )
            now.steps = torch.where(goes, step + 1, now.steps)
            self._visit_unevaluated(now, 2 * step)
            self._evaluate(now, step, self._take(now, pending, step), [], late)
            step += 1
        self._visit_unevaluated(now, 2 * step)
        self.sites.append(now.silent_sites(self._tables))

    def _open(self, t: int) -> Pass:
        """Decay and bias."""
        tables = self._tables
        active = tables.passes > t
        v = self._v
        if t:
            v = torch.where(active[:, None], _rounded(v * tables.decays(t)), v)
        for link in self._links:
            if link.bias is not None:
                change = torch.zeros_like(v)
                change[:, link.target] = link.bias * active[:, None]
                v = _rounded(v + change)
        self._v = v
        shape, populations = v.shape, len(tables.bounds)
        no, zero = torch.zeros(shape, dtype=torch.bool, device=v.device), torch.zeros_like(v)
        none = torch.full(shape, NONE, device=v.device)
        by_population = none.new_full((shape[0], populations), NONE)
        return Pass(
            t, active, self._ghosts[t], zero, no, none, zero, no, no, v.detach(), none,
            by_population, by_population, none.new_ones(shape[0]),
        )  # fmt: skip

    def _evaluate(
        self, now: Pass, step: int, group: Tensor, due: list[tuple[Link, Tensor]], late: Tensor
    ) -> None:
        """Deliver a group [B, N + I] and what is due; let those that it reaches fire."""
        tables = self._tables
        current, count = torch.zeros_like(self._v), torch.zeros_like(self._v)
        carried = [(link, group[:, link.source]) for link in self._links if link.lag == 0]
        for link, z in [*carried, *due]:
            if z.any():
                current[:, link.target] += link.current(z)
                count[:, link.target] += link.received(z.detach())
                now.note_first(step, link.target_population, z.detach().any(1))
        for link in self._links:
            if link.lag and now.index + link.lag < tables.timesteps:
                self._due[now.index + link.lag].append((link, group[:, link.source]))
        candidates = (count > 0) | late
        live = candidates & ~now.refractory
        now.received = now.received + count
        now.reached = now.reached | candidates
        v = torch.where(live, _rounded(self._v + current), self._v)
        ready = live & (now.received >= tables.sync)
        fire = ready & (v.detach() > tables.thresholds)
        now.note_peaks(step, v.detach(), fire, ready & ~fire)
        site = fire if self._known is None else fire | (self._known[now.index] == 2 * step + 1)
        self._momentum = torch.where(fire, v.detach(), self._momentum)
        spike = self._visit(now, v, fire, site)
        reset = torch.where(tables.subtract, _rounded(self._v - tables.thresholds), 0.0)
        self._v = torch.where(fire, reset.to(v.dtype), self._v)
        new = fire & (now.waiting.detach() == 0)
        now.arrival = torch.where(new, step, now.arrival)
        now.waiting = now.waiting + torch.where(fire, spike, 0.0)
        now.refractory = now.refractory | (fire & tables.refractory & ~self._drops(now, step))
        self._latest = torch.where(fire, (now.index << 32) + step, self._latest)

    def _visit(self, now: Pass, v: Tensor, fire: Tensor, site: Tensor) -> Tensor:
        """Let sites take the ghosts that wait for them, spike, and send ghosts if silent."""
        t, tables = now.index, self._tables
        if self._known is None:
            self._v = v
            self._counts[t] = self._counts[t] + fire
            return fire.to(v.dtype)
        self._v = v + torch.where(site, now.ghost, 0.0)
        waiting = torch.where(site, 0.0, now.ghost)
        distance = self._v - tables.thresholds
        spike: Tensor = _Spike.apply(distance, fire, site, self._surrogate)  # type: ignore[no-untyped-call]
        self._counts[t] = self._counts[t] + spike
        ghost = torch.where(site & ~fire, spike, 0.0)
        change = torch.zeros_like(v)
        for link in self._links:
            if link.source.stop > tables.neurons:
                continue
            if link.lag == 0:
                change[:, link.target] += link.current(ghost[:, link.source])
            elif t + link.lag < tables.timesteps:
                later = torch.zeros_like(v)
                later[:, link.target] = link.current(ghost[:, link.source])
                self._ghosts[t + link.lag] = self._ghosts[t + link.lag] + later
        now.ghost = waiting + change
        return spike

    def _visit_unevaluated(self, now: Pass, time: int) -> None:
        if self._known is None:
            return
        is_site = self._known[now.index] == time
        for p in self._tables.by_rank:
            here = is_site & (self._tables.owner == p)
            if here.any():
                self._visit(now, self._v, torch.zeros_like(here), here)

    def _late(self, now: Pass, may: Tensor, step: int) -> Tensor:
        """Who fires late: bool[B, N]."""
        tables = self._tables
        above = (self._v.detach() > tables.thresholds) & ~now.reached & tables.late
        above = above & may[:, None]
        late, found = torch.zeros_like(above), torch.zeros_like(may)
        waits: list[int] = []
        for p in tables.by_rank:
            mine = above & (tables.owner == p) & ~found[:, None]
            has = mine.any(1)
            late, found = late | mine, found | has
            for before in waits:
                unset = has & (now.after[:, before] == NONE)
                now.after = now.after.clone()
                now.after[:, before] = torch.where(unset, step, now.after[:, before])
            waits.append(p)
            if has.any():
                now.note_first(step, p, has)
        return late

    def _take(self, now: Pass, pending: Tensor, step: int) -> Tensor:
        """Move the spikes that go next out of the pending set: a group [B, N + I]."""
        tables, n = self._tables, self._tables.neurons
        goes = pending & self._goes(now, pending, step)
        group = torch.where(goes[:, :n], now.waiting, 0.0)
        now.waiting = torch.where(goes[:, :n], 0.0, now.waiting)
        now.queued = now.queued & ~goes[:, n:]
        inputs = tables.gathered_input(now.index, goes[:, n:])
        return torch.cat([group, inputs], 1)

    def _goes(self, now: Pass, pending: Tensor, step: int) -> Tensor:
        tables, settings = self._tables, self._settings
        if isinstance(settings.policy, LayerSync):
            return tables.first_layer(pending)
        prefix = step_prefix(tables.seeds, now.index, step)
        return chosen(
            settings.policy, settings.group_size, pending, prefix, now.arrival, self._momentum
        )

    def _drops(self, now: Pass, step: int) -> Tensor:
        """Whose spike would leave it non-refractory: bool[B, N]."""
        if self._dropout <= 0:
            return torch.zeros_like(now.reached)
        seeds = self._tables.seeds ^ signed(int(DROPOUT_STREAM))
        keys = neuron_keys(step_prefix(seeds, now.index, step), self._tables.neurons)
        return uniform(keys) < self._dropout


def _rounded(x: Tensor) -> Tensor:
    """Values as float32 has them, whatever the type; the gradient passes."""
    if x.dtype == torch.float32:
        return x
    return x + (x.float().to(x.dtype) - x).detach()
