"""The peak rule on networks small enough to work out by hand."""

import math

import numpy as np
import pytest

from neuroasync.core.engine.policies import Random
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.model.connections import Dense
from neuroasync.core.model.model import Model, Population
from neuroasync.core.model.neurons import LIF
from neuroasync.train import SpikingNetwork, Surrogate

HALF_LIFE = 1000 / math.log(2)  # decays by 1/2 per timestep


def chain(first, second, delay_us=0, tau=math.inf):
    """Return input -> a -> b, with one neuron each and threshold 1."""
    lif = LIF(tau_mem_us=tau)
    connections = (
        Dense("input", "a", np.array([[first]])),
        Dense("a", "b", np.array([[second]]), delay_us=delay_us),
    )
    return Model(
        1000, (1,), (Population("a", (1,), lif), Population("b", (1,), lif)), connections, "b"
    )


def gradients(model, times, at, duration_us=None):
    """Return d(output spikes in pass ``at``) / d(weight) for both weights.

    The surrogate derivative is 1 / (1 + x²).
    """
    network = SpikingNetwork(model, Surrogate("arctan", 1.0), device="cpu")
    data = SpikeTrains.from_trains([SpikeTrain(np.array(times), np.zeros(len(times), int))], (1,))
    result = network(network.batch(data, [0], [0], duration_us), RunSettings(Random(), 1))
    result.votes[0, at, 0].backward()
    return [float(weight) for weight, _ in network.parts(network.values.grad)]


def test_a_spike_gets_its_gradient_from_its_delivery():
    # a: v = 2, fires, x = 1, s' = 1/2.  b: v = 1/2, silent, x = -1/2, s' = 1/(1 + 1/4) = 4/5.
    # dL/dw2 = 1 spike * 4/5.  dL/ds of a is w2 * 4/5 = 2/5; dL/dw1 = 2/5 * 1/2 = 1/5.
    assert gradients(chain(2.0, 0.5), [0], at=0) == pytest.approx([0.2, 0.8])


def test_a_silent_site_gets_a_gradient_from_a_target_that_nothing_reached():
    # a: v = 1/2, silent, s' = 4/5.  b: never reached, v = 0, x = -1, s' = 1/2.
    # dL/ds of a is w2 * 1/2 = 1/4; dL/dw1 = 1/4 * 4/5 = 1/5.  No spike crossed w2.
    assert gradients(chain(0.5, 0.5), [0], at=0) == pytest.approx([0.2, 0.0])


def test_the_leak_carries_gradients_to_earlier_passes():
    # Pass 1, no input: a: v = 1/4, x = -3/4, s' = 16/25.  b: v = 0, s' = 1/2.
    #   g_b = 1/2; dL/ds of a is w2/2 = 1/4, g_a = 1/4 * 16/25 = 4/25.
    # Leak: g_b = 1/4, g_a = 2/25.
    # Pass 0: b's adjoint at its site is 1/4; dL/ds of a is w2/4 = 1/8, times 4/5 = 1/10.
    #   g_a = 2/25 + 1/10 = 9/50, which reaches w1 through one event.
    model = chain(0.5, 0.5, tau=HALF_LIFE)
    assert gradients(model, [0], at=1, duration_us=2000) == pytest.approx([0.18, 0.0])


def test_a_delayed_spike_gets_its_gradient_where_it_arrives():
    # a fires in pass 0 (s' = 1/2); b receives it in pass 1: v = 1/2, s' = 4/5.
    model = chain(2.0, 0.5, delay_us=1000)
    assert gradients(model, [0], at=1, duration_us=2000) == pytest.approx([0.2, 0.8])


def test_a_silent_site_gets_a_gradient_through_a_delay():
    # a: v = 1/2 in both passes, s' = 4/5.  b in pass 1: v = 0, s' = 1/2.
    # dL/ds of a in pass 0 is w2/2 = 1/4: dL/dw1 = 1/5.  a in pass 1: b has no later pass.
    model = chain(0.5, 0.5, delay_us=1000)
    assert gradients(model, [0], at=1, duration_us=2000) == pytest.approx([0.2, 0.0])


def test_current_that_a_refractory_neuron_loses_has_no_gradient():
    # a fires at v = 2 in step 0; its own spike returns with weight 3 and is lost.
    lif = LIF()
    connections = (
        Dense("input", "a", np.array([[2.0]])),
        Dense("a", "a", np.array([[3.0]])),
    )
    model = Model(1000, (1,), (Population("a", (1,), lif),), connections, "a")
    assert gradients(model, [0], at=0) == pytest.approx([0.5, 0.0])


def test_a_loop_without_a_later_site_has_no_gradient():
    # threshold 1, w = 2, loop 1/2: fires at 2 (x = 1, s' = 1/2), then v = 1/2 (silent: no site).
    # Votes: dL/ds = 1.  The loop's delivery has no later site: dL/dloop = 0.
    lif = LIF(refractory=False)
    connections = (
        Dense("input", "a", np.array([[2.0]])),
        Dense("a", "a", np.array([[0.5]])),
    )
    model = Model(1000, (1,), (Population("a", (1,), lif),), connections, "a")
    assert gradients(model, [0], at=0) == pytest.approx([0.5, 0.0])
