"""Public names exist, load lazily and have documentation."""

import pickle
import subprocess
import sys

import pytest

import neuroasync as na

SUBMODULES = {
    "cochlea", "datasets", "encoders", "errors", "explain", "interchange", "limits", "messages",
    "metrics", "plot", "replay", "serve", "shipped", "sinks", "sources", "study", "train",
}  # fmt: skip


def modules_loaded_by(code):
    """Return the names of all modules that are loaded after ``code`` ran in a new process."""
    process = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(process.stdout.split())


def test_public_names_are_sorted_and_exist():
    assert na.__all__ == sorted(na.__all__, key=lambda name: (not name.isupper(), name))
    assert all(hasattr(na, name) for name in na.__all__)
    assert len(set(na.__all__)) == len(na.__all__)


def test_every_public_name_can_be_imported_lazily():
    assert list(na._MODULE_OF) == na.__all__


def test_dir_shows_public_names_that_need_no_extra():
    needs_extra = {"plot", "serve", "study", "train"}
    assert set(dir(na)) == {*na.__all__, *SUBMODULES - needs_extra, "__version__"}


def test_introspection_works_without_the_extras():
    code = (
        "import sys\n"
        "for name in ('torch', 'starlette', 'matplotlib', 'sklearn'): sys.modules[name] = None\n"
        "import inspect, pydoc, neuroasync\n"
        "assert not hasattr(neuroasync, 'train') and not hasattr(neuroasync, 'serve')\n"
        "inspect.getmembers(neuroasync); pydoc.render_doc(neuroasync)\n"
        "try: from neuroasync import train\n"
        "except ImportError as error: assert 'pip install' in str(error), error\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", sorted(SUBMODULES))
def test_a_submodule_is_an_attribute_of_the_package(name):
    assert getattr(na, name).__name__ == f"neuroasync.{name}"


def test_a_star_import_gives_the_public_names():
    namespace = {}
    exec("from neuroasync import *", namespace)
    assert namespace.keys() - {"__builtins__"} == set(na.__all__)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"module 'neuroasync' has no attribute 'Netwrok'"):
        _ = na.Netwrok
    with pytest.raises(ImportError, match=r"cannot import name 'Netwrok' from 'neuroasync'"):
        from neuroasync import Netwrok  # noqa: F401


def test_public_classes_can_be_pickled():
    assert pickle.loads(pickle.dumps(na.Dense)) is na.Dense
    assert pickle.loads(pickle.dumps(na.SpikeTrain)) is na.SpikeTrain


def test_every_public_name_explains_itself():
    aliases = {
        "Duration", "Engine", "Events", "Fired", "Inbox", "InputMode", "Late", "PolicyName",
        "Until",
    }  # fmt: skip  # aliases of types that are documented
    undocumented = [n for n in na.__all__ if n not in aliases and not getattr(na, n).__doc__]
    assert undocumented == []


def test_every_error_derives_from_one_root():
    errors = [getattr(na, name) for name in na.__all__ if name.endswith("Error")]
    assert all(issubclass(error, na.NeuroasyncError) for error in errors)


def test_importing_the_package_loads_nothing_else():
    loaded = modules_loaded_by("import neuroasync")
    assert {name for name in loaded if name.startswith("neuroasync")} == {"neuroasync"}
    assert loaded.isdisjoint({"asyncio", "msgpack", "numba", "numpy", "rich", "torch", "typer"})


def test_the_runtime_loads_no_torch_no_plots_no_server_and_no_command_line():
    heavy = {"torch", "matplotlib", "sklearn", "starlette", "uvicorn", "typer", "rich", "uvloop"}
    assert modules_loaded_by("from neuroasync import *").isdisjoint(heavy)
