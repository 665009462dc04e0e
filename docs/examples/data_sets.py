"""Load a data set that ships with the package, and split it in other ways."""

from neuroasync.datasets import load_dataset

spoken = load_dataset("spoken-digits")  # .train, .validation and .test are spike trains
print(spoken.classes, spoken.input_shape, spoken.timestep_us)
harder = spoken.leave_out("theo")  # tested on a speaker that training has not heard
third = spoken.fold(2, folds=5)  # another fold validates; the test samples stay the same
tested = spoken.rotate(2, folds=5)  # another fold is tested, for cross-validation
print(len(harder.test), len(third.validation), len(tested.test))
