"""A second, slow implementation of the forward pass, written from the specification.

It shares nothing with the engines except the data classes of the model. All arithmetic is on
float32 scalars, so that the results agree to the bit with every implementation that keeps the order
of the sums.

The specification leaves some details open. They are settled as follows:

* The input group is step 0 of its pass and does not count in ``steps``. Selections and late
  firing count. A late step takes no rounds.
* Every neuron that no spike reached in this pass is considered for late firing. A neuron that
  fires late counts as reached, so that it fires late at most once per pass.
* In late firing and in the turns of layer synchronization, populations of the same rank come in the
  order of their declaration, and the spikes of a population are in ascending order of neurons.
* Under layer synchronization, a population is reached if the group has a spike of a connection to
  it, even if that spike has no synapse. The stop rule is evaluated after each turn, before the
  spikes of the turn are delivered, and after a delivery that no turn follows. Queued input counts
  as the first turn.
* A neuron that fires while its spike is still pending (``refractory=False``) raises the
  multiplicity of that spike event. The event keeps its arrival, takes the latest momentum, and
  takes one slot. It is delivered with weight * multiplicity, and counts ``multiplicity`` times in
  the synaptic operations and for ``sync_threshold``.
* ``sync_threshold`` and the synaptic operations count spikes per synapse.
* Biases are added to ``v`` one by one, in the order in which the connections are declared.
* Queued events of the same time and index are separate events. Prioritised ones share one slot.
* An event with a value delivers weight * value. Events that share a slot deliver weight * the sum
  of their values, added one by one in the order of time. Each counts once in the synaptic
  operations and for ``sync_threshold``. Their count is a pair (number of events, value).
* A pass takes place at the start of its bin. ``duration_us`` limits passes to t < duration_us.
  Without it, the last pass is that of the last event, so that an empty sample has no pass.
* With ``timestep_us = 0``, passes take place at the times of events and of due spikes.
* Noise is added to the momentum in float64.
* Spikes in flight over a delayed connection are delivered one by one, in the specified order. If
  a neuron sent several in one pass, they keep the order in which they were selected.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable

import numpy as np

from neuroasync.core.engine.policies import LayerSync, Policy
from neuroasync.core.engine.stop_rules import Progress
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.model.connections import INPUT, Conv1d, Conv2d
from neuroasync.core.model.model import Model
from neuroasync.core.model.neurons import LI
from neuroasync.errors import ForwardStepLimitError
from tests.helpers.reference.counts import Count, factor, number, summed
from tests.helpers.reference.neurons import Neurons
from tests.helpers.reference.pending import Pending, ordered
from tests.helpers.reference.result import Result, Slot
from tests.helpers.reference.stop_rules import stop_rule
from tests.helpers.reference.synapses import synapses

f32 = np.float32


class ReferenceSimulator:
    """The run of one sample."""

    def __init__(
        self,
        model: Model,
        policy: Policy,
        group_size: int,
        queued: bool,
        seed: int,
        until: Callable[[Progress], bool],
        max_forward_steps: int,
    ) -> None:
        self.model, self.policy, self.group_size, self.queued = model, policy, group_size, queued
        self.seed, self.until, self.max_forward_steps = seed, until, max_forward_steps
        self.shapes = {INPUT: model.input_shape} | {p.name: p.shape for p in model.populations}
        self.start = dict(zip(self.shapes, (0, *model.starts), strict=False))
        self.home = [k for k, p in enumerate(model.populations) for _ in range(p.size)]
        self.neurons = Neurons(model)
        self.due: dict[int, list[tuple[int, int, int, Count]]] = defaultdict(list)
        self.votes = [0] * model.populations[model.index(model.output)].size
        self.when: dict[tuple[int, int], tuple[int, int]] = {}
        self.result = Result()

    def run(self, train: SpikeTrain, duration_us: int | None) -> Result:
        values = [1] * len(train) if train.value is None else [(1, x) for x in train.value]
        events = list(zip(train.t_us.tolist(), train.index.tolist(), values, strict=True))
        events.sort(key=lambda event: event[:2])
        r, previous = self.result, None
        while not r.stopped and (t := self.next_time(events, previous, duration_us)) is not None:
            if previous is not None:
                self.neurons.start_pass(t - previous)
            now = [event[1:] for event in events if self.bin(event[0]) == t]
            r.t_us, r.passes, r.input_events = t, r.passes + 1, r.input_events + len(now)
            r.stopped = self.forward_pass(t, now)
            previous = t
        r.undelivered = sum(len(spikes) for spikes in self.due.values())
        neurons = self.neurons
        r.v, r.m, r.votes, r.label = tuple(neurons.v), tuple(neurons.m), self.votes, self.label()
        r.extras = tuple(zip(neurons.i, neurons.a, neurons.r, strict=True))
        return r

    def bin(self, time: int) -> int:
        width = self.model.timestep_us
        return time // width * width if width else time

    def next_time(
        self, events: list[tuple[int, int, Count]], previous: int | None, duration_us: int | None
    ) -> int | None:
        end = duration_us
        if end is None:
            end = self.bin(events[-1][0]) + 1 if events else 0
        if self.model.timestep_us:
            t = 0 if previous is None else previous + self.model.timestep_us
        else:
            times = {time for time, _, _ in events} | set(self.due)
            t = min((x for x in times if previous is None or x > previous), default=end)
        return t if t < end else None

    def forward_pass(self, t: int, now: list[tuple[int, Count]]) -> bool:
        """Run a pass at time ``t``; return whether the stop rule ended the sample."""
        self.step = 0
        self.refractory, self.reached = set(), set()
        self.received: Counter[int] = Counter()
        self.pending: dict[int, Pending] = {}
        self.add_bias()
        if self.queued:
            for i, (index, count) in enumerate(now):
                input_population = len(self.model.populations)
                key = self.model.size + i
                self.pending[key] = Pending(INPUT, index, input_population, f32(0), -1, count)
            now = []
        first = self.model.size
        slots = [(first + i, first + i, n, -1) for i, n in sorted(summed(now).items())]
        group = [x for _, i, n, _ in slots for x in self.over_undelayed(INPUT, i - first, n)]
        for _, k, i, n in sorted(self.due.pop(t, []), key=lambda spike: spike[:3]):
            origin = self.origin(self.model.connections[k].source, i)
            slots.append((origin, origin, n, k))
            group.append((k, i, n))
        self.note_group(slots)
        if isinstance(self.policy, LayerSync):
            return self.take_turns(group)
        self.deliver(group)
        while not self.stop_now():
            if self.pending:
                self.next_step()
                self.deliver(self.select())
            elif late := self.late():
                self.next_step()
                self.reached.update(late)
                self.fire(late)
            else:
                return False
        return True

    def take_turns(self, group: list[tuple[int, int, Count]]) -> bool:
        """Let each population fire as a whole, in ascending rank; return as `forward_pass` does.

        What is delivered to a population is summed until its turn.
        """
        places = [(rank, p) for p, rank in enumerate(self.model.ranks)]
        current = self.sums(group)
        waiting = set(places)
        if self.pending:  # queued input
            if self.stop_now():
                return True
            self.next_step()
            self.sums(self.select(), current)
        while waiting:
            place = min(waiting)
            waiting.remove(place)
            neurons = [j for j, home in enumerate(self.home) if home == place[1]]
            self.integrate({j: current.pop(j) for j in neurons if j in current})
            fired = [j for j in neurons if self.may_fire(j)]
            self.fire(fired)
            if self.stop_now():
                return True
            if fired:
                self.next_step()
                group = self.select()
                self.sums(group, current)
                targets = {self.model.index(self.model.connections[k].target) for k, _, _ in group}
                waiting.update(place for place in places if place[1] in targets)
                if not waiting and self.stop_now():
                    return True
        return False

    def add_bias(self) -> None:
        for c in self.model.connections:
            if c.bias is not None:
                shape, conv = self.shapes[c.target], isinstance(c, Conv1d | Conv2d)
                bias = c.bias.reshape(shape[0], *[1] * (len(shape) - 1) if conv else shape[1:])
                for k, b in enumerate(np.broadcast_to(bias, shape).flat):
                    self.neurons.add(self.start[c.target] + k, b)

    def next_step(self) -> None:
        if self.step == self.max_forward_steps:
            raise ForwardStepLimitError
        self.step += 1
        self.result.steps += 1

    def origin(self, source: str, i: int) -> int:
        return i + (self.model.size if source == INPUT else self.start[source])

    def note_group(self, slots: list[Slot]) -> None:
        if slots:
            self.result.groups.append((self.result.passes - 1, self.step, tuple(slots)))

    def over_undelayed(self, source: str, i: int, count: Count) -> list[tuple[int, int, Count]]:
        """Return the connections without delay that deliver a spike now.

        For the connections with a delay, the spike is stored as due.
        """
        now, t = [], self.result.t_us
        for k, c in enumerate(self.model.connections):
            if c.source == source and c.delay_us:
                self.due[t + c.delay_us].append((t, k, i, count))
            elif c.source == source:
                now.append((k, i, count))
        return now

    def select(self) -> list[tuple[int, int, Count]]:
        """Remove the first F pending spikes in the order of the policy, or all of a turn."""
        slots = ordered(
            self.pending, self.policy, self.group_size, self.seed, self.result.passes - 1, self.step
        )
        if not isinstance(self.policy, LayerSync):
            slots = slots[: self.group_size]
        self.result.rounds += math.ceil(len(slots) / self.group_size)
        taken = [self.pending.pop(slot) for slot in slots]
        origins = [self.origin(p.source, p.index) for p in taken]
        counts = [p.count for p in taken]
        self.note_group(list(zip(slots, origins, counts, [-1] * len(slots), strict=True)))
        return [x for p in taken for x in self.over_undelayed(p.source, p.index, p.count)]

    def deliver(self, group: list[tuple[int, int, Count]]) -> None:
        """Deliver the group; its targets integrate and fire."""
        current = self.sums(group)
        self.reached.update(current)
        self.integrate(current)
        self.fire(sorted(j for j in current if self.may_fire(j)))

    def sums(
        self, group: list[tuple[int, int, Count]], current: dict[int, np.float32] | None = None
    ) -> dict[int, np.float32]:
        """Add each (connection, source index, count) of the group to the currents."""
        current = {} if current is None else current
        for k, i, count in group:
            c = self.model.connections[k]
            for target, weight in synapses(c, self.shapes, i):
                j = self.start[c.target] + target
                current[j] = current.get(j, f32(0)) + weight * factor(count)
                self.received[j] += number(count)
                self.result.synops += number(count)
        return current

    def integrate(self, current: dict[int, np.float32]) -> None:
        for j, charge in current.items():
            self.neurons.add(j, charge, is_refractory=j in self.refractory)

    def may_fire(self, j: int) -> bool:
        needed = self.neurons.of[j].sync_threshold
        above = self.neurons.v[j] > self.neurons.threshold(j)
        return above and j not in self.refractory and self.received[j] >= needed

    def late(self) -> list[int]:
        able = [j for j in range(self.model.size) if j not in self.reached and self.may_fire(j)]
        first = min(((self.model.ranks[self.home[j]], self.home[j]) for j in able), default=None)
        return [j for j in able if (self.model.ranks[self.home[j]], self.home[j]) == first]

    def fire(self, neurons: list[int]) -> None:
        at = (self.result.passes - 1, self.step)
        for j in neurons:
            population = self.model.populations[self.home[j]]
            m, local = self.neurons.v[j], j - self.start[population.name]
            self.neurons.spike(j)
            if population.neuron.refractory:
                self.refractory.add(j)
            spike = Pending(population.name, local, self.home[j], m, self.step)
            if j in self.pending:
                spike.arrival, spike.count = self.pending[j].arrival, self.pending[j].count + 1
            self.pending[j] = spike
            self.result.rows.append((*at, self.result.t_us, j))
            if population.name == self.model.output:
                self.votes[local] += 1
                self.when[local, self.votes[local]] = at
                r = self.result
                now = (len(r.rows), r.steps, r.rounds)
                r.first_spike = r.first_spike or now
                if self.label() == local:
                    r.first_led.setdefault(local, now)

    def label(self) -> int | None:
        """Return the class with the most votes, or with the highest potential of integrators.

        A tie of votes goes to the class that reached its count first, then to the lower class.
        """
        output = self.model.populations[self.model.index(self.model.output)]
        if isinstance(output.neuron, LI):
            start = self.start[output.name]
            v = self.neurons.v[start : start + output.size]
            return v.index(max(v)) if self.result.passes else None
        voted = [k for k, n in enumerate(self.votes) if n]
        at = self.when
        return min(voted, key=lambda k: (-self.votes[k], at[k, self.votes[k]], k), default=None)

    def stop_now(self) -> bool:
        r = self.result
        votes = np.array(self.votes, np.int64)
        return self.until(
            Progress(votes, self.label(), r.t_us, r.passes, r.steps, r.rounds, len(r.rows))
        )


def run(
    model: Model,
    train: SpikeTrain,
    policy: Policy,
    group_size: int = 1,
    input_mode: str = "prioritised",
    seed: int = 0,
    until: str | Callable[[Progress], bool] = "quiet",
    duration_us: int | None = None,
    max_forward_steps: int = 1_000_000,
) -> Result:
    """Run one sample as the specification defines it."""
    queued = input_mode == "queued"
    rule = stop_rule(until)
    simulator = ReferenceSimulator(model, policy, group_size, queued, seed, rule, max_forward_steps)
    return simulator.run(train, duration_us)
