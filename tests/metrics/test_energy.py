"""Energy estimates: published figures times counts, and what they leave out."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync.metrics import CMOS_45NM, LOIHI, TRUENORTH, Chip, estimate_energy

counts = st.integers(0, 10**9)


def test_arithmetic_at_45_nm_is_accumulates_and_multiply_accumulates():
    found = estimate_energy(CMOS_45NM, synops=1000, macs=10, spikes=5)
    assert found.synapses_pj == found.total_pj == pytest.approx(1000 * 0.9 + 10 * 4.6)
    assert found.excluded == ("spikes", "memory access", "static power")


def test_loihi_counts_synapses_spikes_and_neurons():
    found = estimate_energy(LOIHI, synops=100, spikes=10, updates=4, idle_updates=2)
    assert found.synapses_pj == pytest.approx(2360)
    assert found.spikes_pj == pytest.approx(17)
    assert found.updates_pj == pytest.approx(4 * 81 + 2 * 52)
    assert found.total_pj == pytest.approx(2360 + 17 + 428)
    assert str(found) == "about 2805 pJ on Loihi, without memory access, static power"


def test_truenorths_figure_leaves_nothing_out():
    found = estimate_energy(TRUENORTH, synops=100, spikes=10, updates=40)
    assert (found.total_pj, found.excluded) == (2600, ())
    assert str(found) == "about 2600 pJ on TrueNorth"


def test_a_chip_of_your_own_prices_memory_and_static_power():
    mine = replace(LOIHI, name="mine", memory_pj=2.0, static_mw=0.5)
    found = estimate_energy(mine, synops=100, seconds=1e-6)
    assert found.memory_pj == 200
    assert found.static_pj == pytest.approx(500)  # 0.5 mW for 1 µs is 0.5 nJ
    assert found.excluded == ()
    assert estimate_energy(mine, synops=100).excluded == ("static power",)


def test_what_was_not_counted_is_not_missing():
    assert estimate_energy(CMOS_45NM, synops=0).excluded == ("static power",)


@pytest.mark.parametrize("chip", [CMOS_45NM, LOIHI, TRUENORTH], ids=lambda chip: chip.name)
def test_every_chip_says_where_its_figures_are_from(chip):
    assert "doi 10." in chip.source


def test_multiply_accumulates_need_a_figure():
    with pytest.raises(ValueError, match=r"^macs: 3, but Loihi has no mac_pj"):
        estimate_energy(LOIHI, synops=1, macs=3)


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf")])
def test_counts_and_figures_are_finite_and_from_zero(wrong):
    with pytest.raises(ValueError, match=r"^spikes: .*expected a finite number from 0"):
        estimate_energy(LOIHI, synops=1, spikes=wrong)
    with pytest.raises(ValueError, match=r"^mine: memory_pj: .*expected a finite number from 0"):
        Chip(name="mine", source="me", synop_pj=1.0, memory_pj=wrong)


@given(synops=counts, spikes=counts, updates=counts, times=st.integers(1, 100))
def test_an_estimate_grows_with_its_counts(synops, spikes, updates, times):
    def total(factor):
        found = estimate_energy(
            LOIHI, synops=factor * synops, spikes=factor * spikes, updates=factor * updates
        )
        return found.total_pj

    assert total(times) == pytest.approx(times * total(1))
