"""NVRTC compiles the text of the kernels; this needs no GPU."""

import pytest

from neuroasync.train.cuda.device import compile_kernels, has_compiler
from neuroasync.train.cuda.source import KERNELS


def test_nvrtc_compiles_every_kernel():
    if not has_compiler():
        pytest.skip("needs cuda-core and NVRTC")
    from cuda.pathfinder import DynamicLibNotFoundError

    try:
        code = compile_kernels("sm_80").code
    except DynamicLibNotFoundError:
        pytest.skip("needs NVRTC")
    assert all(name.encode() in code for name in KERNELS)
