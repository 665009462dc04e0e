"""Attribution of a spike: what its neuron's membrane potential consisted of.

A membrane potential is a sum of what the last reset left, biases, and delivered spikes times their
weights; each of these terms has decayed since it was added.
"""

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.policies import LayerSync
from neuroasync.core.model.connections import INPUT
from neuroasync.core.model.kernel_forms import kernel_form
from neuroasync.core.model.model import Model
from neuroasync.core.model.neurons import Parameter
from neuroasync.core.recording.recording import Recording
from neuroasync.explain.synapses import bias_of, check_explicable, decay_factors, weights_to

__all__ = ["AttributionBuilder", "Contribution", "Place", "SpikeAttribution"]


@dataclass(frozen=True, slots=True)
class Place:
    """A neuron or an input.

    Attributes:
        population: name of its population, or ``"input"``.
        position: position in the population, in C order.
    """

    population: str
    position: int

    def __str__(self) -> str:
        """Return a text such as ``hidden2[9]``."""
        return f"{self.population}[{self.position}]"


@dataclass(frozen=True, slots=True)
class Contribution:
    """One term of a membrane potential.

    Attributes:
        value: what is left of the term when the neuron fires.
        kind: ``"spike"`` for a delivered spike or input event, ``"bias"`` for a bias, ``"reset"``
            for what the neuron's last reset left.
        source: the sender of the spike; for a bias or a reset the neuron itself.
        weight: weight of one spike; for a bias or a reset, the value before it decayed.
        count: multiplicity of the spike event.
        pass_index: forward pass in which the term was added.
        step: forward step in which the term was added.
        delay_us: delay of the connection, µs.
        row: row of the spike in the recording; for a reset, the row of the neuron's previous spike;
            None for inputs and biases.
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
        """Return one line such as ``+0.5 from hidden[1] (weight 0.5, pass 0, step 2)``."""
        time = f"pass {self.pass_index}, step {self.step}"
        if self.kind != "spike":
            label = "from a bias" if self.kind == "bias" else "left by its last reset"
            return f"{self.value:+.4g} {label} ({time})"
        count = f" x {self.count}" if self.count != 1 else ""
        delay = f", delayed by {self.delay_us} µs" if self.delay_us else ""
        weight = f"weight {self.weight:.4g}{count}"
        return f"{self.value:+.4g} from {self.source} ({weight}, {time}{delay})"


@dataclass(frozen=True, slots=True)
class SpikeAttribution:
    """A spike with all terms of its neuron's membrane potential.

    Attributes:
        row: row of the spike in the recording.
        sample: position of its sample in the recording.
        place: the neuron that fired.
        pass_index: forward pass of the spike.
        step: forward step of the spike; 0 is the input of the pass.
        time_us: virtual time of the pass, µs.
        potential: membrane potential just before the reset, which is the sum of the contributions.
        threshold: threshold that the potential exceeds.
        contributions: terms of the potential, largest first; synapses of weight 0 are left out.
        trigger: the spikes whose arrival made the neuron fire; empty if none did. They arrived in
            the step in which it fired; under layer-sync, in its pass, before its turn.
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
    trigger: tuple[Contribution, ...]

    @property
    def strongest(self) -> Contribution | None:
        """The largest contribution, if it is positive."""
        if self.contributions and self.contributions[0].value > 0:
            return self.contributions[0]
        return None


class _Arrival(NamedTuple):
    """A delivery that reached a neuron.

    Attributes:
        slot: position of the delivery in the sample.
        connection: number of the connection.
        weight: weight of the synapse.
    """

    slot: int
    connection: int
    weight: float


class _Neuron(NamedTuple):
    """A neuron with everything that affects its membrane potential in the sample.

    Attributes:
        place: population and position.
        threshold: firing threshold.
        amount: what a reset subtracts; None if it sets the potential to 0.
        delayed: whether a reset takes effect at the start of the next pass.
        refractory: whether the neuron fires at most once per pass.
        bias: sum of its biases, added once per pass.
        decay: f64[passes], factor of the potential from the pass before.
        spikes: positions of its spikes in the rows of the sample.
        arrivals: deliveries that reached it, in order.
        arrival_steps: (pass, step) of each arrival.
        residuals: potential that the reset after each spike left, of a delayed one in the pass in
            which it took effect; empty if resets set it to 0.
    """

    place: Place
    threshold: float
    amount: float | None
    delayed: bool
    refractory: bool
    bias: float
    decay: NDArray[np.float64]
    spikes: list[int]
    arrivals: list[_Arrival]
    arrival_steps: list[tuple[int, int]]
    residuals: list[float]


