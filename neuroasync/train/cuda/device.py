"""A CUDA device: compiles the kernels and launches them on torch's current stream."""

import functools
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Final, Self

import torch
from torch import Tensor

from neuroasync.train.cuda.source import KERNELS, MAX_THREADS, cuda_source

__all__ = ["CudaLauncher", "compile_kernels", "has_compiler", "has_device"]

_FEW_THREADS: Final = 128
"""Threads of a block if its state is small, so that several blocks share a multiprocessor. The
results do not depend on it."""
_SMALL_BYTES: Final = 48 * 1024
"""Size of a small state."""


def has_device() -> bool:
    """Return whether torch finds a CUDA device."""
    return torch.cuda.is_available()


def has_compiler() -> bool:
    """Return whether cuda-core is installed, which compiles the kernels with NVRTC."""
    try:
        return find_spec("cuda.core") is not None and find_spec("cuda.bindings") is not None
    except ModuleNotFoundError:  # there is no package `cuda` at all
        return False


def compile_kernels(architecture: str) -> Any:
    """Return the kernels, compiled for an architecture such as ``"sm_90"``, as an ``ObjectCode``.

    They are kept in the file cache of cuda-core, so that only the first process compiles them.
    """
    from cuda.core import Program, ProgramOptions
    from cuda.core.utils import FileStreamProgramCache

    # A fused multiply-add rounds once where the CPU rounds twice.
    options = ProgramOptions(std="c++17", arch=architecture, fma=False)
    program = Program(cuda_source(), "c++", options)
    try:
        with FileStreamProgramCache() as cache:
            return program.compile("cubin", cache=cache)
    except OSError:  # the cache cannot be written
        return program.compile("cubin")


class CudaLauncher:
    """The kernels on one CUDA device.

    Attributes:
        device: The device.
        shared_bytes: Maximum dynamic shared memory of a block.

    Args:
        index: Number of the device.
    """

    def __init__(self, index: int) -> None:
        self.device = torch.device("cuda", index)
        self.shared_bytes, self._launch = _loaded(index)

    def __reduce__(self) -> tuple[type[Self], tuple[int]]:
        """Return how to make a pickle or a copy, because kernels are loaded in a process."""
        return type(self), (self.device.index,)

    def launch(self, kernel: str, blocks: int, shared_bytes: int, context: Tensor) -> None:
        """Launch a kernel on torch's current stream."""
        self._launch(kernel, blocks, shared_bytes, context)


class _TorchStream:
    """Torch's current stream, for cuda-core."""

    def __init__(self, index: int) -> None:
        self._handle = torch.cuda.current_stream(index).cuda_stream

    def __cuda_stream__(self) -> tuple[int, int]:
        """Return the version of this protocol and the address of the stream."""
        return 0, self._handle


@functools.cache
def _loaded(index: int) -> tuple[int, Callable[[str, int, int, Tensor], None]]:
    """Return the dynamic shared memory of a block, and a function that launches a kernel."""
    from cuda.bindings import driver
    from cuda.core import Device, LaunchConfig, launch

    torch.cuda.synchronize(index)  # creates the context, which cuda-core shares
    device = Device(index)
    device.set_current()
    code = compile_kernels(f"sm_{device.arch}")
    kernels = {name: code.get_kernel(name) for name in KERNELS}
    static = max(kernel.attributes.shared_size_bytes for kernel in kernels.values())
    shared = int(device.properties.max_shared_memory_per_block_optin) - int(static)
    attribute = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    for kernel in kernels.values():
        (result,) = driver.cuKernelSetAttribute(attribute, shared, kernel.handle, index)
        if result != driver.CUresult.CUDA_SUCCESS:
            raise RuntimeError(f"the CUDA driver refused {shared} bytes of shared memory: {result}")

    def run(name: str, blocks: int, shared_bytes: int, context: Tensor) -> None:
        is_small = 0 < shared_bytes <= _SMALL_BYTES
        threads = _FEW_THREADS if is_small else MAX_THREADS
        config = LaunchConfig(grid=blocks, block=threads, shmem_size=shared_bytes)
        with torch.cuda.device(index):
            stream = device.create_stream(_TorchStream(index))
            launch(stream, config, kernels[name], context.data_ptr())

    return shared, run
