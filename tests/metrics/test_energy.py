"""Energy estimates: published figures times counts, and contributions that are left out."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync.metrics import CMOS_45NM, LOIHI, TRUENORTH, Chip, estimate_energy

counts = st.integers(0, 10**9)


def test_cmos_estimate_covers_accumulates_and_multiply_accumulates():
    estimate = estimate_energy(CMOS_45NM, synops=1000, macs=10, spikes=5)
    assert estimate.synapses_pj == estimate.total_pj == pytest.approx(1000 * 0.9 + 10 * 4.6)
    assert estimate.excluded == ("spikes", "memory access", "static power")


def test_loihi_estimate_covers_synapses_spikes_and_neuron_updates():
    estimate = estimate_energy(LOIHI, synops=100, spikes=10, updates=4, idle_updates=2)
    assert estimate.synapses_pj == pytest.approx(2360)
    assert estimate.spikes_pj == pytest.approx(17)
    assert estimate.updates_pj == pytest.approx(4 * 81 + 2 * 52)
    assert estimate.total_pj == pytest.approx(2360 + 17 + 428)
    assert str(estimate) == "about 2805 pJ on Loihi, without memory access, static power"


def test_truenorth_estimate_excludes_nothing():
    estimate = estimate_energy(TRUENORTH, synops=100, spikes=10, updates=40)
    assert (estimate.total_pj, estimate.excluded) == (2600, ())
    assert str(estimate) == "about 2600 pJ on TrueNorth"


def test_custom_chip_adds_memory_and_static_power():
    custom = replace(LOIHI, name="custom", memory_pj=2.0, static_mw=0.5)
    estimate = estimate_energy(custom, synops=100, seconds=1e-6)
    assert estimate.memory_pj == 200
    assert estimate.static_pj == pytest.approx(500)  # 0.5 mW for 1 µs is 0.5 nJ
    assert estimate.excluded == ()
    assert estimate_energy(custom, synops=100).excluded == ("static power",)


def test_zero_counts_are_not_listed_as_excluded():
    assert estimate_energy(CMOS_45NM, synops=0).excluded == ("static power",)


@pytest.mark.parametrize("chip", [CMOS_45NM, LOIHI, TRUENORTH], ids=lambda chip: chip.name)
def test_every_chip_names_its_source(chip):
    assert "doi 10." in chip.source


def test_multiply_accumulates_without_a_figure_are_rejected():
    with pytest.raises(ValueError, match=r"^`macs` is 3, but Loihi has no `mac_pj`"):
        estimate_energy(LOIHI, synops=1, macs=3)


@pytest.mark.parametrize("invalid", [-1, float("nan"), float("inf")])
def test_counts_and_figures_must_be_finite_and_not_negative(invalid):
    with pytest.raises(ValueError, match=r"^`spikes` must be a finite number of at least 0"):
        estimate_energy(LOIHI, synops=1, spikes=invalid)
    with pytest.raises(
        ValueError, match=r"^`custom: memory_pj` must be a finite number of at least 0"
    ):
        Chip(name="custom", source="me", synop_pj=1.0, memory_pj=invalid)


@given(synops=counts, spikes=counts, updates=counts, times=st.integers(1, 100))
def test_estimate_is_proportional_to_its_counts(synops, spikes, updates, times):
    def total(factor):
        estimate = estimate_energy(
            LOIHI, synops=factor * synops, spikes=factor * spikes, updates=factor * updates
        )
        return estimate.total_pj

    assert total(times) == pytest.approx(times * total(1))
