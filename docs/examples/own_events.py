"""Make spike trains from the forms in which events usually come."""

import numpy as np

import neuroasync as na

# Times in µs and flattened input indices, one entry per event, in order of time.
train = na.SpikeTrain([0, 500, 2000], [3, 1, 2])
print(train)

# A table with a row (t_us, index) for each event.
table = np.array([[0, 3], [500, 1], [2000, 2]])
assert na.SpikeTrain(table[:, 0], table[:, 1]) == train

# A list of pairs.
assert na.SpikeTrain(*zip(*table.tolist(), strict=True)) == train

# Times in seconds.
seconds = np.array([0.0, 0.0005, 0.002])
assert na.SpikeTrain(np.rint(seconds * 1e6).astype(int), train.index) == train

# Coordinates (row, column) in an input of shape (2, 2).
coordinates = np.array([[1, 1], [0, 1], [1, 0]])
assert na.SpikeTrain(train.t_us, np.ravel_multi_index(coordinates.T, (2, 2))) == train

# A raster [timesteps, inputs] with a timestep of 500 µs.
raster = np.zeros((5, 4), bool)
raster[[0, 1, 4], [3, 1, 2]] = True
timestep, index = np.nonzero(raster)
assert na.SpikeTrain(timestep * 500, index) == train

# Events that are not in order of time.
order = np.argsort([2000, 0, 500], kind="stable")
assert na.SpikeTrain(np.array([2000, 0, 500])[order], np.array([2, 3, 1])[order]) == train

# A structured array of an event camera.
events = np.zeros(3, [("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
events["t"], events["x"], events["y"] = [7000, 7500, 9000], [1, 1, 0], [1, 0, 1]
assert na.SpikeTrain.from_events(events, (2, 2)) == train

# The samples of a data set.
spikes = na.SpikeTrains.from_trains([train, train], shape=(2, 2), labels=[0, 1])
print(spikes)
