"""An estimate of the energy that a run would take on a chip, from its operation counts.

The estimate is rough: it multiplies counts by published energies of single operations. Operations
for which a chip has no published figure are left out and listed in the result. Unless you supply
these figures, that concerns memory access and static power, which can be most of the energy. Use
the estimate to compare runs on *one* chip. To know the energy in joules, measure it.

The three chips here cannot be compared with each other: one set of figures covers arithmetic
alone, one comes from a simulation before there was silicon, and one is the total power of a
measured chip divided by its events. Chips whose published figures disagree are left out; for
SpiNNaker they differ by a factor of hundreds. Add figures of your own with
``dataclasses.replace(LOIHI, memory_pj=...)``.
"""

from dataclasses import dataclass, fields
from typing import Final

__all__ = ["CMOS_45NM", "LOIHI", "TRUENORTH", "Chip", "EnergyEstimate", "estimate_energy"]

_PJ_PER_MJ: Final = 1e9


def _check(where: str, value: float | None) -> None:
    if value is not None and not 0 <= value < float("inf"):
        raise ValueError(f"`{where}` must be a finite number of at least 0, got {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """Energies of single operations on a chip.

    A figure of None is unknown, and estimates leave it out.

    Attributes:
        name: Name of the chip.
        source: Publication of the figures, and what they cover.
        synop_pj: Energy of a synaptic operation (an accumulate), pJ.
        mac_pj: Energy of a multiply-accumulate, pJ.
        spike_pj: Energy of sending a spike, independent of its number of targets, pJ.
        update_pj: Energy of updating a neuron in a timestep, pJ.
        idle_update_pj: Energy of an update without input, pJ.
        memory_pj: Energy of fetching a weight and its metadata, per synaptic operation or
            multiply-accumulate, pJ.
        static_mw: Static power while a sample runs, mW.

    Raises:
        ValueError: A figure is negative or not finite.
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
        # The first two fields are the name and the source.
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
"""Arithmetic in float32 at 45 nm: the figures that most papers on spiking networks quote."""

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
"""IBM's TrueNorth, 28 nm. The energy of a synaptic operation includes everything else."""


@dataclass(frozen=True, slots=True)
class EnergyEstimate:
    """Estimated energy of some operation counts on a chip, in pJ.

    Attributes:
        chip: Name of the chip.
        synapses_pj: Energy of synaptic operations and multiply-accumulates.
        spikes_pj: Energy of spikes.
        updates_pj: Energy of neuron updates.
        memory_pj: Energy of memory accesses.
        static_pj: Energy of static power.
        excluded: Contributions that are missing because a figure or a count is unknown.
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
        """Sum of all contributions that are known."""
        parts = (self.spikes_pj, self.updates_pj, self.memory_pj, self.static_pj)
        return sum(parts, self.synapses_pj)

    def __str__(self) -> str:
        """Return a text such as ``about 1.234e+04 pJ on Loihi, without static power``."""
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
    """Estimate the energy of operation counts on ``chip``, for one sample or for many.

    For a run of a model, pass ``synops=summary.synops_per_sample``,
    ``spikes=summary.spikes_per_sample`` and ``updates=summary.passes_per_sample * model.size``.
    This treats every neuron as active in every pass, which is too high for chips that skip idle
    neurons.

    Args:
        chip: A chip of this module, or a custom one.
        synops: Number of synaptic operations.
        macs: Number of multiply-accumulates, for example of a dense network.
        spikes: Number of spikes of all neurons.
        updates: Number of neuron updates, one per neuron and timestep.
        idle_updates: Number of neuron updates without input.
        seconds: Run time in seconds. Without it, static power is left out.

    Raises:
        ValueError: A count is negative or not finite, or ``macs`` is given and the chip has no
            energy for multiply-accumulates.
    """
    counts = {"macs": macs, "synops": synops, "spikes": spikes}
    counts |= {"updates": updates, "idle_updates": idle_updates}
    for name, count in (*counts.items(), ("seconds", seconds)):
        _check(name, count)
    if macs and chip.mac_pj is None:
        raise ValueError(
            f"`macs` is {macs}, but {chip.name} has no `mac_pj`; set it with dataclasses.replace"
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
