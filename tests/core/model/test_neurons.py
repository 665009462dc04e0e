"""Neurons: rejection of invalid parameters, equality and representation."""

from dataclasses import replace

import numpy as np
import pytest

import neuroasync as na
from neuroasync.core.formats.bundle_model import model_map
from neuroasync.errors import ModelError

FULL = na.LIF(
    tau_mem_us=5000.0,
    reset="subtract",
    reset_delayed=True,
    reset_amount=0.5,
    tau_syn_us=2000.0,
    adaptation=na.Adaptation(10_000.0, 0.25),
)


def network(neuron, *more) -> na.Model:
    """Return a network of two neurons; ``more`` are further connections."""
    connections = (na.Dense("input", "a", np.ones((2, 3), np.float32)), *more)
    return na.Model(100, (3,), (na.Population("a", (2,), neuron),), connections, "a")


def adapting(**changes) -> na.LIF:
    """Return neurons with an adaptive threshold, with some of its fields replaced."""
    return na.LIF(adaptation=replace(na.Adaptation(100.0, 1.0), **changes))


@pytest.mark.parametrize(
    ("neuron", "message"),
    [
        ("lif", r"^`populations\[0\]\.neuron` must be a LIF or LI, got str$"),
        (na.LIF(reset="soft"), r"\.reset` must be one of \['zero', 'subtract', 'none'\], got 'sof"),
        (na.LIF(reset_delayed=1), r"\.reset_delayed` must be true or false, got 1$"),
        (
            na.LIF(reset="none", reset_delayed=True),
            r"\.reset_delayed` must be false, because there is no reset \(`reset` is 'none'\), got",
        ),
        (
            na.LIF(reset_amount=1.0),
            r"\.reset_amount` must be left out, because `reset` is 'zero' and subtracts nothing, g",
        ),
        (na.LIF(reset="subtract", reset_amount=0), r"\.reset_amount` must be above 0 and finite i"),
        (na.LIF(reset="subtract", reset_amount=np.ones(3)), r"\.reset_amount` must be of shape \("),
        (na.LIF(tau_syn_us=-1.0), r"\.tau_syn_us` must be above 0 \(inf means no decay\), got -1"),
        (na.LIF(tau_syn_us="1"), r"\.tau_syn_us` must be a number or an array of shape \(2,\), go"),
        (na.LIF(adaptation=0.5), r"\.adaptation` must be an Adaptation or None, got float$"),
        (adapting(tau_us=0.0), r"\.adaptation\.tau_us` must be above 0 \(inf means no decay\), go"),
        (adapting(increment=-0.1), r"\.adaptation\.increment` must be above 0 and finite in float"),
        (adapting(increment=np.inf), r"\.adaptation\.increment` must be above 0 and finite in flo"),
        (na.LI(0.0), r"\.tau_mem_us` must be above 0 \(inf means no leak\), got 0\.0$"),
        (na.LI(tau_syn_us=np.nan), r"\.tau_syn_us` must be above 0 \(inf means no decay\), got na"),
    ],
)  # fmt: skip
def test_invalid_parameter_is_rejected_by_path(neuron, message):
    with pytest.raises(ModelError, match=message):
        network(neuron)


def test_nothing_can_be_connected_from_neurons_that_never_fire():
    loop = na.Dense("a", "a", np.ones((2, 2), np.float32), delay_us=100)
    network(na.LIF(), loop)
    with pytest.raises(ModelError, match=r"^`connections\[1\]\.source` must be a population that"):
        network(na.LI(), loop)


@pytest.mark.parametrize(
    "changes",
    [
        {"reset_delayed": False}, {"reset_amount": None}, {"reset_amount": np.full(2, 0.5)},
        {"tau_syn_us": None}, {"tau_syn_us": 1999.0}, {"adaptation": None},
        {"adaptation": na.Adaptation(10_000.0, 0.5)},
    ],
)  # fmt: skip
def test_equality_includes_every_parameter(changes):
    assert replace(FULL) == FULL
    assert replace(FULL, **changes) != FULL


def test_leaky_integrators_differ_from_neurons_that_fire():
    assert na.LI(10.0) == na.LI(10.0)
    assert na.LI(10.0) != na.LI(10.0, 5.0)
    assert na.LI(10.0) != na.LIF(10.0)


def test_representation_shows_what_differs_from_the_defaults():
    assert repr(na.LIF()) == "LIF()"
    assert repr(na.LI(10.0)) == "LI(tau_mem_us=10.0)"
    assert repr(FULL) == (
        "LIF(tau_mem_us=5000.0, reset='subtract', reset_delayed=True, reset_amount=0.5, "
        "tau_syn_us=2000.0, adaptation=Adaptation(tau_us=10000.0, increment=0.25))"
    )


def test_a_file_names_only_the_features_that_neurons_have():
    plain = ["model", "tau_mem_us", "v_threshold", "reset", "refractory"]

    def keys(neuron):
        return list(model_map(network(neuron))["populations"][0]["neuron"])

    assert keys(na.LIF(reset="none")) == plain
    assert keys(FULL) == [*plain, "reset_delayed", "reset_amount", "tau_syn_us", "adaptation"]
    assert keys(na.LI()) == ["model", "tau_mem_us"]
    assert keys(na.LI(tau_syn_us=np.ones(2))) == ["model", "tau_mem_us", "tau_syn_us"]
