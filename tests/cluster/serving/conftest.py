"""Ray Serve, imported once without the warnings of its own code."""

import warnings

import pytest

pytest.importorskip("ray", reason="needs ray: pip install 'neuroasync[ray]'")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of pydantic, about Ray Serve's models
    import ray.serve  # noqa: F401
