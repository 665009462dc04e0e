"""Strategies of runs for tests that compare the engines of the trainer."""

from hypothesis import assume
from hypothesis import strategies as st

from neuroasync.core.engine.policies import Fifo, LayerSync, Momentum, Random
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.train import Surrogate, make_batch
from tests.helpers.strategies import models, spike_trains

__all__ = ["POLICIES", "SURROGATES", "runs"]

SURROGATES = [Surrogate(), Surrogate("fast-sigmoid", 2.0), Surrogate("sigmoid", 4.0)]
POLICIES = [LayerSync(), Random(), Momentum(), Momentum(noise=0.5), Fifo()]


@st.composite
def runs(draw, **features):
    """Draw a model, samples and run settings."""
    model = draw(models(**features))
    assume(model.timestep_us or not any(c.delay_us for c in model.connections))
    trains = [draw(spike_trains(model)) for _ in range(draw(st.integers(1, 3)))]
    seeds = [draw(st.integers(0, 2**64 - 1)) for _ in trains]
    data = SpikeTrains.from_trains(trains, model.input_shape)
    run_settings = RunSettings(
        draw(st.sampled_from(POLICIES)),
        draw(st.integers(1, 20)),
        draw(st.sampled_from(["prioritised", "queued"])),
        max_forward_steps=60,
    )
    duration = draw(st.sampled_from([None, 4 * (model.timestep_us or 500)]))
    return model, make_batch(model, data, range(len(trains)), seeds, duration), run_settings