class AttributionBuilder:
    """Builds the attributions of the spikes of one sample.

    Args:
        recording: the recording of the sample.
        model: its network.
        k: position of the sample.
        times_us: i64[passes], virtual time of each pass, µs.
    """

    def __init__(
        self, recording: Recording, model: Model, k: int, times_us: NDArray[np.int64]
    ) -> None:
        rows, slots = recording.rows_of(k), recording.deliveries_of(k)
        self._info, self._model, self._k, self._times = recording.info, model, k, times_us
        self._has_turns = recording.info.policy == LayerSync().name
        self._first = rows.start
        self._neuron = recording.neuron[rows]
        self._pass, self._step = recording.pass_[rows], recording.step[rows]
        self._delivered_pass = recording.delivered_pass[slots]
        self._delivered_step = recording.delivered_step[slots]
        self._origin = recording.delivered_origin[slots]
        self._count = recording.delivered_count[slots]
        given = recording.delivered_value
        self._factor = self._count if given is None else given[slots]
        self._connection = recording.delivered_connection[slots]
        self._forms = [kernel_form(model, c) for c in model.connections]
        self._neurons: dict[int, _Neuron] = {}

    def build(self, row: int) -> SpikeAttribution:
        """Return the attribution of the spike in ``row`` of the recording."""
        at = row - self._first
        neuron = self._look_up(int(self._neuron[at]))
        terms = self._contributions(neuron, bisect_left(neuron.spikes, at))
        terms.sort(key=lambda c: -c.value)
        now, step = self._spike_step(at)
        return SpikeAttribution(
            row=row,
            sample=self._k,
            place=neuron.place,
            pass_index=int(self._pass[at]),
            step=int(self._step[at]),
            time_us=int(self._times[self._pass[at]]),
            potential=math.fsum(c.value for c in terms),
            threshold=neuron.threshold,
            contributions=tuple(terms),
            trigger=tuple(
                c
                for c in terms
                if c.kind == "spike" and c.pass_index == now and (c.step == step or self._has_turns)
            ),
        )

    def _look_up(self, i: int) -> _Neuron:
        """Return neuron ``i``, with the residuals of all its resets."""
        if i not in self._neurons:
            neuron = self._neurons[i] = self._describe(i)
            # Each residual is a term of the next potential, so they are computed in order.
            for nth, spike in enumerate(neuron.spikes if neuron.amount is not None else ()):
                potential = math.fsum(c.value for c in self._contributions(neuron, nth))
                after = int(self._pass[spike]) + 1
                if neuron.delayed and after < neuron.decay.size:
                    potential *= neuron.decay[after]
                neuron.residuals.append(potential - (neuron.amount or 0.0))
        return self._neurons[i]

    def _describe(self, i: int) -> _Neuron:
        name, position = self._info.place(i)
        p = self._model.index(name)
        lif = self._model.populations[p].neuron
        check_explicable(name, lif)

        def own(value: Parameter) -> float:
            return float(np.float32(value if isinstance(value, float) else value.ravel()[position]))

        threshold, amount = own(lif.v_threshold), None
        if lif.reset != "zero":
            amount = (
                0.0
                if lif.reset == "none"
                else own(lif.v_threshold if lif.reset_amount is None else lif.reset_amount)
            )
        arrivals = self._arrivals(i)
        return _Neuron(
            place=Place(name, position),
            threshold=threshold,
            amount=amount,
            delayed=lif.reset_delayed,
            refractory=lif.refractory,
            bias=bias_of(self._model, p, position),
            decay=decay_factors(self._model, p, position, self._times),
            spikes=np.flatnonzero(self._neuron == i).tolist(),
            arrivals=arrivals,
            arrival_steps=[self._delivery_step(a.slot) for a in arrivals],
            residuals=[],
        )

    def _arrivals(self, i: int) -> list[_Arrival]:
        """Return the deliveries to neuron ``i`` over synapses whose weight is not 0."""
        name, position = self._info.place(i)
        sizes = {p.name: p.size for p in self._model.populations} | {INPUT: self._info.inputs}
        starts = dict(zip(sizes, self._model.starts, strict=True))
        columns = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
        for number, c in enumerate(self._model.connections):
            if c.target != name:
                continue
            source = self._origin - starts[c.source]
            sent = (source >= 0) & (source < sizes[c.source])
            slots = np.flatnonzero(sent & (self._connection == (number if c.delay_us else -1)))
            weight = weights_to(self._model, self._forms[number], source[slots], position)
            columns.append((slots, np.full(slots.size, number), weight))
        slot, connection, weight = (np.concatenate(column) for column in zip(*columns, strict=True))
        order = np.lexsort((connection, slot))
        order = order[weight[order] != 0]
        arrivals = (slot[order].tolist(), connection[order].tolist(), weight[order].tolist())
        return [_Arrival(*arrival) for arrival in zip(*arrivals, strict=True)]

    def _contributions(self, neuron: _Neuron, nth: int) -> list[Contribution]:
        """Return the terms of the potential at the neuron's ``nth`` spike."""
        now, step = self._spike_step(neuron.spikes[nth])
        begin = self._spike_step(neuron.spikes[nth - 1]) if nth else (-1, -1)
        first = max(begin[0], 0)
        # kept[q - first] is the fraction of a term of pass q that is left in pass `now`.
        kept = np.append(np.cumprod(neuron.decay[first + 1 : now + 1][::-1])[::-1], 1.0).tolist()
        terms = []
        if nth and neuron.residuals and (residual := neuron.residuals[nth - 1]):
            row = self._first + neuron.spikes[nth - 1]
            value = residual * kept[1 if neuron.delayed else 0]
            terms.append(Contribution(value, "reset", neuron.place, residual, 1, *begin, row=row))
        for q in range(begin[0] + 1, now + 1) if neuron.bias else ():
            value = neuron.bias * kept[q - first]
            terms.append(Contribution(value, "bias", neuron.place, neuron.bias, 1, q, 0))
        # A refractory neuron loses what arrives in the rest of the pass in which it fired.
        since = (begin[0] + 1, -1) if neuron.refractory else begin
        steps = neuron.arrival_steps
        span = slice(bisect_right(steps, since), bisect_right(steps, (now, step)))
        terms += [
            self._delivered(arrival, kept[self._delivered_pass[arrival.slot] - first])
            for arrival in neuron.arrivals[span]
        ]
        return terms

    def _spike_step(self, at: int) -> tuple[int, int]:
        """Return (pass, step) of a spike of the sample."""
        return int(self._pass[at]), int(self._step[at])

    def _delivery_step(self, slot: int) -> tuple[int, int]:
        """Return (pass, step) of a delivery of the sample."""
        return int(self._delivered_pass[slot]), int(self._delivered_step[slot])

    def _delivered(self, arrival: _Arrival, kept: float) -> Contribution:
        """Return the contribution of a delivery times ``kept``, the fraction left after decay."""
        slot, connection, weight = arrival
        origin, delay = int(self._origin[slot]), self._model.connections[connection].delay_us
        time = self._delivery_step(slot)
        row = None
        if origin < self._info.neurons:
            row = self._row_of(origin, *time, delay)
        source, count = Place(*self._info.place(origin)), int(self._count[slot])
        value = weight * float(self._factor[slot]) * kept
        return Contribution(value, "spike", source, weight, count, *time, delay_us=delay, row=row)

    def _row_of(self, origin: int, pass_index: int, step: int, delay_us: int) -> int | None:
        """Return the row of the latest spike of ``origin`` that a delivery may have carried."""
        fired = self._neuron == origin
        if delay_us:
            sent = int(np.searchsorted(self._times, self._times[pass_index] - delay_us))
            fired &= self._pass == sent
        else:
            fired &= (self._pass == pass_index) & (self._step < step)
        rows = np.flatnonzero(fired)
        return self._first + int(rows[-1]) if rows.size else None
