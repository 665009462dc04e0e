"""A launcher of CUDA kernels that runs them on the CPU, as ``cuda_shim.h`` describes."""

import ctypes
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import torch
from torch import Tensor

from neuroasync.train.cuda.source import KERNELS, cuda_source

SHIM = Path(__file__).with_name("cuda_shim.h")


@functools.cache
def compiled() -> ctypes.CDLL:
    """Return the kernels, compiled for the CPU; skip the test if there is no compiler."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++")
    launchers = "\n".join(
        f'extern "C" void {name}(const long long *);\n'
        f'extern "C" void run_{name}(const long long *context, unsigned blocks, unsigned threads, '
        f"uint64_t seed) {{ run_grid({name}, context, blocks, threads, seed); }}"
        for name in KERNELS
    )
    folder = Path(tempfile.mkdtemp())
    text = "\n".join([f'#include "{SHIM}"', cuda_source(), launchers])
    (folder / "kernels.cpp").write_text(text)
    subprocess.run(
        [compiler, "-std=c++17", "-O1", "-ffp-contract=off", "-fno-strict-aliasing", "-w",
         "-shared", "-fPIC", "kernels.cpp", "-o", "kernels.so"],
        cwd=folder, check=True,
    )  # fmt: skip
    library = ctypes.CDLL(str(folder / "kernels.so"))
    shutil.rmtree(folder)
    return library


class CpuLauncher:
    """Runs the kernels on the CPU, with fibres instead of threads.

    Args:
        threads: Threads of a block.
        seed: Seed of the order of the fibres between two barriers; 0 keeps their order.
        shared_bytes: Maximum dynamic shared memory of a block.
    """

    device = torch.device("cpu")

    def __init__(self, threads: int = 64, seed: int = 0, shared_bytes: int = 100_000) -> None:
        self.threads, self.seed, self.shared_bytes = threads, seed, shared_bytes
        self.launches = 0

    def launch(self, kernel: str, blocks: int, shared_bytes: int, context: Tensor) -> None:
        assert shared_bytes <= self.shared_bytes
        self.launches += 1
        run = getattr(compiled(), f"run_{kernel}")
        run(ctypes.c_void_p(context.data_ptr()), blocks, self.threads, ctypes.c_uint64(self.seed))
