"""Small networks of snnTorch, Norse and sinabs, and their recorded spikes.

``python -m tests.helpers.framework_cases [NAME]..`` records cases again. It needs the frameworks,
the tests that read the files do not.
"""

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.helpers.framework_networks import (
    TIMESTEPS,
    norse_box,
    norse_current,
    norse_readout,
    norse_sequence,
    sinabs_conv,
    sinabs_dense,
    sinabs_readout,
    snntorch_at_once,
    snntorch_conv,
    snntorch_dense,
    snntorch_learnt,
    snntorch_readout,
    snntorch_recurrent,
)
from tests.helpers.paths import DATA

FOLDER = DATA / "frameworks"
SAMPLES = 40
FLAT, GRID = (12,), (2, 6, 6)


@dataclass(frozen=True)
class Case:
    """A network of a framework.

    Attributes:
        name: Name of the file.
        package: Package of the framework.
        shape: Shape of the input.
        build: Function that returns the module.
        options: Options of the import.
    """

    name: str
    package: str
    shape: tuple[int, ...]
    build: Callable[[], Any]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Path of the recorded spikes."""
        return FOLDER / f"{self.name}.npz"

    def recorded(self) -> dict[str, np.ndarray]:
        """Return the recorded arrays: source, bundle, frames and spikes."""
        with np.load(self.path) as file:
            return dict(file)

    def module(self) -> Any:
        """Return the module, with the same parameters at every call."""
        import torch

        torch.manual_seed(len(self.name))
        module = self.build()
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                if "weight" in name and parameter.ndim > 1:
                    parameter.mul_(2.5)
        return module

    def frames(self, samples: int, timesteps: int = TIMESTEPS) -> np.ndarray:
        """Return random samples, bool[samples, timesteps, *shape]."""
        rng = np.random.default_rng(len(self.name))
        return rng.random((samples, timesteps, *self.shape)) < 0.3


CASES = (
    Case("snntorch-zero", "snntorch", FLAT,
         snntorch_dense("Leaky", beta=0.9, reset_mechanism="zero")),
    Case("snntorch-subtract", "snntorch", FLAT, snntorch_dense("Leaky", beta=0.9)),
    Case("snntorch-zero-at-once", "snntorch", FLAT,
         snntorch_dense("Leaky", beta=0.9, reset_mechanism="zero", reset_delay=False)),
    Case("snntorch-subtract-at-once", "snntorch", FLAT, snntorch_at_once),
    Case("snntorch-none", "snntorch", FLAT,
         snntorch_dense("Leaky", beta=0.8, reset_mechanism="none", threshold=1.5)),
    Case("snntorch-skip", "snntorch", FLAT, snntorch_dense("Leaky", beta=0.9, skip=True)),
    Case("snntorch-learnt", "snntorch", FLAT, snntorch_learnt),
    Case("snntorch-conv", "snntorch", GRID, snntorch_conv),
    Case("snntorch-synaptic", "snntorch", FLAT,
         snntorch_dense("Synaptic", alpha=0.7, beta=0.8, threshold=2.0)),
    Case("snntorch-synaptic-zero", "snntorch", FLAT,
         snntorch_dense("Synaptic", alpha=0.7, beta=0.8, threshold=2.0, reset_mechanism="zero",
                    reset_delay=False)),
    Case("snntorch-lapicque", "snntorch", FLAT,
         snntorch_dense("Lapicque", beta=0.6, threshold=0.4, reset_mechanism="subtract")),
    Case("snntorch-rleaky", "snntorch", FLAT, snntorch_recurrent("RLeaky", beta=0.8)),
    Case("snntorch-rsynaptic", "snntorch", FLAT,
         snntorch_recurrent("RSynaptic", alpha=0.6, beta=0.8, threshold=2.0)),
    Case("snntorch-readout", "snntorch", FLAT, snntorch_readout("Leaky", beta=0.85),
         {"readout": "potential"}),
    Case("snntorch-readout-synaptic", "snntorch", FLAT,
         snntorch_readout("Synaptic", alpha=0.7, beta=0.8), {"readout": "potential"}),
    Case("norse-box", "norse", GRID, norse_box),
    Case("norse-current", "norse", FLAT, norse_current),
    Case("norse-sequence", "norse", GRID, norse_sequence),
    *(Case(f"norse-{kind.lower()}", "norse", FLAT, norse_readout(kind))
      for kind in ("LIBoxCell", "LICell", "LI", "LILinearCell")),
    Case("sinabs-dense", "sinabs", FLAT, sinabs_dense),
    Case("sinabs-conv", "sinabs", GRID, sinabs_conv),
    Case("sinabs-expleak", "sinabs", FLAT, sinabs_readout),
)  # fmt: skip


def importer(package: str) -> Any:
    """Return the function that imports modules of a framework."""
    from neuroasync import interchange

    return getattr(interchange, f"from_{package}")


def record(case: Case) -> None:
    """Write the network, the samples, and the spikes and readouts that the framework computes."""
    from neuroasync import dump_bundle
    from neuroasync.interchange import norse, sinabs, snntorch
    from neuroasync.interchange.torch_modules.module_import import import_module
    from neuroasync.interchange.torch_modules.reference_run import FrameworkRun
    from neuroasync.interchange.torch_modules.reference_samples import ReferenceSamples

    framework = {
        "snntorch": snntorch.SnnTorch(**case.options) if case.package == "snntorch" else None,
        "norse": norse.FRAMEWORK,
        "sinabs": sinabs.FRAMEWORK,
    }[case.package]
    assert framework is not None
    module, frames = case.module(), case.frames(SAMPLES)
    samples = ReferenceSamples(frames, 1000)
    imported = import_module(framework, module, 1000, case.shape, TIMESTEPS)
    bundle = imported.bundle(framework, None, TIMESTEPS)
    spikes, potentials = FrameworkRun(framework, module, imported, samples).batch(0)
    readouts = {} if potentials is None else {"potentials": potentials}
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        source=np.array(bundle.meta["framework"]),
        bundle=np.frombuffer(dump_bundle(bundle), np.uint8),
        frames=frames,
        spikes=spikes,
        **readouts,
    )
    FOLDER.mkdir(exist_ok=True)
    case.path.write_bytes(buffer.getvalue())
    layers = np.split(spikes.sum(axis=(0, 1)), bundle.model.starts[1:-1])
    print(case.name, len(buffer.getvalue()), [int(layer.sum()) for layer in layers])


if __name__ == "__main__":
    for each in CASES:
        if not sys.argv[1:] or each.name in sys.argv[1:]:
            record(each)
