"""Nothing needs Ray unless it uses a cluster."""

import subprocess
import sys

import pytest


def run(code):
    """Run code in a new process."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_ray_is_not_loaded_without_use():
    done = run("import neuroasync, sys; neuroasync.Network; from neuroasync import cli; "
               "print('ray' in sys.modules)")  # fmt: skip
    assert done.stdout.strip() == "False", done.stderr


def test_ray_is_not_loaded_by_a_study():
    pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    done = run("import neuroasync.study, neuroasync.cli.commands.study, sys; "
               "print('ray' in sys.modules)")  # fmt: skip
    assert done.stdout.strip() == "False", done.stderr


def test_a_missing_extra_is_one_sentence():
    done = run("import sys; sys.modules['ray'] = None\nimport neuroasync.cluster")
    assert done.stderr.splitlines()[-1] == (
        "ImportError: running on a cluster needs ray: pip install 'neuroasync[ray]', or "
        "'neuroasync[ray,serve]' to serve and 'neuroasync[ray,train]' to train on it"
    )
