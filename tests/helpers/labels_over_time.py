"""Small samples whose class changes within them."""

import numpy as np

from neuroasync import LabelsOverTime, SpikeTrain, SpikeTrains

TIMESTEP_US = 1000
EVERY_US = 2000


def changing_samples(samples: int = 24, seed: int = 0, intervals: int = 12) -> SpikeTrains:
    """Return samples in which class k fires most at inputs 2k and 2k + 1, for 3 to 6 intervals.

    The first interval of each sample, and the last sample's second half, have no class. The lengths
    of samples differ by up to 3 intervals.
    """
    rng = np.random.default_rng(seed)
    trains, rows = [], []
    for _ in range(samples):
        count = intervals - int(rng.integers(0, 4))
        row: list[int] = []
        while len(row) < count:
            row += [int(rng.integers(0, 3))] * int(rng.integers(3, 7))
        row = row[:count]
        rate = np.full((2 * count, 6), 0.1)
        for t in range(2 * count):
            rate[t, 2 * row[t // 2] : 2 * row[t // 2] + 2] = 0.8
        t, index = np.nonzero(rng.random(rate.shape) < rate)
        trains.append(SpikeTrain(t * TIMESTEP_US, index))
        rows.append([-1, *row[1:]])
    rows[-1][len(rows[-1]) // 2 :] = [-1] * (len(rows[-1]) - len(rows[-1]) // 2)
    labels = LabelsOverTime.from_samples(rows, EVERY_US)
    return SpikeTrains.from_trains(trains, (6,), labels_over_time=labels)
