"""Train a network to name the wave of a heartbeat at every moment, and follow a live signal."""

import asyncio
from dataclasses import replace

import numpy as np

import neuroasync as na
from neuroasync import metrics

# --8<-- [start:data]
CLASSES = ("rest", "P", "QRS", "T")
WAVES = (  # class, centre, width and height of each wave, in seconds and mV
    (1, -0.20, 0.028, 0.18), (2, -0.035, 0.012, -0.15), (2, 0.0, 0.012, 1.1),
    (2, 0.035, 0.014, -0.25), (3, 0.28, 0.055, 0.32),
)  # fmt: skip
RATE = 250  # values per second
LENGTH = 3 * RATE
EVERY_US = 20_000  # one label every 20 ms


def heartbeats(samples, seed):
    """Return a synthetic electrocardiogram as events, with labels over time.

    An event says that the signal, or its slope, is in one of eight bands.
    """
    rng = np.random.default_rng(seed)
    trains, rows = [], []
    time_s = np.arange(LENGTH) / RATE
    for _ in range(samples):
        wave, label = np.zeros(LENGTH), np.zeros(LENGTH, int)
        beat_s = rng.uniform(0, 0.5)
        while beat_s < 4:
            for cls, centre, width, height in WAVES:
                at = beat_s + centre * rng.normal(1, 0.05)
                wave += height * rng.normal(1, 0.1) * np.exp(-(((time_s - at) / width) ** 2) / 2)
                label[abs(time_s - at) < 2 * width] = cls
            beat_s += rng.normal(0.8, 0.08)
        wave += rng.normal(0, 0.02, LENGTH) + 0.05 * np.sin(2 * np.pi * 0.3 * time_s + rng.random())
        slope = np.gradient(wave) * 8
        bands = np.array([-0.4, -0.2, -0.1, -0.04, 0.04, 0.1, 0.2, 0.4])
        index = np.concatenate([np.searchsorted(bands, wave), 9 + np.searchsorted(bands, slope)])
        moment = np.tile(np.arange(LENGTH), 2)
        order = np.argsort(moment, kind="stable")
        trains.append(na.SpikeTrain(moment[order] * (1_000_000 // RATE), index[order]))
        rows.append(label.reshape(-1, EVERY_US * RATE // 1_000_000).max(1))
    labels = na.LabelsOverTime.from_samples(rows, EVERY_US)
    return na.SpikeTrains.from_trains(trains, (18,), labels_over_time=labels)


# --8<-- [end:data]


# --8<-- [start:train]
def train(policy):
    """Train a network for an ordering policy, and return its bundle."""
    from neuroasync.train import TrainConfig, export_bundle, fit

    model = na.parse_topology(
        "timestep_us=4000 v_threshold=1.0; input 18; slow d32 decay=0.97; fast d32 decay=0.8; "
        "output d4 decay=0.8 refractory=false reset=subtract; "
        "input -> fast; slow -> output"
    )
    config = TrainConfig(
        loss="windowed", vote_window_us=40_000, policy=policy, epochs=16, batch_size=16, lr=0.01,
        init_rate=0.1, surrogate_slope=3.0, penalty=0.0, device="cpu",
    )  # fmt: skip
    fitted = fit(model, heartbeats(120, seed=0), config)
    validation = heartbeats(20, seed=1)
    bundle = export_bundle(fitted, validation, classes=CLASSES)
    decisions = na.decide_over_time(bundle, validation)
    window = metrics.calibrate_over_time(decisions, validation.labels_over_time, bundle.vote_window)
    return replace(bundle, vote_window=window)


# --8<-- [end:train]


# --8<-- [start:measure]
def measure(bundle):
    """Print how well the network follows new samples, and return the summary."""
    test = heartbeats(30, seed=2)
    decisions = na.decide_over_time(bundle, test)
    summary = metrics.summarise_over_time(decisions, test.labels_over_time)
    print(
        f"{bundle.policy.name}: {summary.accuracy:.1%} of the intervals are right, "
        f"{summary.balanced_accuracy:.1%} in the mean of the classes; "
        f"a new wave is found after {summary.latency_ms_p50:.0f} ms"
    )
    return summary


# --8<-- [end:measure]


# --8<-- [start:live]
async def follow(bundle):
    """Print the waves of a live signal."""
    signal = heartbeats(1, seed=3)[0]
    chunks = (
        (signal.t_us[k : k + 50], signal.index[k : k + 50]) for k in range(0, len(signal), 50)
    )
    latest = None
    async with na.Network(bundle) as network, network.session() as session:
        async for decision in na.stream_over_time(session, chunks, "20ms"):
            if decision.class_name not in (latest, None):
                latest = decision.class_name
                sure = bundle.vote_window.probabilities(decision.votes).max()
                print(f"{latest} ({sure:.0%} sure)", end=" ")
    print()


# --8<-- [end:live]


if __name__ == "__main__":
    for policy in ("layer-sync", "random"):
        bundle = train(policy)
        measure(bundle)
    asyncio.run(follow(bundle))
    na.write_bundle(bundle, "heartbeats.nab")
    na.write_spikes(heartbeats(120, seed=0), "heartbeats-train.npz")
    na.write_spikes(heartbeats(30, seed=2), "heartbeats.npz")
