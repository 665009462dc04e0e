import subprocess
import sys

import neuroasync as na


def test_public_names_are_sorted_and_exist():
    assert na.__all__ == sorted(na.__all__, key=lambda name: (not name.isupper(), name))
    assert all(hasattr(na, name) for name in na.__all__)
    assert len(set(na.__all__)) == len(na.__all__)


def test_every_public_name_explains_itself():
    aliases = {"Fired", "Inbox"}  # of types that explain themselves
    undocumented = [n for n in na.__all__ if n not in aliases and not getattr(na, n).__doc__]
    assert undocumented == []


def test_every_error_is_under_one_root():
    errors = [getattr(na, name) for name in na.__all__ if name.endswith("Error")]
    assert all(issubclass(error, na.NeuroasyncError) for error in errors)


def test_importing_the_runtime_loads_no_torch_no_plots_no_server_and_no_command_line():
    heavy = ["torch", "matplotlib", "sklearn", "starlette", "uvicorn", "typer", "rich", "uvloop"]
    code = f"import sys, neuroasync; print(*[m for m in {heavy} if m in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == []
