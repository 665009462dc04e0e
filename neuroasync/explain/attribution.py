"""Accounts of single spikes: where the charge came from."""

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.model.connections import INPUT
from neuroasync.core.model.model import Model
from neuroasync.core.recording.recording import Recording
from neuroasync.explain.synapses import bias_of, decay_factors, weights_to

__all__ = ["AttributionBuilder", "Contribution", "Place", "SpikeAttribution"]


@dataclass(frozen=True, slots=True)
class Place:
    """A neuron, or an input.

    Attributes:
        population: its name, or ``"input"``.
        position: in the population, C order.
    """

    population: str
    position: int

    def __str__(self) -> str:
        """``hidden2[9]``."""
        return f"{self.population}[{self.position}]"


@dataclass(frozen=True, slots=True)
class Contribution:
    """A part of a membrane potential.

    Attributes:
        value: what is left of it when the neuron fires.
        kind: ``"spike"``: a delivered spike, or input event; ``"bias"``; ``"reset"``: what the
            neuron's last reset left.
        source: who sent it; the neuron itself for a bias and a reset.
        weight: of one spike; of a bias or reset, the value before it decayed.
        count: how many spikes came as one event.
        pass_index: of the pass in which it arrived.
        step: forward step in which it arrived.
        delay_us: how long it was under way.
        row: of the spike in the recording; for a reset, of the spike before; None for others.
    """

    value: float
    kind: Literal["spike", "bias", "reset"]
    source: Place
    weight: float
    count: int
    pass_index: int
    step: int
    delay_us: int = 0
    row: int | None = None

    def __str__(self) -> str:
        """One line."""
        at = f"pass {self.pass_index}, step {self.step}"
        if self.kind != "spike":
            what = "bias" if self.kind == "bias" else "left by its last reset"
            return f"{self.value:+.4g} {what} ({at})"
        times = f" x {self.count}" if self.count != 1 else ""
        late = f", {self.delay_us} µs under way" if self.delay_us else ""
        return f"{self.value:+.4g} from {self.source} (weight {self.weight:.4g}{times}, {at}{late})"


@dataclass(frozen=True, slots=True)
class SpikeAttribution:
    """A spike, and all that its neuron's potential was made of.

    Attributes:
        row: of the spike in the recording.
        sample: its position in the recording.
        place: who fired.
        pass_index: when.
        step: when; 0 is the pass's input.
        time_us: virtual time of the pass.
        potential: just before the reset: the sum of the contributions.
        threshold: that it is above.
        contributions: largest first; those of value 0 are left out.
    """

    row: int
    sample: int
    place: Place
    pass_index: int
    step: int
    time_us: int
    potential: float
    threshold: float
    contributions: tuple[Contribution, ...]

    @property
    def trigger(self) -> tuple[Contribution, ...]:
        """What arrived in the very step in which it fired; nothing, where it fired late."""
        now = (self.pass_index, self.step)
        return tuple(
            c for c in self.contributions if c.kind == "spike" and (c.pass_index, c.step) == now
        )

    @property
    def strongest(self) -> Contribution | None:
        """The largest contribution, if it is positive."""
        if self.contributions and self.contributions[0].value > 0:
            return self.contributions[0]
        return None


class _Arrival(NamedTuple):
    """What reached a neuron: which delivery, over which connection, with which weight."""

    slot: int
    connection: int
    weight: float


class _Neuron(NamedTuple):
    """A neuron, and all that its potential is subject to.

    Attributes:
        spikes: positions of its rows in the sample.
        arrivals: what reached it, in order; ``when`` has the (pass, step) of each.
        left: what the reset after each spike left; empty where that is always 0.
    """

    place: Place
    threshold: float
    subtracts: bool
    refractory: bool
    bias: float
    decay: NDArray[np.float64]
    spikes: list[int]
    arrivals: list[_Arrival]
    when: list[tuple[int, int]]
    left: list[float]


