"""Serving networks on a Ray cluster. This package needs the extras ``ray`` and ``serve``."""

try:
    from neuroasync.cluster.serving.application import app
    from neuroasync.cluster.serving.deployment import deployment
except ImportError as error:
    raise ImportError(
        f"serving on a cluster needs {error.name}: pip install 'neuroasync[ray,serve]'",
        name=error.name,
    ) from error

__all__ = ["app", "deployment"]
