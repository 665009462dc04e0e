"""Write the files of the shipped data sets to neuroasync/data.

    python tools/ship_data.py DIR

DIR holds the files described in the docstring of ``neuroasync.datasets.files``; the digits come
from scikit-learn. Equal input gives equal bytes with the same version of zlib.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import neuroasync
from neuroasync.cochlea import encode_sound
from neuroasync.core.formats.npz import write_arrays
from neuroasync.core.formats.packed_events import pack
from neuroasync.datasets.nmnist import load_nmnist_small
from neuroasync.errors import DatasetError

OUT = Path(neuroasync.__file__).parent / "data"
MNIST_LIKE = ("mnist", "fashion_mnist")
IMAGES = {"train": 1000, "test": 300}
NMNIST_TRAIN = 200
MAX_TAKE = 19


def main(folder: Path) -> None:
    images, labels = load_digits(return_X_y=True)
    ship("digits.npz", images=images.reshape(-1, 8, 8).astype("u1"), labels=labels.astype("u1"))
    for part in ("train", "test"):
        for name in MNIST_LIKE:
            arrays = read(folder / f"{name}_{part}.npz")
            first = {key: arrays[key][: IMAGES[part]] for key in ("images", "labels")}
            ship(f"{name}_{part}.npz", **first)
        braille = read(folder / f"braille_{part}.npz")
        ship(
            f"braille_{part}.npz",
            **{name: braille[name] for name in ("taxels", "offsets", "labels")},
        )
        ship_sound(part, read(folder / f"fsdd_{part}.npz"))
    nmnist = load_nmnist_small(folder)
    held = np.sort(np.concatenate([nmnist.split.train, nmnist.split.validation]))
    ship("nmnist-small-train.npz", **pack(nmnist.samples.encode(held[:NMNIST_TRAIN], 0)))
    ship("nmnist-small-test.npz", **pack(nmnist.test))


def ship_sound(part, arrays) -> None:
    """Ship the spikes of the first takes of the training file, or of the whole test file."""
    chosen = np.flatnonzero(arrays["take"] <= MAX_TAKE)
    cuts = arrays["offsets"]
    sounds = [arrays["wav"][cuts[k] : cuts[k + 1]] for k in chosen]
    spikes = encode_sound(sounds, int(arrays["sample_rate"]), arrays["labels"][chosen])
    print(part, len(chosen), "recordings,", len(spikes.t_us) / len(chosen), "events each")
    ship(f"spoken-digits-{part}.npz", **pack(spikes), speaker=arrays["speaker"][chosen])


def read(path):
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def ship(name, **arrays) -> None:
    little = {
        key: np.ascontiguousarray(array) if array.ndim else array for key, array in arrays.items()
    }
    write_arrays(OUT / name, little, DatasetError)
    print(f"{(OUT / name).stat().st_size:>9,}  {name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