class AttributionBuilder:
    """Accounts of the spikes of one sample.

    Args:
        recording: whose deliveries are accounted for.
        model: its network.
        k: position of the sample.
        times_us: virtual time of each pass, i64[passes].
    """

    def __init__(
        self, recording: Recording, model: Model, k: int, times_us: NDArray[np.int64]
    ) -> None:
        rows, slots = recording.rows_of(k), recording.deliveries_of(k)
        self._info, self._model, self._k, self._times = recording.info, model, k, times_us
        self._first = rows.start
        self._neuron = recording.neuron[rows]
        self._pass, self._step = recording.pass_[rows], recording.step[rows]
        self._d_pass, self._d_step = (
            recording.delivered_pass[slots],
            recording.delivered_step[slots],
        )
        self._origin = recording.delivered_origin[slots]
        self._count = recording.delivered_count[slots]
        self._via = recording.delivered_connection[slots]
        self._neurons: dict[int, _Neuron] = {}

    def account(self, row: int) -> SpikeAttribution:
        """The account of the spike in ``row`` of the recording."""
        at = row - self._first
        neuron = self._look_up(int(self._neuron[at]))
        found = self._contributions(neuron, bisect_left(neuron.spikes, at))
        return SpikeAttribution(
            row=row,
            sample=self._k,
            place=neuron.place,
            pass_index=int(self._pass[at]),
            step=int(self._step[at]),
            time_us=int(self._times[self._pass[at]]),
            potential=math.fsum(c.value for c in found),
            threshold=neuron.threshold,
            contributions=tuple(sorted(found, key=lambda c: -c.value)),
        )

    def _look_up(self, i: int) -> _Neuron:
        if i not in self._neurons:
            neuron = self._neurons[i] = self._describe(i)
            for nth in range(len(neuron.spikes) if neuron.subtracts else 0):
                potential = math.fsum(c.value for c in self._contributions(neuron, nth))
                neuron.left.append(potential - neuron.threshold)
        return self._neurons[i]

    def _describe(self, i: int) -> _Neuron:
        name, position = self._info.place(i)
        p = self._model.index(name)
        lif = self._model.populations[p].neuron
        threshold = lif.v_threshold
        if not isinstance(threshold, float):
            threshold = threshold.ravel()[position]
        arrivals = self._arrivals(i)
        return _Neuron(
            place=Place(name, position),
            threshold=float(np.float32(threshold)),
            subtracts=lif.reset == "subtract",
            refractory=lif.refractory,
            bias=bias_of(self._model, p, position),
            decay=decay_factors(self._model, p, position, self._times),
            spikes=np.flatnonzero(self._neuron == i).tolist(),
            arrivals=arrivals,
            when=[(int(self._d_pass[a.slot]), int(self._d_step[a.slot])) for a in arrivals],
            left=[],
        )

    def _arrivals(self, i: int) -> list[_Arrival]:
        """All that was delivered to neuron ``i`` over a synapse that is not 0."""
        name, position = self._info.place(i)
        sizes = {p.name: p.size for p in self._model.populations} | {INPUT: self._info.inputs}
        starts = dict(zip(sizes, self._model.starts, strict=True))
        parts = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
        for number, c in enumerate(self._model.connections):
            if c.target != name:
                continue
            source = self._origin - starts[c.source]
            sent = (source >= 0) & (source < sizes[c.source])
            slots = np.flatnonzero(sent & (self._via == (number if c.delay_us else -1)))
            weight = weights_to(self._model, c, source[slots], position)
            parts.append((slots, np.full(slots.size, number), weight))
        slot, connection, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.lexsort((connection, slot))
        order = order[weight[order] != 0]
        columns = (slot[order].tolist(), connection[order].tolist(), weight[order].tolist())
        return [_Arrival(*arrival) for arrival in zip(*columns, strict=True)]

    def _contributions(self, neuron: _Neuron, nth: int) -> list[Contribution]:
        """What the potential at its ``nth`` spike is made of, since the spike before that."""
        now, step = self._when(neuron.spikes[nth])
        begin = self._when(neuron.spikes[nth - 1]) if nth else (-1, -1)
        first = max(begin[0], 0)
        # kept[q - first]: what is left in pass `now` of a potential in pass q
        kept = np.append(np.cumprod(neuron.decay[first + 1 : now + 1][::-1])[::-1], 1.0).tolist()
        found = []
        if nth and neuron.left and (left := neuron.left[nth - 1]):
            own = self._first + neuron.spikes[nth - 1]
            value = left * kept[0]
            found.append(Contribution(value, "reset", neuron.place, left, 1, *begin, row=own))
        for q in range(begin[0] + 1, now + 1) if neuron.bias else ():
            value = neuron.bias * kept[q - first]
            found.append(Contribution(value, "bias", neuron.place, neuron.bias, 1, q, 0))
        # A refractory neuron loses what comes in the rest of the pass that it fired in.
        since = (begin[0] + 1, -1) if neuron.refractory else begin
        span = bisect_right(neuron.when, since), bisect_right(neuron.when, (now, step))
        found += [
            self._delivered(arrival, kept[self._d_pass[arrival.slot] - first])
            for arrival in neuron.arrivals[slice(*span)]
        ]
        return found

    def _when(self, at: int) -> tuple[int, int]:
        return int(self._pass[at]), int(self._step[at])

    def _delivered(self, arrival: _Arrival, kept: float) -> Contribution:
        slot, c, weight = arrival
        origin, delay = int(self._origin[slot]), self._model.connections[c].delay_us
        at = int(self._d_pass[slot]), int(self._d_step[slot])
        row = None
        if origin < self._info.neurons:
            row = self._row_of(origin, *at, delay)
        source, count = Place(*self._info.place(origin)), int(self._count[slot])
        value = weight * count * kept
        return Contribution(value, "spike", source, weight, count, *at, delay_us=delay, row=row)

    def _row_of(self, origin: int, pass_index: int, step: int, delay_us: int) -> int | None:
        """Row of the latest spike of ``origin`` that such a delivery may have carried."""
        fired = self._neuron == origin
        if delay_us:
            sent = int(np.searchsorted(self._times, self._times[pass_index] - delay_us))
            fired &= self._pass == sent
        else:
            fired &= (self._pass == pass_index) & (self._step < step)
        rows = np.flatnonzero(fired)
        return self._first + int(rows[-1]) if rows.size else None
