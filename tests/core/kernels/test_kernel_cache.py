"""The disk cache of compiled kernels is valid, quick to load and tolerant of errors."""

import io
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest

import neuroasync
from neuroasync.core.compilation_log import compilation_log, show_compilation
from neuroasync.core.kernels.jit import PORTABLE_CPU

INNER = (
    "from neuroasync.core.kernels.jit import kernel\n\n@kernel\ndef inner(x):\n    return x + 1\n"
)
OUTER = """\
from neuroasync.core.kernels.inner import inner
from neuroasync.core.kernels.jit import kernel

@kernel
def outer(x):
    return inner(x)
"""
CALL = "from neuroasync.core.kernels.outer import outer; print(outer(1))"
COUNT = (
    "; print(sum(outer._cache_hits.values()), 'numba.np.arraymath' in __import__('sys').modules)"
)
CACHED = "2\n1 False"
"""Output of ``CALL + COUNT``: the result, one cache hit, and no compiler library loaded."""


@pytest.fixture
def package(tmp_path):
    """A copy of the package with a kernel that calls another."""
    package = tmp_path / "neuroasync"
    shutil.copytree(
        Path(neuroasync.__file__).parent,
        package,
        ignore=shutil.ignore_patterns("__pycache__", "data"),
    )
    (package / "core" / "kernels" / "inner.py").write_text(INNER)
    (package / "core" / "kernels" / "outer.py").write_text(OUTER)
    return package


def run_copy(package: Path, code: str, cache: str = "cache", **variables: str) -> str:
    """Return the output of ``code`` with the copied package and a cache beside it."""
    return process(package, code, cache, **variables).stdout.strip()


