"""Decisions of a network on a data set."""

import numpy as np
import torch
from numpy.typing import NDArray

from neuroasync.core.durations import Duration
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.train.batch import sorted_by_time
from neuroasync.train.loop.length_split import split_by_length
from neuroasync.train.loop.torch_state import own_torch_state
from neuroasync.train.module import SpikingNetwork

__all__ = ["evaluate"]


@own_torch_state()
def evaluate(
    network: SpikingNetwork,
    trains: SpikeTrains,
    settings: RunSettings,
    seed: int = 0,
    duration_us: Duration | None = None,
    batch_size: int = 256,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Decide every sample as the runtime would.

    Args:
        network: The network.
        trains: The samples.
        settings: Ordering policy, group size and input mode.
        seed: Sample i runs with ``sample_seed(seed, i)``.
        duration_us: End of every sample, µs or such as ``"20ms"``. None ends each with the bin of
            its last event.
        batch_size: Number of samples that run at a time. It does not change the result.

    Returns:
        i64[samples], the decisions, -1 where there is none; and f64[P], mean number of spikes per
        sample of each population.
    """
    trains = sorted_by_time(trains)  # Sorting once here saves doing it for each batch.
    labels = np.empty(len(trains), np.int64)
    spikes = np.zeros(len(network.model.populations))
    for start in range(0, len(trains), batch_size):
        chosen = np.arange(start, min(start + batch_size, len(trains)))
        seeds = np.array([sample_seed(seed, i) for i in chosen.tolist()], np.uint64)
        batch = network.batch(trains, chosen, seeds.tolist(), duration_us)
        parts = split_by_length(batch.passes, network.model)
        for part in parts:
            if len(parts) > 1:
                batch = network.batch(trains, chosen[part], seeds[part].tolist(), duration_us)
            with torch.no_grad():
                result = network(batch, settings)
            labels[chosen[part]] = result.labels.cpu().numpy()
            spikes += result.spikes.sum((0, 1), dtype=torch.float64).cpu().numpy()
    return labels, spikes / max(1, len(trains))
