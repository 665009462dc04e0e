"""An estimate of the energy that a run would take on a chip, from what was counted.

It is an estimate, and a rough one: counts times published energies of single operations. What a
chip has no figure for is left out and named; unless you give them, that is memory access and
static power, which can be most of the energy. Use it to compare runs on *one* chip; for joules,
measure.

The three chips here are not comparable with each other: one prices arithmetic alone, one is a
simulation before there was silicon, one is all the power of a measured chip divided by its events.
Others are left out where published figures disagree: SpiNNaker's by a factor of hundreds.
``dataclasses.replace(LOIHI, memory_pj=...)`` makes one your own.
"""

from dataclasses import dataclass, fields
from typing import Final

__all__ = ["CMOS_45NM", "LOIHI", "TRUENORTH", "Chip", "EnergyEstimate", "estimate_energy"]

_PJ_PER_MJ: Final = 1e9


def _check(where: str, value: float | None) -> None:
    if value is not None and not 0 <= value < float("inf"):
        raise ValueError(f"{where}: {value}, expected a finite number from 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """Energies of single operations; None is what is not known, and left out of estimates.

    Attributes:
        name: of the chip.
        source: where its figures are from, and what they are.
        synop_pj: of a synaptic operation (an accumulate), pJ.
        mac_pj: of a multiply-accumulate, pJ.
        spike_pj: of a spike that leaves its neuron, however many targets it has, pJ.
        update_pj: of an update of a neuron in a timestep, pJ.
        idle_update_pj: of one that finds nothing to do, pJ.
        memory_pj: of fetching a weight and what goes with it, per synaptic operation or
            multiply-accumulate, pJ.
        static_mw: power while a sample runs, whatever happens, mW.

    Raises:
        ValueError: a figure is negative or not a number.
    """

    name: str
    source: str
    synop_pj: float
    mac_pj: float | None = None
    spike_pj: float | None = None
    update_pj: float | None = None
    idle_update_pj: float | None = None
    memory_pj: float | None = None
    static_mw: float | None = None

    def __post_init__(self) -> None:
        """Check every figure."""
        for f in fields(self)[2:]:
            _check(f"{self.name}: {f.name}", getattr(self, f.name))


CMOS_45NM: Final = Chip(
    name="45 nm CMOS",
    source="M. Horowitz, Computing's energy problem (and what we can do about it), ISSCC 2014, "
    "doi 10.1109/ISSCC.2014.6757323: float32 addition 0.9 pJ, multiplication 3.7 pJ, arithmetic "
    "alone; their sum, 4.6 pJ, is a multiply-accumulate",
    synop_pj=0.9,
    mac_pj=4.6,
)
"""Arithmetic in float32 at 45 nm: what papers on spiking networks mostly quote."""

LOIHI: Final = Chip(
    name="Loihi",
    source="M. Davies et al., Loihi: A Neuromorphic Manycore Processor with On-Chip Learning, "
    "IEEE Micro 38(1), 2018, doi 10.1109/MM.2018.112130359, table 2: simulated before silicon, at "
    "0.75 V; the least energy of a synaptic operation, a spike within its tile (3.0 or 4.0 pJ more "
    "per tile that it passes), neuron updates active and inactive",
    synop_pj=23.6,
    spike_pj=1.7,
    update_pj=81.0,
    idle_update_pj=52.0,
)
"""Intel's first Loihi, 14 nm."""

TRUENORTH: Final = Chip(
    name="TrueNorth",
    source="P. A. Merolla et al., A million spiking-neuron integrated circuit with a scalable "
    "communication network and interface, Science 345, 2014, doi 10.1126/science.1254642: all "
    "power of the chip, static too, divided by its synaptic events, neurons firing at 20 Hz with "
    "128 active synapses each",
    synop_pj=26.0,
    spike_pj=0.0,
    update_pj=0.0,
    idle_update_pj=0.0,
    memory_pj=0.0,
    static_mw=0.0,
)
"""IBM's TrueNorth, 28 nm: everything is within the energy of a synaptic operation."""


@dataclass(frozen=True, slots=True)
class EnergyEstimate:
    """The energy that some counts would take on a chip, in pJ.

    Attributes:
        chip: its name.
        synapses_pj: of synaptic operations and multiply-accumulates.
        spikes_pj: of spikes.
        updates_pj: of neuron updates.
        memory_pj: of memory accesses.
        static_pj: of static power.
        excluded: what is not in it, for want of a figure or a count.
    """

    chip: str
    synapses_pj: float
    spikes_pj: float
    updates_pj: float
    memory_pj: float
    static_pj: float
    excluded: tuple[str, ...]

    @property
    def total_pj(self) -> float:
        """All that is in it."""
        parts = (self.spikes_pj, self.updates_pj, self.memory_pj, self.static_pj)
        return sum(parts, self.synapses_pj)

    def __str__(self) -> str:
        """``about 1.234e+04 pJ on Loihi, without memory access, static power``."""
        without = f", without {', '.join(self.excluded)}" if self.excluded else ""
        return f"about {self.total_pj:.4g} pJ on {self.chip}{without}"


def estimate_energy(
    chip: Chip,
    *,
    synops: float,
    macs: float = 0,
    spikes: float = 0,
    updates: float = 0,
    idle_updates: float = 0,
    seconds: float | None = None,
) -> EnergyEstimate:
    """Estimate the energy of some counts, of one sample or of many, on ``chip``.

    For a run of a model: ``synops=summary.synops_per_sample``, ``spikes=summary.spikes_per_sample``
    and ``updates=summary.passes_per_sample * model.size``. That takes each neuron for active in
    each pass: more than a chip needs that tells idle neurons apart.

    Args:
        chip: one of this module's, or your own.
        synops: synaptic operations.
        macs: multiply-accumulates, of a dense network say.
        spikes: of all neurons.
        updates: of neurons, one per neuron and timestep.
        idle_updates: those that find nothing to do.
        seconds: how long it runs; None leaves static power out.

    Raises:
        ValueError: a count is negative or not a number; there are multiply-accumulates and the
            chip has no energy of one.
    """
    counts = {"macs": macs, "synops": synops, "spikes": spikes}
    counts |= {"updates": updates, "idle_updates": idle_updates}
    for name, count in (*counts.items(), ("seconds", seconds)):
        _check(name, count)
    if macs and chip.mac_pj is None:
        raise ValueError(
            f"macs: {macs}, but {chip.name} has no mac_pj; give it one with dataclasses.replace"
        )
    charged = (
        ("spikes", spikes, chip.spike_pj),
        ("neuron updates", updates, chip.update_pj),
        ("idle neuron updates", idle_updates, chip.idle_update_pj),
        ("memory access", synops + macs, chip.memory_pj),
    )
    excluded = [name for name, count, price in charged if count and price is None]
    if chip.static_mw is None or (seconds is None and chip.static_mw):
        excluded.append("static power")
    return EnergyEstimate(
        chip=chip.name,
        synapses_pj=synops * chip.synop_pj + macs * (chip.mac_pj or 0),
        spikes_pj=spikes * (chip.spike_pj or 0),
        updates_pj=updates * (chip.update_pj or 0) + idle_updates * (chip.idle_update_pj or 0),
        memory_pj=(synops + macs) * (chip.memory_pj or 0),
        static_pj=(seconds or 0) * (chip.static_mw or 0) * _PJ_PER_MJ,
        excluded=tuple(excluded),
    )
