"""Files for the tests of the command line: a small network with a golden sample, and its input."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from neuroasync import Bundle, GoldenSample, Network, SpikeTrains
from neuroasync.cli.decide_samples import decide_samples, run_in_loop
from neuroasync.core.recording.recorder import Recorder
from tests.helpers.small_networks import chain, sample

SAMPLES = 6


class Files(NamedTuple):
    """Paths of a bundle, of a spike file, and of the folder of both."""

    net: Path
    events: Path
    folder: Path

    def listing(self) -> set[str]:
        """Return the names of all files in the folder."""
        return {path.name for path in self.folder.iterdir()}


def some_trains(labels=(0, 1, 2, 3, 0, 1), **options) -> SpikeTrains:
    """Return samples for the network, with these labels."""
    trains = [sample(seed=k, **options) for k in range(SAMPLES)]
    return SpikeTrains.from_trains(trains, (12,), labels)


def golden_bundle(**options) -> Bundle:
    """Return a network with one golden sample and some metadata."""
    bundle = chain(**options)
    network = Network(bundle)
    recorder = Recorder(bundle, network.settings)
    trains = some_trains()
    run_in_loop(decide_samples(network, trains, range(1), 0, recorder))
    recording = recorder.finish()
    label = int(recording.label[0])
    golden = GoldenSample(
        trains[0],
        bundle.policy,
        int(recording.seed[0]),
        None if label < 0 else label,
        recording.sample_digest(0),
    )
    return replace(bundle, golden=(golden,), meta={"until": "margin(2)", "coding": "rate"})
