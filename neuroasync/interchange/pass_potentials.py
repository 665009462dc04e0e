"""Runs a sample pass by pass and keeps the membrane potentials after each pass."""

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.run_sample import check_passes, feed_sample
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.events.spike_train import SpikeTrain

__all__ = ["decide_with_potentials"]


def decide_with_potentials(
    simulator: Simulator, events: SpikeTrain, seed: int, timesteps: int
) -> tuple[Decision, NDArray[np.float32]]:
    """Decide a sample, and return the membrane potentials after each of its passes.

    Args:
        simulator: Simulator of a network with a timestep, with built-in parts and the stop rule
            ``quiet``; its current sample is discarded.
        events: The whole input, within ``timesteps``.
        seed: Seed of the sample's order keys.
        timesteps: Number of timesteps of the sample.

    Returns:
        The decision, and f32[timesteps, N].

    Raises:
        EventsError: An event is not one of the network's inputs.
        PassLimitError: The sample has too many passes.
        ForwardStepLimitError: A pass did not end.
    """
    model = simulator.plan.packed.model
    check_passes(simulator.plan, timesteps * model.timestep_us - 1)
    feed_sample(simulator, events, seed)
    potentials = np.empty((timesteps, model.size), np.float32)
    for k in range(timesteps):
        while not simulator.run_compiled(k * model.timestep_us):
            pass
        simulator.state.apply_decay()
        potentials[k] = simulator.state.potential
    decision = simulator.decision(0.0)
    simulator.release_scratch()
    return decision, potentials
