"""Train a shipped network further, for another order. Needs the extra ``train``."""

import neuroasync as na
from neuroasync.datasets import load_dataset
from neuroasync.train.recipes import RECIPES, fine_tuning, train_dataset

start = na.shipped.shipped_bundle("layered")
recipe = fine_tuning(RECIPES["digits"]["unlayered-momentum"], start)
recipe = recipe.with_training(epochs=1)
bundle = train_dataset(load_dataset("digits"), recipe, name="momentum", start=start)
na.write_bundle(bundle, "tuned.nab")
print(f"{bundle.meta['validation_accuracy']:.0%} of the validation samples are right")
