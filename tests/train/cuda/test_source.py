"""NVRTC compiles the text of the kernels; this needs no GPU."""

import pytest

from neuroasync.train.cuda.device import compile_kernels, has_compiler
from neuroasync.train.cuda.source import KERNELS


@pytest.mark.parametrize("architecture", ["sm_75", "sm_90"])
def test_nvrtc_compiles_every_kernel(architecture):
    if not has_compiler():
        pytest.skip("needs cuda-core and NVRTC")
    from cuda.pathfinder import DynamicLibNotFoundError

    try:
        code = compile_kernels(architecture).code
    except DynamicLibNotFoundError:
        pytest.skip("needs NVRTC")
    assert all(name.encode() in code for name in KERNELS)
