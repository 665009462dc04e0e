import os
import shutil
import subprocess
import sys
from pathlib import Path

import neuroasync


def run_copy(package: Path, code: str) -> str:
    """What ``code`` prints with the copied package, and a kernel cache beside it."""
    env = os.environ | {
        "PYTHONPATH": str(package.parent),
        "NUMBA_CACHE_DIR": str(package.parent / "cache"),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        cwd=package.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_kernel_in_another_file_that_changes_is_compiled_anew(tmp_path):
    package = tmp_path / "neuroasync"
    shutil.copytree(
        Path(neuroasync.__file__).parent,
        package,
        ignore=shutil.ignore_patterns("__pycache__", "data"),
    )
    code = "from neuroasync.kernels.outer import outer; print(outer(1))"
    (package / "kernels" / "inner.py").write_text(
        "from neuroasync.kernels.jit import kernel\n\n@kernel\ndef inner(x):\n    return x + 1\n"
    )
    (package / "kernels" / "outer.py").write_text(
        "from neuroasync.kernels.inner import inner\nfrom neuroasync.kernels.jit import kernel\n\n"
        "@kernel\ndef outer(x):\n    return inner(x)\n"
    )
    before = run_copy(package, code)
    inner = package / "kernels" / "inner.py"
    inner.write_text(inner.read_text().replace("x + 1", "x + 7"))
    assert (before, run_copy(package, code)) == ("2", "8")