def process(
    package: Path, code: str, cache: str = "cache", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run ``code`` with the copied package and a cache beside it."""
    env = (
        os.environ
        | variables
        | {
            "PYTHONPATH": str(package.parent),
            "NUMBA_CACHE_DIR": str(package.parent / cache),
            "XDG_CACHE_HOME": str(package.parent / cache),  # the last place that numba tries
        }
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        cwd=package.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def cache_files(package: Path, ending: str) -> list[Path]:
    """Return the cache files of the kernel ``outer`` with the given ending."""
    return sorted((package.parent / "cache").rglob(f"outer.outer-*.{ending}"))


@pytest.mark.parametrize("folder", ["", "layout"])
def test_a_change_in_any_kernel_file_recompiles(package, folder):
    kernels = package / "core" / "kernels"
    inner = kernels / folder / "inner.py"
    (kernels / "inner.py").rename(inner)
    if folder:
        outer = kernels / "outer.py"
        outer.write_text(outer.read_text().replace("kernels.inner", f"kernels.{folder}.inner"))
    before = run_copy(package, CALL)
    inner.write_text(inner.read_text().replace("x + 1", "x + 7"))
    assert (before, run_copy(package, CALL)) == ("2", "8")


def test_cached_code_runs_without_loading_the_compiler(package):
    run_copy(package, CALL)
    assert run_copy(package, CALL + COUNT) == CACHED


def test_decorating_a_kernel_writes_no_cache_file(package):
    run_copy(package, "import neuroasync.core.kernels.outer")
    assert not (package.parent / "cache").exists()


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", [b"", b"\x80\x05 not a pickle", None])
def test_damaged_cache_files_are_replaced(package, ending, damage):
    run_copy(package, CALL)
    [path] = cache_files(package, ending)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] if damage is None else damage)
    assert run_copy(package, CALL) == "2"
    assert run_copy(package, CALL + COUNT) == CACHED


def test_cache_file_that_refers_to_a_missing_class_is_replaced(package):
    run_copy(package, CALL)
    [index] = cache_files(package, "nbi")
    gone = b"cneuroasync.kernels.layout\nContext\n."
    index.write_bytes(pickle.dumps(numba.__version__, protocol=-1) + gone)
    assert run_copy(package, CALL) == "2"
    assert run_copy(package, CALL + COUNT) == CACHED


def test_kernels_run_if_no_cache_file_can_be_written(package):
    (package.parent / "file").touch()
    (package / "core" / "kernels" / "__pycache__").touch()
    assert run_copy(package, CALL, cache="file/cache") == "2"


OTHER_CPU = {"NUMBA_CPU_FEATURES": ""}
"""Settings by which numba describes the processor in another way, as on another machine."""

PORTABLE = {"NUMBA_CPU_NAME": PORTABLE_CPU}
UNWRITABLE = "import neuroasync.core.kernels.jit as jit; jit.is_writable = lambda folder: False; "


def test_cache_that_cannot_be_written_is_read(package):
    run_copy(package, CALL)
    assert run_copy(package, UNWRITABLE + CALL + COUNT) == CACHED


def test_cache_beside_the_sources_is_read_if_another_folder_is_preferred(package):
    unwritable = package.parent / "file"
    unwritable.touch()
    run_copy(package, CALL, cache="file/cache")
    assert list((package / "core" / "kernels" / "__pycache__").glob("outer.outer-*.nbc"))
    assert run_copy(package, CALL + COUNT) == CACHED


def test_portable_code_runs_on_other_processors(package):
    run_copy(package, CALL, **PORTABLE)
    assert run_copy(package, CALL + COUNT, **OTHER_CPU) == CACHED
    assert run_copy(package, CALL + COUNT) == CACHED


def test_code_for_one_processor_is_not_taken_by_another(package):
    run_copy(package, CALL)
    assert run_copy(package, CALL + COUNT, **PORTABLE).startswith("2\n0 ")


def test_code_for_this_processor_is_preferred_to_portable_code(package):
    run_copy(package, CALL)
    run_copy(package, CALL, **PORTABLE)
    first, second = cache_files(package, "nbc")
    second.unlink()  # the portable code
    assert run_copy(package, CALL + COUNT) == CACHED
    assert first.exists()


SHOW = "from neuroasync.core.compilation_log import show_compilation; show_compilation(); "
LOG = "import logging; logging.basicConfig(level=logging.INFO, format='%(levelname)s'); "


def test_compilation_is_noted_once_in_a_program(package):
    done = process(package, SHOW + CALL + "; outer(1.5)")
    assert done.stderr == (
        "note: compiling kernels (about a minute); `neuroasync warm` does this ahead\n"
    )
    assert process(package, SHOW + CALL).stderr == ""


def test_the_duration_is_stated_only_if_no_kernel_is_cached(package):
    run_copy(package, CALL)
    done = process(package, SHOW + CALL.replace("(1)", "(1.5)"))
    assert done.stderr == "note: compiling kernels; `neuroasync warm` does this ahead\n"


def test_a_program_without_a_cache_is_told_what_to_set(package):
    for _ in range(2):
        done = process(package, SHOW + UNWRITABLE + CALL)
        assert done.stdout == "2\n"
        assert done.stderr.count("\n") == 1
        assert done.stderr.startswith(
            "note: compiling kernels at every start (about a minute), because "
        )
        assert str(package.parent / "cache") in done.stderr
        assert "set NUMBA_CACHE_DIR to a folder that can be written" in done.stderr


def test_a_library_logs_the_compilation_and_only_warns_without_a_cache(package):
    assert process(package, CALL).stderr == ""
    assert process(package, LOG + CALL, cache="other").stderr == "INFO\n"
    assert process(package, LOG + UNWRITABLE + CALL, cache="third").stderr == "WARNING\n"


def test_a_home_that_is_unknown_is_no_folder_beside_the_user(package):
    code = UNWRITABLE + "jit.AppDirs = lambda **_: type('', (), {'user_cache_dir': '~/.cache'}); "
    assert "~" not in process(package, SHOW + code + CALL).stderr
    assert not (package.parent / "~").exists()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_note_on_a_terminal_erases_the_progress_bar():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", Terminal())
        show_compilation()
        compilation_log.info("compiling")
        assert sys.stderr.getvalue() == "\r\x1b[Knote: compiling\n"


def test_a_note_on_a_terminal_breaks_between_words():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", Terminal())
        show_compilation()
        compilation_log.info("compiling %s kernels in %s", "many " * 16, "/folder" * 20)
        lines = sys.stderr.getvalue().removeprefix("\r\x1b[K").splitlines()
    assert len(lines) == 3
    assert all(len(line) <= 80 for line in lines[:2])
    assert lines[2] == "      " + "/folder" * 20


def test_process_that_loaded_cached_code_can_compile_linear_algebra(package):
    code = """
import numba, numpy as np
from neuroasync.core.kernels.outer import outer

@numba.njit
def squares(a):
    return np.dot(a, a) + np.linalg.norm(a)

print(outer(1), outer(1.5), squares(np.array([3.0, 4.0])))
"""
    pytest.importorskip("scipy")
    run_copy(package, CALL)
    assert run_copy(package, code) == "2 2.5 30.0"


def test_without_the_compiler_an_error_names_the_variable():
    code = "import neuroasync as na; print(na.SpikeTrain([0], [0])); na.Network"
    child = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
    )
    assert child.stdout == "<SpikeTrain: 1 event, 0 to 0 µs, indices 0 to 0>\n"
    assert child.stderr.splitlines()[-1].startswith(
        "neuroasync.errors.NeuroasyncError: networks cannot run while numba's compiler is switched "
        "off: unset NUMBA_DISABLE_JIT"
    )
