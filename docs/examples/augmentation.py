"""Change training samples at random, reproducibly. Needs the extra ``train``."""

import neuroasync as na
from neuroasync.train import Batches, Compose, DropEvents, JitterTimes, Shift

samples = na.shipped.shipped_spikes("nmnist")
model = na.parse_topology("timestep_us=20000 decay=0.9; input 2x34x34; output d10")
augmentation = Compose(Shift(2), JitterTimes(sd_us=5_000), DropEvents(0.2))
batches = Batches(model, samples, batch_size=100, augmentation=augmentation)
batch, labels = next(batches.epoch(0))
print(f"{batch.t_us.size} of {samples.t_us.size} events")
